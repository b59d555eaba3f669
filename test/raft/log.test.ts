import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InvariantViolation } from '../../src/raft/invariant.ts';
import { ENTRY_OVERHEAD_BYTES, entryBytes, RaftLog } from '../../src/raft/log.ts';
import { configurationOf, entryOf, summaryOf } from './entries.ts';

/** A log whose entry i has the i-th term; compacted up to `lastIncludedIndex`. */
function logOf(terms: readonly number[], lastIncludedIndex = 0): RaftLog {
  const log = new RaftLog({ lastIncludedIndex: 0, lastIncludedTerm: 0, configuration: null, entries: [] });
  terms.forEach((term, i) => {
    log.append(entryOf(i + 1, term, 'x'.repeat(i)));
  });
  if (lastIncludedIndex > 0) log.compactTo(lastIncludedIndex);
  return log;
}

const ascending = fc.array(fc.nat(3), { maxLength: 30 }).map((steps) => {
  let term = 1;
  return steps.map((step) => {
    term += Math.max(0, step - 1);
    return term;
  });
});

describe('terms by index', () => {
  test('are known from lastIncludedIndex to lastIndex, and nowhere else', () => {
    const log = logOf([1, 1, 2, 4, 4], 2);
    expect([1, 2, 3, 4, 5, 6].map((index) => log.term(index))).toEqual([undefined, 1, 2, 4, 4, undefined]);
    expect(log).toMatchObject({ firstIndex: 3, lastIndex: 5, lastTerm: 4, lastIncludedTerm: 1 });
  });

  test('an empty log ends at index 0, term 0', () => {
    expect(logOf([])).toMatchObject({ firstIndex: 1, lastIndex: 0, lastTerm: 0 });
    expect(logOf([]).term(0)).toBe(0);
  });

  test('a log that is compacted to its end still knows its last term', () => {
    expect(logOf([1, 3], 2)).toMatchObject({ firstIndex: 3, lastIndex: 2, lastTerm: 3 });
  });

  test('append, truncate, compact, reset and restore agree with a plain list', () => {
    fc.assert(
      fc.property(ascending, fc.nat(30), fc.nat(30), (terms, truncateAt, compactAt) => {
        const log = logOf(terms);
        const kept = Math.max(1, truncateAt);
        if (kept <= terms.length) log.truncateFrom(kept);
        const list = terms.slice(0, kept <= terms.length ? kept - 1 : undefined);
        const compacted = Math.min(compactAt, list.length);
        if (compacted > 0) log.compactTo(compacted);
        expect(log.lastIndex).toBe(list.length);
        expect(log.lastTerm).toBe(list.at(-1) ?? 0);
        for (let index = 1; index <= terms.length; index += 1) {
          expect(log.term(index)).toBe(index < compacted ? undefined : list[index - 1]);
        }
      }),
    );
  });

  test('an append with a gap, or with a term that goes back, is a broken rule', () => {
    expect(() => logOf([1, 2]).append(entryOf(4, 2))).toThrow(InvariantViolation);
    expect(() => logOf([1, 2]).append(entryOf(3, 1))).toThrow(InvariantViolation);
  });

  test('what is compacted is never truncated, and nothing is compacted twice', () => {
    expect(() => logOf([1, 1, 1], 2).truncateFrom(2)).toThrow(InvariantViolation);
    expect(() => logOf([1, 1, 1], 2).compactTo(2)).toThrow(InvariantViolation);
    expect(() => logOf([1, 1, 1], 2).compactTo(4)).toThrow(InvariantViolation);
  });

  test('after a truncation down to its beginning, a log goes on from lastIncludedTerm', () => {
    const log = logOf([2, 2, 2], 1);
    log.truncateFrom(2);
    expect(log).toMatchObject({ lastIndex: 1, lastTerm: 2 });
    log.append(entryOf(2, 5));
    expect([1, 2].map((index) => log.term(index))).toEqual([2, 5]);
  });
});

describe('the conflict hint (section 5.3)', () => {
  test('is the largest index whose term is not above the one asked for', () => {
    const log = logOf([1, 1, 1, 4, 4, 5, 5, 6, 6, 6]);
    expect(log.findConflict(10, 6)).toBe(10);
    expect(log.findConflict(10, 5)).toBe(7);
    expect(log.findConflict(10, 3)).toBe(3);
    expect(log.findConflict(20, 6)).toBe(10);
    expect(log.findConflict(2, 6)).toBe(2);
    expect(log.findConflict(10, 0)).toBe(0);
  });

  test('never lies below lastIncludedIndex, unless it was asked for less', () => {
    const log = logOf([1, 1, 3, 3, 3], 3);
    expect(log.findConflict(5, 1)).toBe(3);
    expect(log.findConflict(2, 1)).toBe(2);
  });

  test('agrees with a search one by one', () => {
    fc.assert(
      fc.property(ascending, fc.nat(35), fc.nat(12), fc.nat(30), (terms, index, term, compactAt) => {
        const compacted = Math.min(compactAt, terms.length);
        const log = logOf(terms, compacted);
        let expected = Math.min(index, terms.length);
        while (expected > compacted && terms[expected - 1]! > term) expected -= 1;
        if (index < compacted) expected = index;
        expect(log.findConflict(index, term)).toBe(expected);
      }),
    );
  });
});

describe('sizes', () => {
  test('an entry costs its data and a fixed overhead, so that empty ones have a size too', () => {
    expect(entryBytes(entryOf(1, 1, 'four'))).toBe(ENTRY_OVERHEAD_BYTES + 4);
    expect(entryBytes({ payload: { type: 'noop' } })).toBe(ENTRY_OVERHEAD_BYTES);
  });

  test('of ranges, batches and tails agree with adding up', () => {
    const range = fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 }));
    fc.assert(
      fc.property(range, fc.nat(19), fc.nat(400), fc.integer({ min: 1, max: 8 }), (ends, compacted, bytes, entries) => {
        const log = logOf(Array(20).fill(1), compacted);
        const [from, to] = [Math.max(compacted + 1, Math.min(...ends)), Math.max(compacted + 1, ...ends)];
        const sum = (first: number, last: number) => {
          let total = 0;
          for (let index = first; index <= last; index += 1) total += ENTRY_OVERHEAD_BYTES + index - 1;
          return total;
        };
        expect(log.bytesBetween(from, to)).toBe(sum(from, to));
        expect(log.totalBytes).toBe(sum(compacted + 1, 20));
        const end = log.batchEnd(from, to, bytes, entries);
        expect(end === from || (sum(from, end) <= bytes && end - from < entries)).toBe(true);
        expect(end === to || end - from + 1 === entries || sum(from, end + 1) > bytes).toBe(true);
        const start = log.tailStart(to, bytes, entries);
        expect(sum(start, to) <= bytes && to - start < entries).toBe(true);
      }),
    );
  });

  test('a batch has at least one entry, however large it is', () => {
    expect(logOf([1, 1, 1]).batchEnd(2, 3, 1, 10)).toBe(2);
  });
});

describe('the configuration (section 6)', () => {
  test('counts from the moment it is in the log, and goes with it', () => {
    const log = logOf([]);
    const [first, second] = [configurationOf(3), configurationOf(5)];
    const payload = (configuration: typeof first) => ({ type: 'configuration' as const, configuration });
    log.append({ ...entryOf(1, 1), payload: payload(first) });
    log.append(entryOf(2, 1));
    log.append({ ...entryOf(3, 1), payload: payload(second) });
    expect(log.configuration).toBe(second);
    expect(log.configurationAt(2)).toBe(first);
    log.truncateFrom(3);
    expect(log.configuration).toBe(first);
    log.compactTo(2);
    expect(log.configuration).toBe(first);
  });

  test('is restored from summaries', () => {
    const entry = { ...entryOf(1, 1), payload: { type: 'configuration' as const, configuration: configurationOf(3) } };
    const restored = { lastIncludedIndex: 0, lastIncludedTerm: 0, configuration: null, entries: [summaryOf(entry)] };
    expect(new RaftLog(restored).configuration?.voters).toHaveLength(3);
  });
});
