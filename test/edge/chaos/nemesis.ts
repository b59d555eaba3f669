/** Makes the planned faults happen, one after the other with calm in between, and notes when each began and ended. */
import { type EdgeRuntime, eventually, sleep } from '../edge-runtime.ts';
import { cutsOf, describeFault, type FaultKind, type PlannedFault } from './fault-schedule.ts';
import type { RunRecord } from './run-record.ts';
import type { Transport } from './transport.ts';

export interface FaultSpan {
  readonly kind: FaultKind;
  readonly detail: string;
  readonly beginMs: number;
  /** Null: it is on. */
  readonly endMs: number | null;
  /** When a write that was sent after its end had been acknowledged. */
  readonly recoveredMs: number | null;
  /** Time that the runtime itself took to start again. */
  readonly startMs: number;
}

/** After a fault has ended, somebody must be able to write within this: far beyond what it takes, even on a busy machine. */
const RECOVERY_LIMIT_MS = 60_000;

export class NoProgress extends Error {
  override readonly name = 'NoProgress';
}

export class Nemesis {
  readonly #edge: EdgeRuntime;
  readonly #transport: Transport;
  readonly #record: RunRecord;
  readonly #schedule: Iterator<PlannedFault, never, void>;
  readonly #peers: readonly string[];
  readonly spans: FaultSpan[] = [];
  /** What the runtime took to start again, in the present fault. */
  #startMs = 0;

  constructor(
    edge: EdgeRuntime,
    transport: Transport,
    record: RunRecord,
    schedule: Iterator<PlannedFault, never, void>,
    peers: readonly string[],
  ) {
    this.#edge = edge;
    this.#transport = transport;
    this.#record = record;
    this.#schedule = schedule;
    this.#peers = peers;
  }

  get present(): FaultSpan | null {
    const last = this.spans.at(-1);
    return last?.endMs === null ? last : null;
  }

  /**
   * Faults and calm until `untilMs` of the run, and however late it is the first `atLeast` faults; no other begins that would end later.
   * Everything is healed at the end.
   */
  async run(untilMs: number, atLeast: number): Promise<void> {
    while (true) {
      const fault = this.#schedule.next().value;
      const late = this.#record.now() + fault.calmMs + fault.holdMs > untilMs;
      if (late && this.spans.length >= atLeast) break;
      await sleep(fault.calmMs);
      await this.#one(fault);
    }
    await sleep(Math.max(0, untilMs - this.#record.now()));
  }

  async healAll(): Promise<void> {
    await Promise.all(this.#peers.map((peer) => this.#edge.fault(peer, { action: 'heal' })));
  }

  async #one(fault: PlannedFault): Promise<void> {
    const at = this.spans.length;
    this.#startMs = 0;
    const { kind } = fault;
    const begun = { kind, detail: describeFault(fault), beginMs: this.#record.now(), endMs: null, recoveredMs: null };
    this.spans.push({ ...begun, startMs: 0 });
    const target = await this.#strike(fault);
    await this.healAll();
    const endMs = this.#record.now();
    const detail = [begun.detail, target].filter(Boolean).join(': ');
    this.spans[at] = { ...begun, detail, endMs, startMs: this.#startMs };
    const recoveredMs = await this.#recovered(endMs);
    this.spans[at] = { ...begun, detail, endMs, startMs: this.#startMs, recoveredMs };
  }

  /** Returns whom it has met, if only now that is known. */
  async #strike(fault: PlannedFault): Promise<string> {
    const { kind, holdMs, peers, count, repeats } = fault;
    switch (kind) {
      case 'crash of a peer':
        return this.#crashes(fault, repeats, async () => [peers[0] ?? '']);
      case 'crash of the leader':
        return this.#crashes(fault, repeats, async () => [await this.#leader(fault)]);
      case 'crash of all':
        return this.#crashes(fault, repeats, async () => [...peers]);
      case 'isolation':
      case 'isolation of a majority':
        await this.#order(peers.slice(0, count), { action: 'isolate' });
        break;
      case 'isolation of the leader': {
        const leader = await this.#leader(fault);
        await this.#order([leader], { action: 'isolate' });
        await sleep(holdMs);
        return `peer ${leader}`;
      }
      case 'one-way cut':
        await this.#cut(fault);
        break;
      case 'loss':
        await this.#order(peers.slice(0, count), { action: 'drop', rate: fault.rate });
        break;
      case 'delay':
        await this.#delay(fault, peers.slice(0, count));
        break;
      case 'kill of the runtime':
        await this.#kill(fault.downMs);
        return '';
      case 'all at once':
        await this.#everything(fault);
        return '';
    }
    await sleep(holdMs);
    return '';
  }

  async #crashes(fault: PlannedFault, repeats: number, targets: () => Promise<string[]>): Promise<string> {
    const met: string[] = [];
    for (let i = 0; i < repeats; i += 1) {
      const peers = await targets();
      await this.#order(peers, { action: 'crash' });
      met.push(peers.join(','));
      if (i + 1 < repeats) await sleep(fault.holdMs / repeats);
    }
    return `peers ${met.join(' then ')}`;
  }

  async #everything(fault: PlannedFault): Promise<void> {
    const { peers, holdMs } = fault;
    const [first = '', second = ''] = peers;
    await this.#order(peers, { action: 'drop', rate: fault.rate / 3 });
    await this.#delay(fault, peers);
    await this.#order([first], { action: 'isolate' });
    await this.#cut({ ...fault, peers: peers.slice(1), count: 1 });
    await sleep(holdMs / 4);
    await this.#order([await this.#leader(fault)], { action: 'crash' });
    await sleep(holdMs / 4);
    // Faults are stored: they meet the group again when it starts.
    await this.#kill(fault.downMs);
    await sleep(holdMs / 4);
    await this.#order([second], { action: 'crash' });
    await sleep(holdMs / 4);
    await this.#order(peers, { action: 'crash' });
  }

  async #kill(downMs: number): Promise<void> {
    this.#transport.goesDown();
    await this.#edge.kill();
    await sleep(downMs);
    const startMs = performance.now();
    await this.#edge.restart();
    this.#startMs += performance.now() - startMs;
    this.#transport.isUp();
  }

  #cut(fault: PlannedFault): Promise<unknown> {
    return Promise.all(cutsOf(fault).map(({ at, from }) => this.#edge.fault(at, { action: 'cut', from })));
  }

  #delay({ minDelayMs, maxDelayMs }: PlannedFault, peers: readonly string[]): Promise<unknown> {
    return this.#order(peers, { action: 'delay', minMs: minDelayMs, maxMs: maxDelayMs });
  }

  #order(peers: readonly string[], fault: Readonly<Record<string, unknown>>): Promise<unknown> {
    return Promise.all(peers.map((peer) => this.#edge.fault(peer, fault)));
  }

  /** The one that leads now; if nobody does, the first of the fault's peers. */
  async #leader({ peers }: PlannedFault): Promise<string> {
    const leader = await this.#edge.cluster().then(
      (cluster) => cluster.leader,
      () => null,
    );
    return leader ?? peers[0] ?? '';
  }

  /** Waits for a write that was sent after `endMs`. */
  async #recovered(endMs: number): Promise<number> {
    const attempt = async (): Promise<number | null> => (this.#record.lastAckCall > endMs ? this.#record.now() : null);
    try {
      return await eventually('a write after the fault', attempt, RECOVERY_LIMIT_MS);
    } catch {
      const fault = this.spans.at(-1);
      throw new NoProgress(`no write within ${RECOVERY_LIMIT_MS} ms after ${fault?.kind} (${fault?.detail}) had ended`);
    }
  }
}
