/** The smallest bad window: what is needed for the contradiction, and nothing else. */
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../clerk/simulated-platform.ts';
import type { Violation } from './check-result.ts';
import { checkStoreHistory } from './check-store-history.ts';
import { generateStoreHistory } from './generated-history.ts';
import type { Input, Operation, Output } from './history.ts';
import type { Listing } from './listing.ts';

function operation(call: number, key: string, input: Input, output: Output | null): Operation {
  return { clientId: 'c', key, input, call, return: output === null ? null : call + 1, output };
}

/** Writes 1 to 20 of each of two keys, one after the other, with a read after each: all legal. */
function twentyWrites(): Operation[] {
  return Array.from({ length: 40 }, (_, i) => {
    const [key, revision, version] = [i % 2 === 0 ? 'x' : 'y', i + 1, (i >> 1) + 1];
    const value = `${key}${version}`;
    const put: Output = { type: 'written', revision, version, created: version === 1 };
    const read: Output = { type: 'value', value, modRevision: revision, version, storeRevision: revision };
    return [operation(i * 10, key, { type: 'put', value }, put), operation(i * 10 + 5, key, { type: 'get' }, read)];
  }).flat();
}

function violationOf(operations: readonly Operation[], listings: readonly Listing[] = []): Violation {
  const result = checkStoreHistory(operations, listings);
  if (result.type !== 'violation') throw new Error(`this is ${result.type}`);
  return result;
}

const history = twentyWrites();

it('what they are taken from is legal', () => {
  expect(checkStoreHistory(history, []).type).toBe('ok');
});

describe('the bad window', () => {
  it('of a stale read is the read and what tells the newer value', () => {
    const stale: Output = { type: 'value', value: 'x15', modRevision: 29, version: 15, storeRevision: 40 };
    const read = operation(395.5, 'x', { type: 'get' }, stale);
    const { window, culprit, key } = violationOf([...history, read]);
    expect(key).toBe('x');
    expect(culprit).toBe(read);
    expect(window).toHaveLength(2);
    expect(window.map(({ output }) => output)).toContainEqual(
      expect.objectContaining({ type: 'value', value: 'x20', modRevision: 39 }),
    );
  });

  it('of a value that nobody wrote is little more than the read', () => {
    const wrong: Output = { type: 'value', value: '?', modRevision: 29, version: 15, storeRevision: 30 };
    const { window } = violationOf(history.with(59, operation(295, 'x', { type: 'get' }, wrong)));
    expect(window.length).toBeLessThanOrEqual(2);
  });

  it('of a lost append holds the append and the read that lacks it', () => {
    const append = (call: number, value: string, revision: number) =>
      operation(call, 'z', { type: 'append', value }, { type: 'written', revision });
    const seen: Output = { type: 'value', value: 'ac', modRevision: 43, storeRevision: 43 };
    const appends = [append(500, 'a', 41), append(510, 'b', 42), append(520, 'c', 43)];
    const read = operation(530, 'z', { type: 'get' }, seen);
    const { window } = violationOf([...history, ...appends, read]);
    expect(window).toEqual([appends[1], read]);
  });

  it('of a listing that misses a key holds the listing itself, once', () => {
    const items = [{ key: 'y', value: 'y20', modRevision: 40 }];
    const listing: Listing = { callMs: 500, returnMs: 510, revision: 40, items };
    const { window, windowListings, culprit, key, message } = violationOf(history, [listing]);
    expect([key, culprit]).toEqual(['x', listing]);
    expect(windowListings).toEqual([listing]);
    expect(window).toHaveLength(1);
    expect(message).toMatch(/^> .* list +"x" +missing \{"storeRevision":40\}$/m);
  });

  it('names what was told on another key, if that is what makes it illegal', () => {
    // The 412 saw y before its write 40; x's write 41 was told before the 412 was called, and y's 40 came before that.
    const untold: Output = { type: 'precondition_failed', modRevision: 38 };
    const later = operation(500, 'x', { type: 'put', value: 'x21' }, { type: 'written', revision: 41, version: 21 });
    const overlapping = { ...history[78]!, return: 600 };
    const refused = operation(550, 'y', { type: 'put', value: '?', condition: { type: 'absent' } }, untold);
    const { window, message } = violationOf([...history.slice(0, 78), overlapping, later, refused]);
    const before = history[75];
    expect(window).toEqual([before, overlapping, later, refused]);
    expect(message).toContain('with what was told elsewhere');
  });

  it('names the revisions of another key that a write of unknown outcome would need', () => {
    // x, written at 39, is gone at 41; its delete was told nothing, and no revision is left for it: 40 and 41 are y's.
    const lost = operation(410, 'x', { type: 'delete' }, null);
    const gone = operation(420, 'x', { type: 'get' }, { type: 'missing', storeRevision: 41 });
    const items = [{ key: 'y', value: 'y21', modRevision: 41 }];
    const listing: Listing = { prefix: 'y', callMs: 420, returnMs: 430, revision: 41, items };
    expect(checkStoreHistory([...history, lost, gone], []).type).toBe('ok');
    const { window, windowListings, culprit, message } = violationOf([...history, lost, gone], [listing]);
    expect(culprit).toBe(gone);
    expect(window).toEqual([history[77], history[78], gone]);
    expect(windowListings).toEqual([listing]);
    expect(message.match(/\(revision \d+\)$/gm)).toEqual(['(revision 40)', '(revision 41)']);
  });

  it('of a long history with listings stays as small', () => {
    const long = generateStoreHistory(seededRandom(17), LONG, 200);
    const reads = long.operations.filter(({ output }) => output?.type === 'value');
    const victim = reads[reads.length >> 1]!;
    const wrong = { ...victim, output: { ...victim.output, value: 'wrong' } as Output };
    const changed = long.operations.map((shown) => (shown === victim ? wrong : shown));
    const { window, windowListings, culprit } = violationOf(changed, long.listings);
    expect(culprit).toBe(wrong);
    expect(window.length + windowListings.length).toBeLessThanOrEqual(4);
  });
});

const LONG = {
  operations: 20_000,
  clients: 20,
  keys: 10,
  unknown: 0.02,
  distinctValues: Number.POSITIVE_INFINITY,
  conditional: 0.1,
  omit: 'nothing',
  granularity: 0,
} as const;
