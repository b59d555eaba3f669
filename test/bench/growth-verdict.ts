/** Whether a snapshot takes memory in proportion to the state: it must not, for the state of a group is larger than an object's memory. */
import type { SnapshotRow } from './growth.ts';

export interface MemoryVerdict {
  /** What the process grew by at the large state, beyond what it grew by at the small one. */
  readonly moreMib: number;
  readonly isMet: boolean;
}

const SMALL_MIB = 100;
const LARGE_MIB = 1024;
/** Noise of a garbage-collected process, far below what a state of ten times the size would take. */
const MAX_MORE_MIB = 64;

/** Null: a run without these two sizes, which says nothing. */
export function memoryVerdict(rows: readonly SnapshotRow[]): MemoryVerdict | null {
  const grownMib = (size: number): number | null => {
    const row = rows.find(({ stateMib }) => stateMib === size);
    return row === undefined ? null : row.peakMib - row.beforeMib;
  };
  const [small, large] = [grownMib(SMALL_MIB), grownMib(LARGE_MIB)];
  if (small === null || large === null) return null;
  const moreMib = large - small;
  return { moreMib, isMet: moreMib <= MAX_MORE_MIB };
}

export function verdictLine(verdict: MemoryVerdict | null): string {
  const rule = `a snapshot of ${LARGE_MIB} MiB must take at most ${MAX_MORE_MIB} MiB more memory than one of ${SMALL_MIB} MiB`;
  if (verdict === null) return `(${rule}: not measured here)`;
  return `${rule}: ${verdict.moreMib.toFixed(1)} MiB more: ${verdict.isMet ? 'must' : 'MISSED'}`;
}
