/**
 * A replicated counter under the rules of the labs' `rsm`: commands are submitted at one given server, through the route that a router uses,
 * and only a leader that commits them answers.
 */
import { decodeBody, encodeBody, type Reply } from '../../src/peer/protocol.ts';
import { type Add, Counters } from '../simulation/counter.ts';
import { Cluster, type ClusterOptions } from './kv-cluster.ts';
import { LabFailure, type LabOptions, type LabReport } from './lab.ts';

const COUNTER = 'counter';
const NULLS = 'nulls';
export const INC: Add = { add: 1, to: COUNTER };
export const DEC: Add = { add: -1, to: COUNTER };
/** It leaves the counter alone. Those that were applied are counted beside it, so that an OK can be held against what was done. */
export const NULL: Add = { add: 1, to: NULLS };

/** `NSEC` of the labs: how long a submission is tried for. */
const SUBMIT_MS = 10_000;
/** What a router gives a try. */
const TRY_MS = 1500;
const ROUND_PAUSE_MS = 50;
const CLIENT = 'submitter';

export type Submitted =
  | { readonly type: 'OK'; readonly value: number }
  /** Nothing was done. */
  | { readonly type: 'not_leader' }
  /** Leadership or the server was lost, or no answer came: it may have been done. */
  | { readonly type: 'unknown' };

export class RsmCluster {
  readonly cluster: Cluster;
  /** Submissions that said OK. */
  committed = 0;

  constructor(options: LabOptions, settings: Omit<ClusterOptions, 'servers' | 'createStateMachine'> = {}) {
    this.cluster = new Cluster(options, { servers: 3, createStateMachine: (sql) => new Counters(sql), ...settings });
  }

  async play(script: () => Promise<Record<string, number> | undefined>): Promise<LabReport> {
    let figures: Record<string, number> = {};
    await this.cluster.run(async () => {
      await this.cluster.found();
      figures = (await script()) ?? {};
    });
    return this.cluster.report(this.committed, figures);
  }

  get slots(): readonly number[] {
    return this.cluster.slots;
  }

  /** `Submit` at one server. Waits for as long as the server does. */
  async submit(slot: number, command: Add): Promise<Submitted> {
    const body = encodeBody({ requests: [{ type: 'submit', command }] });
    let reply: Reply<'client'>;
    try {
      reply = decodeBody(
        await this.cluster.world.request(CLIENT, this.cluster.object(slot).name, 'client', body),
      ) as Reply<'client'>;
    } catch {
      return { type: 'unknown' };
    }
    const [answer] = reply.replies;
    if (answer?.type === 'not_leader') return { type: 'not_leader' };
    if (answer?.type !== 'result') return { type: 'unknown' };
    this.committed += 1;
    return { type: 'OK', value: answer.result as number };
  }

  /** `onePartition`: one of these servers after the other, until one says OK; null after 10 s. */
  async one(command: Add, slots: readonly number[] = this.slots): Promise<number | null> {
    const { cluster } = this;
    const endMs = cluster.nowMs + SUBMIT_MS;
    for (let round = 0; cluster.nowMs < endMs; round += 1) {
      for (const slot of slots) {
        const limitMs = Math.min(TRY_MS, endMs - cluster.nowMs);
        if (limitMs <= 0) return null;
        const answer = await this.#within(limitMs, this.submit(slot, command));
        if (answer.type === 'OK') return answer.value;
      }
      this.#askToStand(slots[round % slots.length]!);
      await cluster.sleep(ROUND_PAUSE_MS);
    }
    return null;
  }

  #within(limitMs: number, submission: Promise<Submitted>): Promise<Submitted> {
    return new Promise((resolve) => {
      const cancel = this.cluster.world.scheduler.after(limitMs, () => resolve({ type: 'unknown' }));
      void submission.then((answer) => {
        cancel();
        resolve(answer);
      });
    });
  }

  /** As a router does that finds no leader. */
  #askToStand(slot: number): void {
    const { world } = this.cluster;
    world.request(CLIENT, this.cluster.object(slot).name, 'stand', encodeBody({})).catch(() => {});
  }

  async oneMust(command: Add, expected: number, slots: readonly number[] = this.slots): Promise<void> {
    const value = await this.one(command, slots);
    if (value !== expected) throw new LabFailure(`the counter is ${value} instead of ${expected}`);
  }

  /** `checkCounter`: within 10 s so many servers have applied all of it. */
  checkCounter(value: number, servers: number): Promise<void> {
    const there = (): boolean =>
      this.slots.filter((slot) => this.#counterOf(slot, COUNTER) === value).length >= servers;
    return this.cluster.eventually(SUBMIT_MS, `${servers} servers count ${value}`, there);
  }

  /** Nulls that a server has applied. */
  nulls(slot: number): number {
    return this.#counterOf(slot, NULLS) ?? 0;
  }

  #counterOf(slot: number, name: string): number | null {
    const { disk } = this.cluster.object(slot);
    const tables = disk.inspect("SELECT 1 FROM sqlite_master WHERE name = 'counters'");
    if (tables.length === 0) return null;
    return (disk.inspect('SELECT value FROM counters WHERE name = ?', name)[0]?.[0] as number | undefined) ?? null;
  }
}
