/**
 * What the core knows of the log: terms, sizes and configurations, never data. Terms are kept as runs, so a
 * log of a million entries in one term is one run; sizes are one number an entry, and compaction bounds their count.
 */
import { invariant } from './invariant.ts';
import type { Configuration, Entry, EntrySummary, RestoredState } from './types.ts';

/** Fixed cost of an entry, counted so that a flood of empty entries has a size too. */
export const ENTRY_OVERHEAD_BYTES = 32;
const MEMBER_BYTES = 64;

export function entryBytes(entry: Pick<Entry, 'payload'>): number {
  switch (entry.payload.type) {
    case 'command':
    case 'unknown':
      return ENTRY_OVERHEAD_BYTES + entry.payload.data.byteLength;
    case 'noop':
      return ENTRY_OVERHEAD_BYTES;
    case 'configuration':
      return ENTRY_OVERHEAD_BYTES + MEMBER_BYTES * entry.payload.configuration.voters.length;
  }
}

export class RaftLog {
  lastIncludedIndex: number;
  lastIncludedTerm: number;
  #baseConfiguration: Configuration | null;
  /** Runs of equal terms, by first index. */
  #runs: { firstIndex: number; term: number }[] = [];
  /** `#ends[i]`: bytes of all entries that this instance has seen, up to index `#endsFrom + i`: any range is a difference. */
  #ends: number[] = [];
  #endsFrom: number;
  /** The same, up to lastIncludedIndex. */
  #startBytes = 0;
  #configurations: { index: number; configuration: Configuration }[] = [];

  constructor(restored: Pick<RestoredState, 'lastIncludedIndex' | 'lastIncludedTerm' | 'configuration' | 'entries'>) {
    this.lastIncludedIndex = restored.lastIncludedIndex;
    this.lastIncludedTerm = restored.lastIncludedTerm;
    this.#baseConfiguration = restored.configuration;
    this.#endsFrom = restored.lastIncludedIndex + 1;
    for (const summary of restored.entries) this.#push(summary);
  }

  get firstIndex(): number {
    return this.lastIncludedIndex + 1;
  }

  get lastIndex(): number {
    return this.#endsFrom + this.#ends.length - 1;
  }

  get lastTerm(): number {
    return this.#runs.at(-1)?.term ?? this.lastIncludedTerm;
  }

  get totalBytes(): number {
    return this.#endOf(this.lastIndex) - this.#startBytes;
  }

  /** The newest configuration, committed or not: it counts from the moment it is in the log (section 6). */
  get configuration(): Configuration | null {
    return this.#configurations.at(-1)?.configuration ?? this.#baseConfiguration;
  }

  configurationAt(index: number): Configuration | null {
    const found = this.#configurations.findLast((item) => item.index <= index);
    return found?.configuration ?? this.#baseConfiguration;
  }

  /** The term of the entry at `index`; undefined if it is compacted away or not there yet. */
  term(index: number): number | undefined {
    if (index === this.lastIncludedIndex) return this.lastIncludedTerm;
    if (index < this.lastIncludedIndex || index > this.lastIndex) return undefined;
    return this.#runs.findLast((run) => run.firstIndex <= index)?.term;
  }

  append(entry: Entry): void {
    this.#push({
      index: entry.index,
      term: entry.term,
      bytes: entryBytes(entry),
      ...(entry.payload.type === 'configuration' && { configuration: entry.payload.configuration }),
    });
  }

  #push(summary: EntrySummary): void {
    invariant(summary.index === this.lastIndex + 1, 'the log has no gaps');
    invariant(summary.term >= this.lastTerm, 'terms never decrease along the log');
    if (summary.term !== this.#runs.at(-1)?.term) this.#runs.push({ firstIndex: summary.index, term: summary.term });
    if (summary.configuration !== undefined) {
      this.#configurations.push({ index: summary.index, configuration: summary.configuration });
    }
    this.#ends.push(this.#endOf(summary.index - 1) + summary.bytes);
  }

  truncateFrom(index: number): void {
    invariant(index > this.lastIncludedIndex, 'what is compacted is never truncated');
    this.#ends.length = Math.min(this.#ends.length, index - this.#endsFrom);
    this.#runs = this.#runs.filter((run) => run.firstIndex < index);
    this.#configurations = this.#configurations.filter((item) => item.index < index);
  }

  compactTo(index: number): void {
    const term = this.term(index);
    invariant(term !== undefined && index > this.lastIncludedIndex, 'compaction moves forward, within the log');
    this.#startBytes = this.#endOf(index);
    this.#baseConfiguration = this.configurationAt(index);
    this.#configurations = this.#configurations.filter((item) => item.index > index);
    this.#ends.splice(0, index + 1 - this.#endsFrom);
    this.#endsFrom = index + 1;
    this.lastIncludedIndex = index;
    this.lastIncludedTerm = term;
    const covering = this.#runs.findLastIndex((run) => run.firstIndex <= index + 1);
    if (covering > 0) this.#runs.splice(0, covering);
    if (this.#ends.length === 0) this.#runs = [];
  }

  /** Everything goes; the log begins after a snapshot. */
  reset(lastIncludedIndex: number, lastIncludedTerm: number, configuration: Configuration): void {
    this.lastIncludedIndex = lastIncludedIndex;
    this.lastIncludedTerm = lastIncludedTerm;
    this.#baseConfiguration = configuration;
    this.#configurations = [];
    this.#runs = [];
    this.#ends = [];
    this.#endsFrom = lastIncludedIndex + 1;
    this.#startBytes = 0;
  }

  /** Section 5.4.1: by last term first, by length only if those are equal. */
  isUpToDate(lastLogIndex: number, lastLogTerm: number): boolean {
    return lastLogTerm > this.lastTerm || (lastLogTerm === this.lastTerm && lastLogIndex >= this.lastIndex);
  }

  /**
   * The largest index, at most `index`, whose term is at most `term`: beyond it the two logs cannot agree. Never below
   * lastIncludedIndex (what lies there is committed, and needs a snapshot if it differs).
   */
  findConflict(index: number, term: number): number {
    let candidate = Math.min(index, this.lastIndex);
    for (let i = this.#runs.length - 1; i >= 0; i -= 1) {
      const run = this.#runs[i];
      if (run === undefined || run.firstIndex > candidate) continue;
      if (run.term <= term) return candidate;
      candidate = run.firstIndex - 1;
    }
    return Math.max(candidate, Math.min(index, this.lastIncludedIndex));
  }

  /** Bytes of the entries of a range; what of it is compacted counts nothing. */
  bytesBetween(fromIndex: number, toIndex: number): number {
    if (toIndex < fromIndex || toIndex < this.firstIndex) return 0;
    return this.#endOf(toIndex) - this.#endOf(Math.max(fromIndex, this.firstIndex) - 1);
  }

  /** The last index of a batch that begins at `fromIndex`: at most that many bytes and entries, but at least one entry. */
  batchEnd(fromIndex: number, toIndex: number, maxBytes: number, maxEntries: number): number {
    const last = Math.min(toIndex, fromIndex + maxEntries - 1);
    return search(fromIndex, last, (index) => this.bytesBetween(fromIndex, index) <= maxBytes);
  }

  /** The first index of a tail that ends at `toIndex`: at most that many bytes and entries; `toIndex + 1` if nothing fits. */
  tailStart(toIndex: number, maxBytes: number, maxEntries: number): number {
    const first = Math.max(this.firstIndex, toIndex + 1 - maxEntries);
    return (
      toIndex +
      1 -
      search(0, toIndex + 1 - first, (count) => this.bytesBetween(toIndex + 1 - count, toIndex) <= maxBytes)
    );
  }

  #endOf(index: number): number {
    return index < this.#endsFrom ? this.#startBytes : (this.#ends[index - this.#endsFrom] as number);
  }
}

/** The largest value from `from` to `to` for which `fits` is true, if it is true up to some value; at least `from`. */
function search(from: number, to: number, fits: (value: number) => boolean): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
