import { decode, encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HISTORY_MIN_AGE_MS } from '../../src/kv/limits.ts';
import type { Settings } from '../../src/kv/settings.ts';
import type { SnapshotHeader } from '../../src/kv/snapshot-format.ts';
import { recomputedHash } from './recomputed-hash.ts';
import { append, as, cutPages, install, put, Replica, remove, text } from './replica.ts';

/** Live keys, old versions, tombstones, compacted rows that are still there, sessions of both pools. */
function busy(settings: Settings = {}): Replica {
  const store = new Replica(settings);
  store.apply([put('a', '1', as('x', 1)), put('b', '1'), put('c', '1'), remove('b'), put('c', '2')]);
  store.wait(HISTORY_MIN_AGE_MS);
  store.apply([
    put('a', '2', as('x', 2)),
    remove('c', as('y', 1)),
    put('d', 'x'.repeat(5000)),
    put('b', '2'),
    remove('a'),
  ]);
  return store;
}

const dump = (store: Replica) => [
  store.machine.summary(),
  ...['kv_versions', 'kv_supersessions', 'kv_sessions'].map((table) => store.sql.exec(`SELECT * FROM ${table}`)),
];

const listingsOf = (store: Replica) => {
  const revisions = Array.from({ length: 6 }, (_, i) => store.gauge('compacted_revision') + i);
  return revisions.map((revision) => store.list('', revision).map(({ key, value }) => [text(key), text(value)]));
};

describe('a snapshot', () => {
  test.each([1, 200, 1000, 1_048_576])('in pages of %i bytes makes an equal store', (maxBytes) => {
    const source = busy();
    const header = source.machine.beginSnapshot();
    const pages = cutPages(source.machine, maxBytes);
    for (const page of pages) {
      const rows = (decode(page) as [number, number, unknown[]])[2].length;
      if (rows > 1) expect(page.byteLength).toBeLessThanOrEqual(maxBytes);
    }
    const target = new Replica();
    target.do(put('old', 'state'));
    expect(install(target.machine, 7, header, pages)).toBe(true);
    expect(target.machine.stateHash()).toBe(source.machine.stateHash());
    expect(recomputedHash(target)).toBe(source.machine.stateHash());
    expect(listingsOf(target)).toEqual(listingsOf(source));
    expect(target.gauge('compacted_revision')).toBe(5);
    expect(target.do(put('a', '1', as('x', 1)))).toMatchObject({ type: 'written', revision: 1, replayed: true });
  });

  test('shows the state at the cut, sessions included, while everything changes', () => {
    const source = busy();
    const before = { hash: source.machine.stateHash(), listings: listingsOf(source) };
    const header = source.machine.beginSnapshot();
    const first = source.machine.snapshotPage(null, 1);
    source.apply([
      put('0', 'before all'),
      remove('b'),
      append('d', 'y'),
      put('x', '3', as('x', 3)),
      put('n', '1', as('new', 1)),
    ]);
    source.wait(3_600_000 + 120_000);
    source.housekeepAll();
    source.apply([put('n', '1', as('x', 1)), put('n', '1', as('y', 1))]);
    source.apply([put('n', '1', as('x', 2, 1))]);
    const target = new Replica();
    target.machine.beginInstall(1);
    let page = first;
    for (;;) {
      expect(target.machine.stagePage(page.page)).toBe(true);
      if (page.next === null) break;
      page = source.machine.snapshotPage(page.next, 300);
    }
    expect(target.machine.finishInstall(header)).toBe(true);
    expect(target.machine.stateHash()).toBe(before.hash);
    expect(listingsOf(target)).toEqual(before.listings);
    expect(target.do(put('a', '2', as('x', 2)))).toMatchObject({ type: 'written', revision: 6, replayed: true });
    expect(target.do(put('n', '1', as('new', 2)))).toEqual({ type: 'session_expired' });
  });

  test('holds back the deletion of what it needs, and no longer than it is open', () => {
    const source = busy({ WAITING_SUPERSESSIONS: '0' });
    source.machine.beginSnapshot();
    source.wait(HISTORY_MIN_AGE_MS * 2);
    source.housekeepAll();
    expect(source.count('kv_versions')).toBe(7);
    source.machine.endSnapshot();
    source.housekeepAll();
    expect(source.count('kv_versions')).toBe(2);
  });

  test('beginning one costs the same, however many sessions there are', () => {
    const source = new Replica();
    source.apply(Array.from({ length: 2000 }, (_, i) => put('a', '1', as(`clerk${i}`, 1))));
    source.sql.statementCount = 0;
    source.machine.beginSnapshot();
    expect(source.sql.statementCount).toBeLessThan(4);
    expect(source.count('kv_cut_sessions')).toBe(0);
    source.apply([put('a', '1', as('clerk5', 2)), put('a', '1', as('another', 1))]);
    expect(source.count('kv_cut_sessions')).toBe(2);
  });

  test('an instance that ended with an open cut leaves nothing that harms', () => {
    const source = busy();
    source.machine.beginSnapshot();
    source.apply([put('x', '3', as('x', 3))]);
    source.restart();
    expect(() => source.machine.snapshotPage(null, 100)).toThrow(/no snapshot cut/);
    source.housekeepAll();
    expect(source.sql.exec("SELECT name FROM sqlite_master WHERE name LIKE 'kv_cut%'")).toEqual([]);
    const header = source.machine.beginSnapshot();
    const target = new Replica();
    expect(install(target.machine, 1, header, cutPages(source.machine, 500))).toBe(true);
    expect(target.machine.stateHash()).toBe(source.machine.stateHash());
  });

  test('the values of 1 MiB travel one by one', () => {
    const source = new Replica();
    for (const key of ['a', 'b']) source.do(put(key, 'x'.repeat(1_048_576)));
    const header = source.machine.beginSnapshot();
    const pages = cutPages(source.machine, 1_048_576);
    expect(Math.max(...pages.map((page) => page.byteLength))).toBeLessThan(1_048_576 + 1000);
    expect(install(new Replica().machine, 1, header, pages)).toBe(true);
  });

  test('an empty store is a snapshot too', () => {
    const target = busy();
    const source = new Replica();
    const header = source.machine.beginSnapshot();
    expect(install(target.machine, 1, header, cutPages(source.machine, 1000))).toBe(true);
    expect(target.list()).toEqual([]);
    expect(target.machine.stateHash()).toBe(source.machine.stateHash());
  });

  test('a page looks at a bounded number of rows, even where none is of the cut', () => {
    const source = new Replica();
    source.do(put('a', '1', as('clerk', 1)));
    const header = source.machine.beginSnapshot();
    for (let i = 0; i < 10; i++) {
      source.apply(
        Array.from({ length: 1000 }, (_, j) => put('a', '', as('clerk', 2 + i * 1000 + j, 1 + i * 1000 + j))),
      );
    }
    const pages = cutPages(source.machine, 1_048_576);
    expect(pages.length).toBe(4);
    const target = new Replica();
    expect(install(target.machine, 1, header, pages)).toBe(true);
    expect(target.value('a')).toBe('1');
  });
});

describe('an installation', () => {
  const source = busy();
  const header = source.machine.beginSnapshot() as SnapshotHeader;
  const pages = cutPages(source.machine, 300);

  test('goes on after a restart', () => {
    const target = new Replica();
    target.machine.beginInstall(1);
    for (const page of pages) {
      target.restart();
      expect(target.machine.stagePage(page)).toBe(true);
    }
    target.restart();
    expect(target.machine.finishInstall(header)).toBe(true);
    expect(target.machine.stateHash()).toBe(source.machine.stateHash());
  });

  test('may be begun anew, and done again later', () => {
    const target = new Replica();
    target.machine.beginInstall(1);
    target.machine.stagePage(pages[0]!);
    expect(install(target.machine, 1, header, pages)).toBe(true);
    expect(install(target.machine, 2, header, pages)).toBe(true);
    expect(target.machine.stateHash()).toBe(source.machine.stateHash());
  });

  test('ends a cut that was open on the receiver: its state is gone', () => {
    const target = busy();
    target.machine.beginSnapshot();
    target.apply([put('x', '3', as('x', 3))]);
    expect(install(target.machine, 1, header, pages)).toBe(true);
    expect(() => target.machine.snapshotPage(null, 100)).toThrow(/no snapshot cut/);
    target.apply([put('x', '3', as('x', 3))]);
    expect(target.sql.exec("SELECT name FROM sqlite_master WHERE name LIKE 'kv_cut%'")).toEqual([]);
  });

  test('leaves the state alone while it stages, and when it is refused', () => {
    const target = busy();
    target.do(put('mine', '1'));
    const before = dump(target);
    const hash = target.machine.stateHash();
    const refuse = (staged: Uint8Array[], withHeader: unknown) => {
      target.machine.beginInstall(3);
      for (const page of staged) expect(target.machine.stagePage(page)).toBe(true);
      expect(dump(target)).toEqual(before);
      expect(target.machine.finishInstall(withHeader)).toBe(false);
      expect(dump(target)).toEqual(before);
      expect(target.machine.stateHash()).toBe(hash);
      expect(target.sql.exec("SELECT name FROM sqlite_master WHERE name LIKE '%staged%'")).toEqual([]);
    };
    for (let missing = 0; missing < pages.length; missing++) {
      if ((decode(pages[missing]!) as unknown[][])[2]!.length > 0) refuse(pages.toSpliced(missing, 1), header);
    }
    for (const [field, value] of Object.entries(header)) {
      if (typeof value !== 'number') continue;
      if (field !== 'logTimeMs' && field !== 'revision') refuse(pages, { ...header, [field]: value + 1 });
      refuse(pages, { ...header, [field]: 0.5 });
    }
    refuse(pages, { ...header, revision: header.revision - 1 });
    refuse(pages, { ...header, compactedRevision: header.revision });
    refuse(pages, { ...header, stateSum: header.stateSum.with(0, header.stateSum[0]! ^ 1) });
    refuse(pages, { ...header, extra: 1 });
    refuse(pages, null);
    refuse([], header);
    expect(install(target.machine, 3, header, pages)).toBe(true);
  });

  test('refuses a malformed page, and stages nothing of it', () => {
    const target = new Replica();
    target.machine.beginInstall(1);
    const [version, section, rows] = decode(pages[0]!) as [number, number, unknown[][]];
    const row = rows[0]!;
    const wrong: unknown[] = [
      null,
      [2, section, rows],
      [version, 3, rows],
      [version, section],
      [version, section, rows, 1],
      [version, section, [...rows, null]],
      [version, section, [...rows, ['text', 1]]],
      [version, section, [row, row]],
      [version, section, [row.slice(0, 5)]],
      [version, section, [[...row, 1]]],
      [version, section, [row.with(1, 0)]],
      [version, section, [row.with(2, (row[1] as number) + 1)]],
      [version, section, [row.with(4, new Uint8Array(3))]],
      [version, section, [row.with(5, new Uint8Array(1_048_577))]],
      [version, 1, [row]],
      [version, 2, [row]],
      [version, 2, [[0, 'x', 1, 0, 1, new Uint8Array(7)]]],
      [version, 2, [[0, 'x', 1, 0, 1, new Uint8Array(0)]]],
      [version, 1, [[0, 0, new Uint8Array(0)]]],
      [version, 1, [[0, 0, new Uint8Array(58)]]],
    ];
    for (const fields of wrong) expect(target.machine.stagePage(encode(fields))).toBe(false);
    expect(target.machine.stagePage(new Uint8Array(5_000_000))).toBe(false);
    expect(target.machine.stagePage(pages[0]!.subarray(1))).toBe(false);
    for (const page of pages) expect(target.machine.stagePage(page)).toBe(true);
    expect(target.machine.stagePage(pages[0]!)).toBe(false);
    expect(target.machine.finishInstall(header)).toBe(true);
    expect(target.machine.stagePage(pages[0]!)).toBe(false);
    expect(target.machine.finishInstall(header)).toBe(false);
  });

  test('no change of a byte gets through, but for those of values (whose digests came with the commands)', () => {
    const plain = new Replica();
    plain.apply([put('a', '', as('x', 1)), put('b', '', as('y', 1)), put('a', '', as('x', 2)), remove('b')]);
    plain.wait(HISTORY_MIN_AGE_MS);
    // Rows of the queue, the first of them compacted in part, and a tail.
    plain.apply(Array.from({ length: 150 }, () => put('c', '')));
    const plainHeader = plain.machine.beginSnapshot();
    const whole = cutPages(plain.machine, 1_048_576);
    const target = new Replica();
    target.do(put('mine', '1'));
    const hash = target.machine.stateHash();
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(), fc.integer({ min: 1, max: 255 }), (at, offset, flip) => {
        const page = whole[at]!;
        const place = offset % page.byteLength;
        const damaged = page.with(place, page[place]! ^ flip);
        expect(install(target.machine, 1, plainHeader, whole.with(at, damaged))).toBe(false);
        expect(target.machine.stateHash()).toBe(hash);
      }),
      { numRuns: 400 },
    );
    expect(install(target.machine, 1, plainHeader, whole)).toBe(true);
  });
});
