/** What a paged listing may show, case by case. */
import { describe, expect, it } from 'vitest';
import { checkStoreHistory } from './check-store-history.ts';
import type { Condition, Input, Operation, Output } from './history.ts';
import type { ListedItem, Listing } from './listing.ts';

const write = (input: Input, output: Output | null, key: string, call: number): Operation => ({
  clientId: 'writer',
  key,
  input,
  call,
  return: output === null ? null : call + 1,
  output,
});
/** From `call` to `call + 1`; revision null: nobody knows what became of it. */
const put = (key: string, value: string, revision: number | null, call: number, condition?: Condition) =>
  write(
    { type: 'put', value, condition: condition ?? null },
    revision === null ? null : { type: 'written', revision },
    key,
    call,
  );
const append = (key: string, value: string, revision: number | null, call: number) =>
  write({ type: 'append', value }, revision === null ? null : { type: 'written', revision }, key, call);
const remove = (key: string, revision: number | null, call: number) =>
  write({ type: 'delete' }, revision === null ? null : { type: 'deleted', deleted: true, revision }, key, call);

const item = (key: string, value: string, modRevision: number, more: Partial<ListedItem> = {}): ListedItem => ({
  key,
  value,
  modRevision,
  ...more,
});
const listing = (callMs: number, returnMs: number, revision: number, items: ListedItem[], more = {}): Listing => ({
  callMs,
  returnMs,
  revision,
  items,
  ...more,
});

const check = (operations: Operation[], ...listings: Listing[]) => checkStoreHistory(operations, listings);

/** a = 1 at revision 1, b = 2 at revision 2, a = 3 at revision 3: one after the other, at 0, 10 and 20. */
const three = [put('a', '1', 1, 0), put('b', '2', 2, 10), put('a', '3', 3, 20)];

describe('a legal listing', () => {
  it.each<[string, Operation[], Listing]>([
    [
      'shows what the last write at or before its revision left',
      three,
      listing(30, 31, 3, [item('a', '3', 3), item('b', '2', 2)]),
    ],
    [
      'is at the revision before a write that it overlaps',
      three,
      listing(20, 40, 2, [item('a', '1', 1), item('b', '2', 2)]),
    ],
    ['or at that after it', three, listing(20, 40, 3, [item('a', '3', 3), item('b', '2', 2)])],
    ['is empty before anything was written', three, listing(-5, -4, 0, [])],
    ['shows nothing beyond its prefix', three, listing(30, 31, 3, [item('b', '2', 2)], { prefix: 'b' })],
    ['does not show a deleted key', [...three, remove('a', 4, 25)], listing(30, 31, 4, [item('b', '2', 2)])],
    [
      'shows a key that was deleted later',
      [...three, remove('a', 4, 40)],
      listing(30, 50, 3, [item('a', '3', 3), item('b', '2', 2)]),
    ],
    ['shows a write of unknown outcome', [put('a', '1', null, 0)], listing(30, 31, 7, [item('a', '1', 5)])],
    ['or does not', [put('a', '1', null, 0)], listing(30, 31, 0, [])],
    [
      'lacks a key if a delete of unknown outcome took it',
      [...three, remove('a', null, 25)],
      listing(30, 31, 4, [item('b', '2', 2)]),
    ],
    [
      'shows an append of unknown outcome',
      [put('a', '1', 1, 0), append('a', '2', null, 1)],
      listing(30, 31, 2, [item('a', '12', 2)]),
    ],
    [
      'that broke off says nothing of the keys behind',
      three,
      listing(30, 31, 3, [item('a', '3', 3)], { complete: false }),
    ],
    [
      'that broke off before its first item says nothing but its revision',
      three,
      listing(30, 31, 3, [], { complete: false }),
    ],
    [
      'may take longer than the writes that come after its first page',
      [...three, put('c', '4', 4, 40), remove('b', 5, 50)],
      listing(30, 60, 3, [item('a', '3', 3), item('b', '2', 2)]),
    ],
    [
      'orders keys by UTF-8, not by UTF-16',
      [put('\uff5e', '1', 1, 0), put('\u{1f600}', '2', 2, 2)],
      listing(30, 31, 2, [item('\uff5e', '1', 1), item('\u{1f600}', '2', 2)]),
    ],
    [
      'tells when a key was created, and how often written',
      three,
      listing(30, 31, 3, [
        item('a', '3', 3, { createRevision: 1, version: 2 }),
        item('b', '2', 2, { createRevision: 2, version: 1 }),
      ]),
    ],
  ])('%s', (_what, operations, listed) => {
    expect(check(operations, listed)).toMatchObject({ type: 'ok' });
  });
});

describe('an illegal listing', () => {
  it.each<[string, Operation[], Listing]>([
    ['misses a key', three, listing(30, 31, 3, [item('b', '2', 2)])],
    ['misses all keys', three, listing(30, 31, 3, [])],
    ['shows an older value', three, listing(30, 31, 3, [item('a', '1', 1), item('b', '2', 2)])],
    ['shows a newer value than its revision', three, listing(20, 40, 2, [item('a', '3', 3), item('b', '2', 2)])],
    ['shows another value at the right revision', three, listing(30, 31, 3, [item('a', 'x', 3), item('b', '2', 2)])],
    [
      'shows a key that nobody wrote',
      three,
      listing(30, 31, 3, [item('a', '3', 3), item('b', '2', 2), item('c', 'x', 3)]),
    ],
    ['shows a deleted key', [...three, remove('b', 4, 25)], listing(30, 31, 4, [item('a', '3', 3), item('b', '2', 2)])],
    ['is at a revision that had been left behind', three, listing(30, 31, 2, [item('a', '1', 1), item('b', '2', 2)])],
    ['is ahead of a write that comes later', three, listing(12, 13, 3, [item('a', '1', 1), item('b', '2', 2)])],
    ['shows a write before its call', [put('a', '1', null, 50)], listing(30, 31, 1, [item('a', '1', 1)])],
    ['shows an append of unknown outcome twice', [append('a', '1', null, 0)], listing(30, 31, 2, [item('a', '11', 2)])],
    [
      'shows a write whose condition did not hold',
      [put('a', '1', 1, 0), put('a', '2', null, 5, { type: 'absent' })],
      listing(30, 31, 2, [item('a', '2', 2)]),
    ],
    [
      'lacks a key, though the only delete of unknown outcome asked for another revision',
      [put('a', '1', 1, 0), write({ type: 'delete', condition: { type: 'match', revisions: [9] } }, null, 'a', 5)],
      listing(30, 31, 2, []),
    ],
    [
      'gives a write of unknown outcome a revision that another write had',
      [put('a', '1', null, 0), put('b', '2', 2, 0)],
      listing(30, 31, 2, [item('a', '1', 2), item('b', '2', 2)]),
    ],
    [
      'lacks a key by an unknown delete for which no revision is left',
      [put('a', '1', 1, 0), remove('a', null, 2), put('b', '2', 2, 4), put('c', '3', 3, 6)],
      listing(30, 31, 3, [item('b', '2', 2), item('c', '3', 3)]),
    ],
    ['shows a wrong version', three, listing(30, 31, 3, [item('a', '3', 3, { version: 1 }), item('b', '2', 2)])],
    [
      'shows a wrong creation',
      three,
      listing(30, 31, 3, [item('a', '3', 3, { createRevision: 3 }), item('b', '2', 2)]),
    ],
    [
      'keeps the old creation of a key that was deleted',
      [put('a', '1', 1, 0), remove('a', 2, 2), put('a', '3', 3, 4)],
      listing(30, 31, 3, [item('a', '3', 3, { createRevision: 1 })]),
    ],
  ])('%s', (_what, operations, listed) => {
    expect(check(operations, listed)).toMatchObject({ type: 'violation', windowListings: [listed] });
  });

  it.each<[string, Listing]>([
    ['shows a key twice', listing(30, 31, 3, [item('a', '3', 3), item('a', '3', 3), item('b', '2', 2)])],
    ['is not in the order of keys', listing(30, 31, 3, [item('b', '2', 2), item('a', '3', 3)])],
    ['goes beyond its prefix', listing(30, 31, 3, [item('a', '3', 3), item('b', '2', 2)], { prefix: 'a' })],
    ['shows an item that is newer than itself', listing(20, 40, 2, [item('a', '3', 3), item('b', '2', 2)])],
    ['shows a key created after it was written', listing(30, 31, 3, [item('a', '3', 3, { createRevision: 4 })])],
    [
      'counts more writes than there were revisions',
      listing(30, 31, 3, [item('a', '3', 3, { createRevision: 1, version: 9 })]),
    ],
  ])('that %s contradicts itself', (_what, listed) => {
    expect(check(three, listed)).toMatchObject({ type: 'violation', kind: 'listing', culprit: listed, window: [] });
  });

  it('mixes the revisions of its pages', () => {
    const [a, b] = [item('a', '1', 1), item('b', '2', 2)];
    const pages = (...revisions: number[]) => [
      { callMs: 20, returnMs: 22, revision: revisions[0]!, items: [a] },
      { callMs: 25, returnMs: 30, revision: revisions[1]!, items: [b] },
    ];
    expect(check(three, listing(20, 30, 2, [a, b], { pages: pages(2, 2) })).type).toBe('ok');
    expect(check(three, listing(20, 30, 2, [a, b], { pages: pages(2, 3) }))).toMatchObject({ kind: 'listing' });
  });

  it('has a later page from a later moment', () => {
    const later = put('b', '4', 4, 40);
    const stale = listing(30, 60, 3, [item('a', '3', 3), item('b', '2', 2)]);
    const torn = listing(30, 60, 3, [item('a', '3', 3), item('b', '4', 4)]);
    expect(check([...three, later], stale).type).toBe('ok');
    expect(check([...three, later], torn).type).toBe('violation');
  });

  it('has a revision that had not been reached when its first page came', () => {
    const [a, b] = [item('a', '3', 3), item('b', '2', 2)];
    const pages = [
      { callMs: 12, returnMs: 15, revision: 3, items: [a] },
      { callMs: 16, returnMs: 40, revision: 3, items: [b] },
    ];
    expect(check(three, listing(12, 40, 3, [a, b])).type).toBe('ok');
    expect(check(three, listing(12, 40, 3, [a, b], { pages }))).toMatchObject({ type: 'violation', kind: 'revisions' });
  });
});

describe('listings and reads together', () => {
  const atOne = listing(3, 4, 1, [item('a', '1', 1)]);

  it('never go back in revisions', () => {
    const before = put('a', '1', 1, 0);
    const read = (storeRevision: number): Operation => ({
      ...write({ type: 'get' }, { type: 'missing', storeRevision }, 'z', 1.5),
    });
    expect(check([before, read(1)], atOne).type).toBe('ok');
    expect(check([before, read(2)], atOne)).toMatchObject({ type: 'violation', kind: 'revisions' });
  });

  it('do not agree on a write of unknown outcome that one has seen and a later one has not', () => {
    const lost = put('b', '2', null, 1);
    const seen: Operation = { ...write({ type: 'get' }, { type: 'value', value: '2', modRevision: 2 }, 'b', 2) };
    const later = listing(10, 11, 2, [item('a', '1', 1)]);
    expect(check([put('a', '1', 1, 0), lost, seen], later).type).toBe('violation');
    expect(check([put('a', '1', 1, 0), lost], later).type).toBe('ok');
  });

  it('two at one revision show the same', () => {
    const open = [put('a', '1', null, 0), put('a', '2', null, 0)];
    const shows = (value: string, modRevision: number) => listing(5, 6, 2, [item('a', value, modRevision)]);
    expect(check(open, shows('1', 2), shows('1', 2)).type).toBe('ok');
    expect(check(open, shows('1', 2), shows('2', 2)).type).toBe('violation');
    expect(check(open, shows('1', 1), shows('2', 2)).type).toBe('violation');
  });
});

describe('a malformed listing', () => {
  const page = { callMs: 0, returnMs: 1, revision: 1, items: [] };
  it.each<[string, Listing]>([
    ['returns before its call', listing(5, 4, 1, [])],
    ['has no time', listing(Number.NaN, 4, 1, [])],
    ['has no revision', listing(0, 1, Number.NaN, [])],
    ['has other items than its pages', listing(0, 1, 1, [item('a', '1', 1)], { pages: [page] })],
    ['has no first page', listing(0, 1, 1, [], { pages: [] })],
    ['has a page beyond its end', listing(0, 0.5, 1, [], { pages: [page] })],
  ])('that %s is refused', (_what, listed) => {
    expect(() => check([], listed)).toThrow();
  });
});
