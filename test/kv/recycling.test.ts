import { describe, expect, test } from 'vitest';
import { HISTORY_MIN_AGE_MS, MAX_WAITING_BYTES } from '../../src/kv/limits.ts';
import { MAX_CHUNK_BYTES } from '../../src/kv/supersession-chunk.ts';
import { recomputedHash } from './recomputed-hash.ts';
import { cutPages, install, put, Replica, remove, text } from './replica.ts';

const puts = (count: number, key: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => put(key(n), String(n)));
const rowsChanged = (store: Replica) => store.sql.node.exec('SELECT total_changes()')[0]![0] as number;
const keys = (store: Replica) => store.list().map(({ key }) => text(key));

/** `count` supersessions, all compacted, of the one key `hot`. */
function withWaiting(count: number, settings = {}): Replica {
  const store = new Replica(settings);
  store.apply(puts(count + 1, () => 'hot'));
  store.wait(HISTORY_MIN_AGE_MS);
  while (store.gauge('history_versions') > 0) store.applyData(null);
  return store;
}

describe('the row of a compacted version', () => {
  test('becomes the row of a new version, of whatever key', () => {
    const store = withWaiting(10);
    expect(store.count('kv_versions')).toBe(11);
    store.apply(puts(10, (n) => `new${n}`));
    expect(store.count('kv_versions')).toBe(11);
    expect(keys(store)).toHaveLength(11);
    expect(recomputedHash(store)).toBe(store.machine.stateHash());
    store.do(put('one more', ''));
    expect(store.count('kv_versions')).toBe(12);
  });

  test('and that of a tombstone too, after the version that it deleted', () => {
    const store = new Replica();
    store.apply([put('a', '1'), remove('a')]);
    store.wait(HISTORY_MIN_AGE_MS);
    store.do(put('b', '1'));
    expect(store.count('kv_versions')).toBe(2);
    expect(store.value('a')).toBeNull();
    store.do(put('a', '2'));
    expect(store.count('kv_versions')).toBe(2);
    expect(store.get('a')).toMatchObject({ createRevision: 4, version: 1 });
  });

  test('is not taken while an open cut shows it', () => {
    const store = new Replica();
    store.apply([put('a', '1'), put('a', '2'), put('b', '1'), put('b', '2')]);
    store.wait(HISTORY_MIN_AGE_MS - 1);
    const header = store.machine.beginSnapshot();
    const hash = store.machine.stateHash();
    store.applyData(null, 1);
    expect(store.gauge('history_versions')).toBe(0);
    store.apply(puts(3, (n) => `new${n}`));
    expect(store.count('kv_versions')).toBe(7);
    const target = new Replica();
    expect(install(target.machine, 1, header, cutPages(store.machine, 100))).toBe(true);
    expect(target.machine.stateHash()).toBe(hash);
    store.machine.endSnapshot();
    store.apply(puts(3, (n) => `later${n}`));
    expect(store.count('kv_versions')).toBe(8);
  });

  test('that an earlier instance took is passed over', () => {
    const store = withWaiting(100);
    for (let n = 0; n < 100; n += 1) {
      store.restart();
      store.do(put(`new${n}`, ''));
    }
    expect(store.count('kv_versions')).toBe(101);
    expect(keys(store)).toHaveLength(101);
    expect(recomputedHash(store)).toBe(store.machine.stateHash());
  });

  test('is not there after a snapshot that begins within a row of the queue: nothing is lost', () => {
    const source = new Replica();
    source.apply(puts(30, () => 'hot'));
    source.wait(HISTORY_MIN_AGE_MS / 2);
    source.apply(puts(60, () => 'hot'));
    source.wait(HISTORY_MIN_AGE_MS / 2);
    while (source.gauge('compacted_revision') < 30) source.applyData(null);
    const header = source.machine.beginSnapshot();
    const target = new Replica();
    expect(install(target.machine, 1, header, cutPages(source.machine, 1_000_000))).toBe(true);
    expect(target.count('kv_supersessions')).toBe(1);
    const entry = puts(200, (n) => `new${n}`);
    for (const store of [source, target]) store.apply(entry, HISTORY_MIN_AGE_MS / 2);
    expect(target.machine.stateHash()).toBe(source.machine.stateHash());
    expect(recomputedHash(target)).toBe(target.machine.stateHash());
    expect(keys(target)).toEqual(keys(source));
  });
});

describe('what waits', () => {
  test('is limited in number: the rest is deleted, and an idle store comes to rest', () => {
    const store = withWaiting(150, { WAITING_SUPERSESSIONS: '40' });
    expect(store.machine.housekeep()).toBe(true);
    store.housekeepAll();
    expect(store.count('kv_versions')).toBe(1 + 40);
    const before = { rows: rowsChanged(store), statements: store.sql.statementCount };
    for (let i = 0; i < 10; i += 1) expect(store.machine.housekeep()).toBe(false);
    expect({ rows: rowsChanged(store), statements: store.sql.statementCount }).toEqual(before);
  });

  test('and in bytes', () => {
    const store = new Replica();
    for (let n = 0; n < 40; n += 1) store.do(put('hot', 'x'.repeat(1_000_000)));
    store.wait(HISTORY_MIN_AGE_MS);
    while (store.gauge('history_versions') > 0) store.applyData(null);
    store.housekeepAll();
    const [[bytes] = []] = store.sql.exec('SELECT sum(length(value)) FROM kv_versions');
    expect(bytes).toBeLessThan(MAX_WAITING_BYTES + 1_000_000);
    expect(bytes).toBeGreaterThan(MAX_WAITING_BYTES - 2_000_000);
  });

  test('is counted by a new instance as well', () => {
    const store = withWaiting(150, { WAITING_SUPERSESSIONS: '40' });
    while (store.machine.housekeep()) store.restart();
    expect(store.count('kv_versions')).toBe(1 + 40);
  });
});

describe('the queue of supersessions', () => {
  test('leaves no rows behind, however slowly one after the other is compacted and taken', () => {
    const store = new Replica();
    for (let n = 0; n < 400; n += 1) {
      store.do(put('hot', String(n)), 60_000);
      store.applyData(null, 60_000);
      store.machine.housekeep();
    }
    expect(store.count('kv_supersessions')).toBeLessThanOrEqual(2);
    expect(store.count('kv_versions')).toBeLessThanOrEqual(3);
    expect(recomputedHash(store)).toBe(store.machine.stateHash());
  });

  test('has small rows, however large an entry is', () => {
    const store = new Replica();
    const long = (n: number) => String(n).padStart(5, '0').padEnd(1024, 'x');
    const entry = Array.from({ length: 1500 }, (_, n) => n);
    store.apply(entry.map((n) => put(long(n), '')));
    store.apply(entry.map((n) => remove(long(n))));
    const [[rows, largest] = []] = store.sql.exec('SELECT count(*), max(length(items)) FROM kv_supersessions');
    expect(rows).toBe(1500 / 3 - 1);
    expect(largest).toBeLessThanOrEqual(MAX_CHUNK_BYTES);
    expect(store.machine.summary()!.byteLength).toBeLessThan(MAX_CHUNK_BYTES + 200);
    expect(recomputedHash(store)).toBe(store.machine.stateHash());
  });

  test('costs a write about the same, whether much waits in it or nothing', () => {
    const statements = (store: Replica) => {
      const before = store.sql.statementCount;
      store.apply(
        puts(200, () => 'hot'),
        1000,
      );
      return (store.sql.statementCount - before) / 200;
    };
    expect(statements(new Replica())).toBeLessThan(4.1);
    expect(statements(withWaiting(1000))).toBeLessThan(4.1);
  });
});
