/**
 * Stale reads: the store as it was, never as it never was. A read at revision S must show what the writes up to S have left
 * of its key, S must not lie in the future of the read, and no peer's revision goes back.
 */
import type { Operation } from '../../linearizability/history.ts';
import { piecesOf } from './pieces.ts';
import type { Finding, StaleRead } from './run-record.ts';

/** A write that was told its revision. */
interface Known {
  readonly revision: number;
  readonly operation: Operation;
}

const MAX_VIOLATIONS = 20;

/**
 * What is wrong with `reads`. `operations`: all that wrote to the store since it was empty, and the
 * linearizable reads, whose values must be the same at the same modRevision.
 */
export function findStaleViolations(operations: readonly Operation[], reads: readonly StaleRead[]): Finding[] {
  const history = new KnownHistory(operations);
  const violations: Finding[] = [];
  for (const read of reads) {
    const wrong = history.judge(read);
    if (wrong !== null && violations.length < MAX_VIOLATIONS) violations.push(finding(wrong, read));
  }
  return [...violations, ...backward(reads)];
}

const finding = (wrong: string, read: StaleRead): Finding => ({
  message: `stale read, ${wrong}: ${JSON.stringify(read)}`,
  key: read.key,
  atMs: read.return,
});

class KnownHistory {
  /** By key, in the order of revisions. */
  readonly #known = new Map<string, Known[]>();
  /** Writes of unknown outcome, by key. */
  readonly #open = new Map<string, Operation[]>();
  readonly #keyOf = new Map<number, string>();
  /** By revision, ascending: the latest call among the writes up to it. */
  readonly #revisions: number[] = [];
  readonly #latestCalls: number[] = [];
  /** Calls of all that may have moved the revision, ascending. */
  readonly #calls: number[] = [];
  /** When each piece was sent, by key and piece. */
  readonly #sent = new Map<string, number>();
  /** By key and modRevision, from whatever told it first. */
  readonly #values = new Map<string, string>();

  constructor(operations: readonly Operation[]) {
    const told: Known[] = [];
    for (const operation of operations) {
      const { key, input, output, call } = operation;
      if (input.type === 'put' || input.type === 'append') this.#sent.set(`${key} ${input.value}`, call);
      const revision = writtenRevision(operation);
      if (revision !== null) told.push({ revision, operation });
      else if (output === null && input.type !== 'get') push(this.#open, key, operation);
      if (revision !== null || output === null) this.#calls.push(call);
      if (output?.type === 'value') this.#values.set(`${key} ${output.modRevision}`, output.value);
      if (input.type === 'put' && revision !== null) this.#values.set(`${key} ${revision}`, input.value);
    }
    this.#calls.sort((a, b) => a - b);
    told.sort((a, b) => a.revision - b.revision);
    let latest = 0;
    for (const known of told) {
      latest = Math.max(latest, known.operation.call);
      this.#revisions.push(known.revision);
      this.#latestCalls.push(latest);
      this.#keyOf.set(known.revision, known.operation.key);
      push(this.#known, known.operation.key, known);
    }
  }

  judge(read: StaleRead): string | null {
    return this.#fromTheFuture(read) ?? (read.value === null ? this.#missing(read) : this.#present(read, read.value));
  }

  #fromTheFuture({ storeRevision, return: returned }: StaleRead): string | null {
    const at = countUpTo(this.#revisions, storeRevision) - 1;
    if ((this.#latestCalls[at] ?? 0) > returned) return 'from the future: a write up to its revision was sent later';
    // Each write makes one revision, and the store began at 0.
    if (storeRevision > countUpTo(this.#calls, returned)) return 'from the future: fewer writes had been sent';
    return null;
  }

  #missing({ key, storeRevision, return: returned }: StaleRead): string | null {
    const last = this.#lastBefore(key, storeRevision);
    if (last === null || last.operation.output?.type === 'deleted') return null;
    return this.#mayHave(key, returned, ['delete']) ? null : `key missing after ${JSON.stringify(last.operation)}`;
  }

  #present({ key, modRevision, storeRevision, return: returned }: StaleRead, value: string): string | null {
    const revision = modRevision ?? 0;
    if (revision > storeRevision || revision < 1) return 'a value that is newer than its store';
    const last = this.#lastBefore(key, storeRevision);
    if (last !== null && revision < last.revision) return `it misses ${JSON.stringify(last.operation)}`;
    if (last?.revision === revision && last.operation.output?.type === 'deleted') return 'it shows a deleted key';
    if (last?.revision !== revision && !this.#mayHave(key, returned, ['put', 'append']))
      return 'nobody has written that revision';
    const owner = this.#keyOf.get(revision);
    if (owner !== undefined && owner !== key) return `that revision wrote ${owner}`;
    const told = this.#values.get(`${key} ${revision}`);
    if (told !== undefined && told !== value) return `others saw ${told} at that revision`;
    this.#values.set(`${key} ${revision}`, value);
    return this.#invented(key, value, returned);
  }

  #invented(key: string, value: string, returned: number): string | null {
    const pieces = piecesOf(value);
    if (pieces === null) return 'a damaged value';
    if (new Set(pieces).size !== pieces.length) return 'a write was done twice';
    const unknown = pieces.find((text) => (this.#sent.get(`${key} ${text}`) ?? Number.POSITIVE_INFINITY) > returned);
    return unknown === undefined ? null : `nobody had sent ${unknown}`;
  }

  #lastBefore(key: string, revision: number): Known | null {
    return this.#known.get(key)?.findLast((known) => known.revision <= revision) ?? null;
  }

  #mayHave(key: string, returned: number, types: readonly string[]): boolean {
    return this.#open.get(key)?.some(({ input, call }) => types.includes(input.type) && call <= returned) ?? false;
  }
}

/** Reads of one peer, one after the other: the later one shows no older store. */
function backward(reads: readonly StaleRead[]): Finding[] {
  const violations: Finding[] = [];
  for (const [peer, own] of Map.groupBy(reads, (read) => read.peer)) {
    if (peer === null) continue;
    const byReturn = own.toSorted((a, b) => a.return - b.return);
    let next = 0;
    let newest: StaleRead | null = null;
    for (const read of own.toSorted((a, b) => a.call - b.call)) {
      for (let before = byReturn[next]; before && before.return < read.call; before = byReturn[++next]) {
        if (before.storeRevision > (newest?.storeRevision ?? 0)) newest = before;
      }
      if (newest === null || read.storeRevision >= newest.storeRevision) continue;
      if (violations.length < MAX_VIOLATIONS)
        violations.push(finding(`peer ${peer} went back, from ${JSON.stringify(newest)}`, read));
    }
  }
  return violations;
}

function writtenRevision({ output }: Operation): number | null {
  if (output?.type === 'written') return output.revision ?? null;
  return output?.type === 'deleted' && output.deleted ? (output.revision ?? null) : null;
}

/** How many of the ascending `numbers` are at most `limit`. */
function countUpTo(numbers: readonly number[], limit: number): number {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] ?? 0) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

function push<T>(map: Map<string, T[]>, key: string, item: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [item]);
  else list.push(item);
}
