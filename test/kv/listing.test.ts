import { describe, expect, test } from 'vitest';
import { HISTORY_MIN_AGE_MS, MAX_KEYS_EXAMINED } from '../../src/kv/limits.ts';
import { KEYS_AT_REVISION } from '../../src/kv/listing.ts';
import { SESSIONS_AFTER, VERSIONS_AFTER } from '../../src/kv/snapshot.ts';
import { append, as, bytes, cutPages, install, put, Replica, remove, text } from './replica.ts';

const keysOf = (store: Replica, prefix = '', revision: number | null = null, limit = 1000) =>
  store.list(prefix, revision, limit).map((item) => text(item.key));
const numbered = (count: number) => Array.from({ length: count }, (_, i) => `k${String(i).padStart(5, '0')}`);

describe('listing', () => {
  test('keys come in the order of their bytes, with a prefix or without', () => {
    const store = new Replica();
    const keys = ['b', 'a', 'ab', 'a\0', 'b\u{10ffff}', 'b\u{10ffff}x', 'ba', 'c', 'é'];
    store.apply(keys.map((key) => put(key, key)));
    const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(keysOf(store)).toEqual(sorted);
    for (const prefix of ['', 'a', 'b', 'b\u{10ffff}', 'é', 'x', 'a\0']) {
      expect(keysOf(store, prefix)).toEqual(sorted.filter((key) => key.startsWith(prefix)));
    }
  });

  test('pages hold at most `limit`, and the last one says so', () => {
    const store = new Replica();
    store.apply(numbered(10).map((key) => put(key, 'x')));
    const first = store.page({ limit: 5 });
    expect(first).toMatchObject({ type: 'page', more: true, nextAfter: bytes('k00004'), revision: 10 });
    const second = store.page({ limit: 5, after: bytes('k00004') });
    expect(second).toMatchObject({ type: 'page', more: false, nextAfter: null });
    expect(keysOf(store, '', null, 3)).toEqual(numbered(10));
  });

  test('deleted keys behind the last item are not "more"', () => {
    const store = new Replica();
    store.apply(numbered(10).map((key) => put(key, 'x')));
    store.apply(
      numbered(10)
        .slice(5)
        .map((key) => remove(key)),
    );
    expect(store.page({ limit: 5 })).toMatchObject({ more: false, nextAfter: null });
    expect(store.page({ limit: 5, revision: 10 })).toMatchObject({ more: true });
  });

  test('a cursor before the prefix begins at the prefix; one behind it ends the listing', () => {
    const store = new Replica();
    store.apply([put('a', ''), put('b1', ''), put('b2', ''), put('c', '')]);
    const keys = (after: string) => {
      const page = store.page({ prefix: 'b', after: bytes(after) });
      return page.type === 'page' ? page.items.map((item) => text(item.key)) : page.type;
    };
    expect(keys('a')).toEqual(['b1', 'b2']);
    expect(keys('b1')).toEqual(['b2']);
    expect(keys('c')).toEqual([]);
  });

  test('all pages of a listing are of one revision, while writes go on', () => {
    const store = new Replica();
    store.apply(numbered(20).map((key) => put(key, 'old')));
    const first = store.page({ limit: 5 });
    if (first.type !== 'page') throw new Error(first.type);
    store.apply([...numbered(20).map((key) => put(key, 'new')), remove('k00010'), put('k00010x', 'new')]);
    let after = first.nextAfter;
    const items = [...first.items];
    while (after !== null) {
      const page = store.page({ limit: 5, after, revision: first.revision });
      if (page.type !== 'page') throw new Error(page.type);
      expect(page).toMatchObject({ revision: 20, storeRevision: 42 });
      items.push(...page.items);
      after = page.nextAfter;
    }
    expect(items.map((item) => [text(item.key), text(item.value)])).toEqual(numbered(20).map((key) => [key, 'old']));
  });

  test('a revision that is not there yet is behind', () => {
    const store = new Replica();
    store.do(put('a', '1'));
    expect(store.page({ revision: 2 })).toEqual({ type: 'behind', revision: 1 });
    expect(store.page({ revision: 1 })).toMatchObject({ type: 'page' });
  });

  test('a page holds about 1 MiB, but at least one item', () => {
    const store = new Replica();
    const large = 'x'.repeat(1_048_576);
    for (const key of ['a', 'b', 'c']) store.do(put(key, large));
    for (const key of ['d', 'e', 'f']) store.do(put(key, 'x'.repeat(500_000)));
    const sizes = [];
    let after: Uint8Array | null = null;
    do {
      const page = store.page({ after });
      if (page.type !== 'page') throw new Error(page.type);
      sizes.push(page.items.length);
      after = page.nextAfter;
    } while (after !== null);
    expect(sizes).toEqual([1, 1, 1, 2, 1]);
  });

  test('a key with many versions costs as much as one with a single version', () => {
    const store = new Replica();
    for (let i = 0; i < 20; i++) store.apply(Array.from({ length: 100 }, (_, j) => put('hot', `${i}.${j}`)));
    store.do(put('other', 'x'));
    store.sql.rowsRead = 0;
    expect(keysOf(store, '', 5)).toEqual(['hot']);
    expect(keysOf(store)).toEqual(['hot', 'other']);
    expect(store.sql.rowsRead).toBeLessThan(12);
  });

  test('a page looks at a bounded number of deleted keys, and the listing goes on behind them', () => {
    const store = new Replica();
    const keys = numbered(MAX_KEYS_EXAMINED + 500);
    let seq = 0;
    const next = () => as('clerk', ++seq, seq - 1);
    store.apply([...keys.map((key) => put(key, '', next())), ...keys.map((key) => remove(key, next()))]);
    store.apply([put('k', ''), put('z', '')]);
    const first = store.page();
    if (first.type !== 'page') throw new Error(first.type);
    expect(first.items.map((item) => text(item.key))).toEqual(['k']);
    expect(first.more).toBe(true);
    const second = store.page({ after: first.nextAfter });
    if (second.type !== 'page') throw new Error(second.type);
    expect(second.items.map((item) => text(item.key))).toEqual(['z']);
    expect(second.more).toBe(false);
    store.sql.statementCount = 0;
    expect(store.page({ prefix: 'k0', limit: 1 })).toMatchObject({ items: [], more: true });
    expect(store.sql.statementCount).toBeLessThan(40);
  });

  test('nothing is answered without storage: a superseded instance has none', () => {
    const store = new Replica();
    store.apply([put('a', '1'), put('a', '2')]);
    store.wait(HISTORY_MIN_AGE_MS);
    store.sql.exec = () => {
      throw new Error('storage refuses');
    };
    expect(() => store.get('a')).toThrow('storage refuses');
    for (const revision of [null, 0, 1, 2, 3]) expect(() => store.page({ revision })).toThrow('storage refuses');
  });

  test('queries are strict', () => {
    const { machine } = new Replica();
    const list = { type: 'list', prefix: bytes(''), after: null, limit: 1, revision: null };
    expect(machine.acceptsQuery(list)).toBe(true);
    for (const wrong of [
      null,
      { type: 'get' },
      { type: 'get', key: bytes('') },
      { type: 'get', key: new Uint8Array([0xff]) },
      { type: 'get', key: bytes('a'), extra: 1 },
      { ...list, limit: 0 },
      { ...list, limit: 1001 },
      { ...list, limit: 1.5 },
      { ...list, revision: -1 },
      { ...list, after: bytes('') },
      { ...list, prefix: 'text' },
    ]) {
      expect(machine.acceptsQuery(wrong)).toBe(false);
    }
  });
});

describe('query plans', () => {
  const planOf = (store: Replica, statement: string) => {
    const parameters = Array.from(statement.matchAll(/\?/g), () => 0);
    return store.sql.node.exec(`EXPLAIN QUERY PLAN ${statement}`, ...parameters).map((row) => String(row[3]));
  };
  /** Scans of a whole stored table or index, and sorts. Walking the rows of a subquery is neither. */
  const isUnbounded = (step: string) =>
    /SCAN \w*kv_|SCAN (newest|following|found|later|aside|now)|TEMP B-TREE/.test(step);

  test('every statement of a life of writes, reads, snapshots and housekeeping searches an index', () => {
    const store = new Replica({ SESSION_LIMIT: '4', WAITING_SUPERSESSIONS: '1' });
    for (let round = 0; round < 6; round++) {
      store.apply([put('a', 'x', as(`c${round}`, 1)), append('a', 'y'), remove('b'), put('b', 'x'.repeat(2000))]);
      store.list();
      store.get('a');
      if (round === 2) store.machine.beginSnapshot();
      store.wait(HISTORY_MIN_AGE_MS * 10);
      store.housekeepAll();
    }
    const header = store.machine.beginSnapshot();
    store.apply([put('a', 'x', as('c5', 2))]);
    const pages = cutPages(store.machine, 10_000);
    const statements = [...store.sql.statements].filter((statement) =>
      /^\s*(SELECT|WITH|UPDATE|DELETE|INSERT)/.test(statement),
    );
    expect(statements).toEqual(expect.arrayContaining([KEYS_AT_REVISION, VERSIONS_AFTER, SESSIONS_AFTER]));
    for (const statement of statements) {
      expect(planOf(store, statement).filter(isUnbounded), statement).toEqual([]);
    }
    expect(install(new Replica().machine, 1, header, pages)).toBe(true);
  });

  test('the check finds a scan', () => {
    const store = new Replica();
    expect(planOf(store, 'SELECT value FROM kv_versions WHERE value = ?').filter(isUnbounded)).toHaveLength(1);
    expect(
      planOf(store, 'SELECT key FROM kv_versions WHERE key > ? ORDER BY version').filter(isUnbounded),
    ).toHaveLength(1);
  });
});
