/** The verdict on the memory that a snapshot takes. */
import { expect, test } from 'vitest';
import { type SnapshotRow, snapshotTable } from './growth.ts';
import { memoryVerdict, verdictLine } from './growth-verdict.ts';

/** One that takes `grownMib`. */
const row = (stateMib: number, grownMib: number): SnapshotRow => ({
  stateMib,
  elapsedMs: 1000,
  // The process itself may be larger with more state: the cache of its databases is.
  beforeMib: stateMib,
  peakMib: stateMib + grownMib,
});

test.each([
  [40, 104, true, 'must'],
  [40, 104.5, false, 'MISSED'],
  [40, 10, true, 'must'],
])('%d MiB at 100 MiB of state and %d MiB at 1 GiB: %s', (small, large, isMet, word) => {
  const verdict = memoryVerdict([row(10, 500), row(100, small), row(1024, large)]);
  expect(verdict).toEqual({ moreMib: large - small, isMet });
  expect(verdictLine(verdict)).toMatch(
    new RegExp(`than one of 100 MiB: ${(large - small).toFixed(1)} MiB more: ${word}$`),
  );
});

test('a figure that is missing is no success, and a run without these sizes no verdict', () => {
  expect(memoryVerdict([row(100, 1), row(1024, Number.NaN)])?.isMet).toBe(false);
  expect(memoryVerdict([row(10, 1), row(50, 1)])).toBeNull();
  expect(verdictLine(null)).toContain('not measured here');
});

test('the table says what each snapshot took', () => {
  expect(snapshotTable([row(100, 40)]).split('\n')[1]).toMatch(/^ +100 +1\.0 +100\.0 +100\.0 +140\.0 +40\.0$/);
});
