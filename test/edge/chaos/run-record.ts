/** What the clerks did and saw in one run. */
import type { Input, Operation, Output } from '../../linearizability/history.ts';
import type { Listing } from '../../linearizability/listing.ts';
import { withoutPadding } from './pieces.ts';

/** Something that must not be. */
export interface Finding {
  readonly message: string;
  /** Where to look; null: it is about no key. */
  readonly key: string | null;
  /** When; null: during the whole run. */
  readonly atMs: number | null;
}

/** A read that may be old: the store as some peer had it at `storeRevision`. */
export interface StaleRead {
  readonly clientId: string;
  /** The one that was asked; null: any. */
  readonly peer: string | null;
  readonly key: string;
  /** Null: there was no such key. */
  readonly value: string | null;
  /** Null: there was no such key. */
  readonly modRevision: number | null;
  readonly storeRevision: number;
  readonly call: number;
  readonly return: number;
}

export type OperationType = 'get' | 'put' | 'append' | 'delete' | 'conditional' | 'list' | 'stale get';
export const OPERATION_TYPES: readonly OperationType[] = [
  'get',
  'put',
  'append',
  'delete',
  'conditional',
  'list',
  'stale get',
];

export interface Counts {
  ok: number;
  /** Refused, or no answer to a read: nothing was done. */
  failed: number;
  /** Writes that may have been done. */
  unknown: number;
}

/** `nothing`: certainly not done; `unknown`: nobody knows. */
export type WriteOutcome = Output | 'nothing' | 'unknown';

const MAX_INTERNED = 20_000;
const MAX_UNEXPECTED = 50;

export class RunRecord {
  readonly #startMs: number;
  readonly operations: Operation[] = [];
  readonly staleReads: StaleRead[] = [];
  readonly listings: Listing[] = [];
  /** When writes were acknowledged, ascending. */
  readonly acks: number[] = [];
  /** When the write that was acknowledged last was sent. */
  lastAckCall = 0;
  /** Replies that the contract does not allow; the first ones. */
  readonly unexpected: Finding[] = [];
  slowestReplyMs = 0;
  readonly counts = new Map<OperationType, Counts>(
    OPERATION_TYPES.map((type) => [type, { ok: 0, failed: 0, unknown: 0 }]),
  );
  readonly #interned = new Map<string, string>();

  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  /** Since the run began. */
  now(): number {
    return performance.now() - this.#startMs;
  }

  total(which: keyof Counts): number {
    return [...this.counts.values()].reduce((sum, counts) => sum + counts[which], 0);
  }

  count(type: OperationType, which: keyof Counts): void {
    const counts = this.counts.get(type);
    if (counts !== undefined) counts[which] += 1;
  }

  read(clientId: string, key: string, call: number, output: Output): void {
    this.operations.push({ clientId, key, input: { type: 'get' }, call, return: this.now(), output });
  }

  /** Notes a write, unless it was refused: its piece, if it is ever seen, is then nobody's. */
  write(
    clientId: string,
    key: string,
    input: Exclude<Input, { type: 'get' }>,
    call: number,
    outcome: WriteOutcome,
  ): void {
    if (outcome === 'nothing') return;
    const returned = this.now();
    const known = outcome !== 'unknown';
    this.operations.push({
      clientId,
      key,
      input,
      call,
      return: known ? returned : null,
      output: known ? outcome : null,
    });
    const changed = known && (outcome.type === 'written' || (outcome.type === 'deleted' && outcome.deleted));
    if (!changed) return;
    this.acks.push(returned);
    this.lastAckCall = Math.max(this.lastAckCall, call);
  }

  unexpectedReply(what: string): void {
    if (this.unexpected.length >= MAX_UNEXPECTED) return;
    this.unexpected.push({ message: `unexpected: ${what}`, key: null, atMs: this.now() });
  }

  /** A value as the history keeps it; equal ones share their memory. */
  value(received: string): string {
    const text = withoutPadding(received);
    const known = this.#interned.get(text);
    if (known !== undefined) return known;
    if (this.#interned.size >= MAX_INTERNED) this.#interned.clear();
    this.#interned.set(text, text);
    return text;
  }
}
