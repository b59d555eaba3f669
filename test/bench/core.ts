/**
 *     npm run bench:core [-- --seconds 1 --rounds 3 --value-bytes 64]
 *
 * Entries a second through three cores in one process: no runtime, no disk, no network, no state machine. What is written is
 * durable at once, messages arrive at once, and what commits counts as applied. What is left is what the rules of Raft cost.
 */
import { parseArgs } from 'node:util';
import type { AppendEntries, Reply, Request } from '../../src/raft/messages.ts';
import { Raft } from '../../src/raft/raft.ts';
import { DEFAULT_LIMITS, type Effects, type Entry, type Input, type PeerId } from '../../src/raft/types.ts';
import { configurationOf, summaryOf } from '../raft/entries.ts';
import { median } from './quantile.ts';

const PEERS = 3;
const BATCHES = [1, 4, 16, 64, 256, 1024, 4096];
const WARM_UP_SECONDS = 0.3;

export interface CoreRow {
  /** Entries proposed before any message moves. */
  readonly batchEntries: number;
  readonly entriesPerSecond: number;
  /** Requests and replies. */
  readonly messagesPerEntry: number;
  /** Of the whole group: leader and followers. */
  readonly nsPerEntry: number;
}

export interface CoreOptions {
  /** Of one batch size in one round. */
  readonly seconds: number;
  /** Of all batch sizes in turn; the median of each counts. */
  readonly rounds: number;
  readonly valueBytes: number;
  readonly batches?: readonly number[];
  /** Of each batch size, before the first round. */
  readonly warmUpSeconds?: number;
}

/** One core, and what it keeps of the log: the data that `AppendEntries` carries. */
class Core {
  readonly raft: Raft;
  readonly outbox: Request[] = [];
  reply: Reply | null = null;
  /** Stands still once the group is up: nothing beats, and nobody stands. */
  nowMs = 0;
  readonly #entries: Entry[];
  /** Index of `#entries[0]`. */
  #firstIndex = 1;

  constructor(id: PeerId, founding: Entry) {
    this.#entries = [founding];
    const options = { id, heartbeatMs: 200, electionTimeoutMs: 1000, applyVersion: 1, limits: DEFAULT_LIMITS };
    const hardState = { currentTerm: 1, votedFor: null };
    const restored = { hardState, lastIncludedIndex: 0, lastIncludedTerm: 0, configuration: null, lastApplied: 0 };
    this.raft = new Raft(options, { ...restored, entries: [summaryOf(founding)] }, { nowMs: 0, random: 0.5 });
  }

  /** `callBudget` 0: what is due is sent at a later step. */
  step(input: Input, callBudget: number): void {
    const before = this.raft.log.lastIndex;
    const effects = this.raft.step(input, { nowMs: this.nowMs, random: 0.5, callBudget });
    this.#write(effects, before);
    if (effects.reply !== null) this.reply = effects.reply;
    for (const request of effects.requests) this.outbox.push(this.#withEntries(request as AppendEntries));
    if (effects.committed !== null) this.step({ type: 'applied', index: effects.committed.toIndex }, callBudget);
  }

  #write({ append, truncateFrom, compact }: Effects, lastIndex: number): void {
    if (truncateFrom !== null) throw new Error(`nothing conflicts here, but ${truncateFrom} to ${lastIndex} does`);
    for (const entry of append) this.#entries.push(entry);
    if (compact === null) return;
    this.#entries.splice(0, compact.lastIncludedIndex + 1 - this.#firstIndex);
    this.#firstIndex = compact.lastIncludedIndex + 1;
  }

  #withEntries(request: AppendEntries): Request {
    if (request.type !== 'AppendEntries') return request;
    const from = request.prevLogIndex + 1 - this.#firstIndex;
    return { ...request, entries: this.#entries.slice(from, request.lastIndex + 1 - this.#firstIndex) };
  }
}

/** Three cores and the messages between them. Core 1 leads. */
export class CoreGroup {
  readonly #cores: readonly Core[];
  readonly leader: Core;
  /** Requests and replies delivered so far. */
  messages = 0;

  constructor() {
    const payload = { type: 'configuration' as const, configuration: configurationOf(PEERS) };
    const founding: Entry = { index: 1, term: 1, applyVersion: 1, elapsedMs: 0, payload };
    this.#cores = Array.from({ length: PEERS }, (_, i) => new Core(i + 1, founding));
    this.leader = this.#core(1);
    this.leader.nowMs = 10_000;
    this.leader.step({ type: 'tick' }, 32);
    this.#exchange();
    if (this.leader.raft.role !== 'leader') throw new Error('core 1 was to be elected');
  }

  #core(id: PeerId): Core {
    return this.#cores[id - 1] as Core;
  }

  /** Proposes so many entries, then moves messages until all are committed, and known to be. */
  commit(batchEntries: number, data: Uint8Array): void {
    const { leader } = this;
    for (let i = 1; i <= batchEntries; i += 1) leader.step({ type: 'propose', data }, i === batchEntries ? 32 : 0);
    this.#exchange();
    if (leader.raft.lastApplied !== leader.raft.log.lastIndex) throw new Error('not everything was committed');
  }

  #exchange(): void {
    const { leader } = this;
    this.#flush();
    for (let request = leader.outbox.shift(); request !== undefined; request = leader.outbox.shift()) {
      const follower = this.#core(request.to);
      follower.step({ type: 'request', message: request }, 0);
      if (follower.reply === null) throw new Error('a request was not answered');
      leader.step({ type: 'reply', message: follower.reply }, 32);
      follower.reply = null;
      this.messages += 2;
      if (leader.raft.durableIndex < leader.raft.log.lastIndex) this.#flush();
    }
  }

  /** What the leader wrote for itself is on disk. */
  #flush(): void {
    const { raft } = this.leader;
    this.leader.step({ type: 'durable', term: raft.currentTerm, index: raft.log.lastIndex }, 32);
  }
}

interface Measured {
  readonly entries: number;
  readonly messages: number;
  readonly elapsedMs: number;
}

function run(batchEntries: number, seconds: number, data: Uint8Array): Measured {
  const group = new CoreGroup();
  const startMs = performance.now();
  const messagesBefore = group.messages;
  let entries = 0;
  let elapsedMs = 0;
  while (elapsedMs < seconds * 1000) {
    // Enough between two looks at the clock that looking costs nothing.
    for (let done = 0; done < 256; done += batchEntries) {
      group.commit(batchEntries, data);
      entries += batchEntries;
    }
    elapsedMs = performance.now() - startMs;
  }
  return { entries, messages: group.messages - messagesBefore, elapsedMs };
}

/** Rows in the order of `batches`. */
export function measureCore(options: CoreOptions): CoreRow[] {
  const { seconds, rounds, valueBytes, batches = BATCHES, warmUpSeconds = WARM_UP_SECONDS } = options;
  const data = new Uint8Array(valueBytes);
  const measured = new Map<number, Measured[]>(batches.map((batch) => [batch, []]));
  for (const batch of batches) run(batch, warmUpSeconds, data);
  for (let round = 0; round < rounds; round += 1) {
    for (const batch of batches) measured.get(batch)?.push(run(batch, seconds, data));
  }
  return batches.map((batch) => rowOf(batch, measured.get(batch) ?? []));
}

function rowOf(batchEntries: number, runs: readonly Measured[]): CoreRow {
  const nsPerEntry = median(runs.map(({ elapsedMs, entries }) => (elapsedMs * 1e6) / entries));
  const messagesPerEntry = median(runs.map(({ messages, entries }) => messages / entries));
  return { batchEntries, entriesPerSecond: 1e9 / nsPerEntry, messagesPerEntry, nsPerEntry };
}

export function coreTable(rows: readonly CoreRow[]): string {
  const line = (batch: string, entries: string, messages: string, ns: string): string =>
    `${batch.padStart(7)} ${entries.padStart(12)} ${messages.padStart(16)} ${ns.padStart(10)}`;
  const lines = rows.map((row) =>
    line(
      String(row.batchEntries),
      Math.round(row.entriesPerSecond).toLocaleString('en'),
      row.messagesPerEntry.toFixed(4),
      row.nsPerEntry.toFixed(0),
    ),
  );
  return [line('batch', 'entries/s', 'messages/entry', 'ns/entry'), ...lines].join('\n');
}

function positive(text: string, name: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  console.error(`--${name} must be a positive number, not ${text}`);
  process.exit(1);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '3' },
      'value-bytes': { type: 'string', default: '64' },
      batches: { type: 'string', default: BATCHES.join(',') },
    },
  });
  const rows = measureCore({
    seconds: positive(values.seconds, 'seconds'),
    rounds: positive(values.rounds, 'rounds'),
    valueBytes: positive(values['value-bytes'], 'value-bytes'),
    batches: values.batches.split(',').map((text) => positive(text, 'batches')),
  });
  console.log(`three cores in one process, entries of ${values['value-bytes']} bytes, no runtime and no disk\n`);
  console.log(coreTable(rows));
}
