/**
 * Clients as users write them: they put, append, get and delete through a router (the production group client), some
 * under a clerk's identity, repeating what has no answer. What they did and saw is the history that is checked.
 */
import { createHash } from 'node:crypto';
import type { Condition, KeyValue, Query } from '../../src/kv/commands.ts';
import { GroupClient } from '../../src/router/group.ts';
import type { ReadOutcome } from '../../src/router/read.ts';
import type { Write, WriteOutcome } from '../../src/router/write.ts';
import type { Input, Operation, Output } from '../linearizability/history.ts';
import type { Listing } from '../linearizability/listing.ts';
import type { Random } from './random.ts';
import type { World } from './world.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export type { Listing };

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const CLIENT_TIMEOUT_MS = 12_000;
const MAX_TRIES = 4;

const digest16 = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash('sha256').update(bytes).digest().subarray(0, 16));

/** A router's isolate; `restart` forgets everything, and answers to what was under way never come. */
export class SimRouter {
  readonly #world: World;
  readonly #hints: readonly string[];
  readonly name: string;
  #life = 0;
  client: GroupClient;

  constructor(world: World, name: string, hints: readonly string[]) {
    this.#world = world;
    this.name = name;
    this.#hints = hints;
    this.client = this.#start();
  }

  #start(): GroupClient {
    const { scheduler, random } = this.#world;
    this.#life += 1;
    const life = this.#life;
    const alive = (run: () => void): void => {
      if (life === this.#life) run();
    };
    return new GroupClient(
      {
        now: () => scheduler.nowMs,
        random: () => random.float(),
        randomId: () => random.hex(32),
        setTimer: (delayMs, run) => scheduler.after(delayMs, () => alive(run)),
        call: (objectName, _hint, route, body, signal) =>
          new Promise((resolve, reject) => {
            signal.addEventListener('abort', () => reject(new Error('aborted')));
            this.#world.request(this.name, objectName, route, body).then(
              (answer) => alive(() => resolve(answer)),
              (error) => alive(() => reject(error)),
            );
          }),
        log: (event) => this.#world.note(this.name, JSON.stringify(event)),
      },
      this.#hints,
    );
  }

  restart(): void {
    this.#world.note(this.name, 'isolate restarted');
    this.client = this.#start();
  }
}

export interface Workload {
  readonly group: string;
  /** Their ids: some requests name the peer that must answer (`?peer=`). */
  readonly peers: readonly string[];
  readonly keys: readonly string[];
  readonly maxThinkMs: number;
}

export class SimClient {
  readonly #world: World;
  readonly #routers: readonly SimRouter[];
  readonly #workload: Workload;
  readonly #number: number;
  /** Null: its writes bring no identity. */
  readonly #clerkId: string | null;
  #seq = 0;
  readonly #unresolved = new Set<number>();
  #written = 0;
  readonly history: Mutable<Operation>[] = [];
  readonly listings: Listing[] = [];
  stopped = false;
  /** Operations that were answered. */
  completed = 0;

  constructor(world: World, number: number, routers: readonly SimRouter[], workload: Workload, clerkId: string | null) {
    this.#world = world;
    this.#number = number;
    this.#routers = routers;
    this.#workload = workload;
    this.#clerkId = clerkId;
  }

  get #random(): Random {
    return this.#world.random;
  }

  async run(): Promise<void> {
    while (!this.stopped) {
      if (this.#random.chance(0.05)) await this.#list();
      else await this.#one();
      await this.#world.scheduler.sleep(this.#random.between(0, this.#workload.maxThinkMs));
    }
  }

  async #one(): Promise<void> {
    const key = this.#random.pick(this.#workload.keys);
    const operation: Mutable<Operation> = {
      clientId: this.#number,
      key,
      input: this.#draw(key),
      call: this.#world.scheduler.nowMs,
      return: null,
      output: null,
    };
    this.history.push(operation);
    const output = operation.input.type === 'get' ? await this.#get(key) : await this.#write(operation);
    if (output === 'nothing') this.history.splice(this.history.indexOf(operation), 1);
    if (output === null || output === 'nothing') return;
    operation.output = output;
    operation.return = this.#world.scheduler.nowMs;
    this.completed += 1;
  }

  #draw(key: string): Input {
    const kind = this.#random.pick(['get', 'get', 'put', 'append', 'append', 'delete'] as const);
    if (kind === 'get') return { type: 'get' };
    const condition = this.#drawCondition(key);
    if (kind === 'delete') return { type: 'delete', condition };
    this.#written += 1;
    return { type: kind, value: `${this.#number}.${this.#written};`, condition };
  }

  #drawCondition(key: string): Condition | null {
    if (this.#random.chance(0.7)) return null;
    const seen = this.history.findLast((past) => past.key === key && past.output !== null)?.output ?? null;
    const revision = seen === null ? null : revisionIn(seen);
    return this.#random.pick<Condition>([
      { type: 'exists' },
      { type: 'absent' },
      { type: 'match', revisions: revision === null ? [] : [revision] },
    ]);
  }

  /** Null if the router vanished: nothing comes back from it, so the client's own patience ends. */
  async #patient<T>(work: (router: GroupClient) => Promise<T>): Promise<T | null> {
    const router = this.#random.pick(this.#routers);
    let cancel = (): void => {};
    const impatience = new Promise<null>((resolve) => {
      cancel = this.#world.scheduler.after(CLIENT_TIMEOUT_MS, () => resolve(null));
    });
    const result = await Promise.race([work(router.client), impatience]);
    cancel();
    return result;
  }

  /** A get without an answer says nothing. */
  async #get(key: string): Promise<Output | 'nothing'> {
    const query: Query = { type: 'get', key: encoder.encode(key) };
    // A leader that was deposed and does not know it is asked too, though no router would go there any more.
    const peer = this.#random.chance(0.3) ? this.#random.pick(this.#workload.peers) : null;
    const outcome = await this.#patient<ReadOutcome>((router) =>
      router.read(this.#workload.group, { query, consistency: 'linearizable', peer }),
    );
    if (outcome === null || !outcome.ok) return 'nothing';
    const { answer } = outcome;
    if (answer.type === 'missing') return { type: 'missing', storeRevision: answer.revision };
    if (answer.type !== 'value') throw new Error(`a get was answered by a ${answer.type}`);
    const { value, modRevision, version } = answer.item;
    return { type: 'value', value: decoder.decode(value), modRevision, version, storeRevision: answer.revision };
  }

  async #write(operation: Operation): Promise<Output | 'nothing' | null> {
    const seq = this.#seq + 1;
    this.#seq = seq;
    this.#unresolved.add(seq);
    let uncertain = false;
    for (let i = 0; i < MAX_TRIES || seq === 1; i += 1) {
      const outcome = await this.#patient<WriteOutcome>((router) =>
        router.write(this.#workload.group, this.#request(operation, seq)),
      );
      const output = outcome === null ? null : toOutput(outcome);
      if (output !== null && output !== 'nothing') {
        this.#unresolved.delete(seq);
        return output;
      }
      if (output === null) uncertain = true;
      // Without an identity, a repeat would be another write.
      if (this.#clerkId === null) break;
      // Nothing may follow seq 1 until it has its reply.
      if (this.stopped && i >= MAX_TRIES) break;
      await this.#world.scheduler.sleep(this.#random.between(1, 200));
    }
    return uncertain ? null : 'nothing';
  }

  #request({ key: keyText, input }: Operation, seq: number): Write {
    const key = encoder.encode(keyText);
    const clerk = this.#clerkId === null ? null : { id: this.#clerkId, seq, acked: Math.min(...this.#unresolved) - 1 };
    const requestDigest = digest16(encoder.encode(JSON.stringify([keyText, input])));
    if (input.type === 'get') throw new Error('a get is no write');
    const condition = input.condition ?? null;
    if (input.type === 'delete')
      return { operation: { op: 'delete', key, condition }, requestDigest, clerk, peer: null };
    const value = encoder.encode(input.value);
    const operation = { op: input.type, key, condition, value, valueDigest: digest16(value) };
    return { operation, requestDigest, clerk, peer: null };
  }

  /** All pages of one listing, three keys a page: one read of everything at one revision. */
  async #list(): Promise<void> {
    const callMs = this.#world.scheduler.nowMs;
    const items: KeyValue[] = [];
    let after: Uint8Array | null = null;
    let revision: number | null = null;
    while (true) {
      const query: Query = { type: 'list', prefix: new Uint8Array(), after, limit: 3, revision };
      const outcome: ReadOutcome | null = await this.#patient<ReadOutcome>((router) =>
        router.read(this.#workload.group, { query, consistency: 'linearizable', peer: null }),
      );
      if (outcome === null || !outcome.ok || outcome.answer.type !== 'page') return;
      items.push(...outcome.answer.items);
      revision = outcome.answer.revision;
      if (!outcome.answer.more) break;
      after = outcome.answer.items.at(-1)?.key ?? null;
      await this.#world.scheduler.sleep(this.#random.between(0, 50));
    }
    this.listings.push({
      callMs,
      returnMs: this.#world.scheduler.nowMs,
      revision: revision ?? 0,
      items: items.map(({ key, value, modRevision }) => ({
        key: decoder.decode(key),
        value: decoder.decode(value),
        modRevision,
      })),
    });
  }
}

function revisionIn(output: Output): number | null {
  if (output.type === 'value' || output.type === 'precondition_failed') return output.modRevision ?? null;
  return output.type === 'missing' ? null : (output.revision ?? null);
}

/** `nothing`: the store says that nothing was done; null: nobody knows. */
function toOutput(outcome: WriteOutcome): Output | 'nothing' | null {
  if (!outcome.ok) return outcome.failure.type === 'outcome_unknown' ? null : 'nothing';
  const { result } = outcome;
  switch (result.type) {
    case 'written':
      return { type: 'written', created: result.created, revision: result.revision, version: result.version };
    case 'deleted':
      return { type: 'deleted', revision: result.revision, deleted: result.deleted === 1 };
    case 'precondition_failed':
      return { type: 'precondition_failed', modRevision: result.modRevision };
    case 'sessions_full':
    case 'value_too_large':
    case 'storage_full':
      return 'nothing';
    case 'session_expired':
    case 'seq_acknowledged':
    case 'seq_reused':
      throw new Error(`a clerk that keeps the rules was told ${result.type}`);
  }
}
