import { describe, expect, test } from 'vitest';
import type { Command } from '../../src/kv/commands.ts';
import { HISTORY_MIN_AGE_MS } from '../../src/kv/limits.ts';
import { put, Replica, remove, text } from './replica.ts';

const values = (store: Replica, revision: number | null = null) =>
  Object.fromEntries(store.list('', revision).map((item) => [text(item.key), text(item.value)]));

describe('compaction', () => {
  test('old revisions stay readable for the minimum age of log time', () => {
    const store = new Replica();
    store.apply([put('a', '1'), put('b', '1'), put('a', '2'), remove('b'), put('c', '1')]);
    store.wait(HISTORY_MIN_AGE_MS - 1);
    store.housekeepAll();
    expect(values(store, 0)).toEqual({});
    expect(values(store, 2)).toEqual({ a: '1', b: '1' });
    expect(values(store, 3)).toEqual({ a: '2', b: '1' });
    expect(values(store, 4)).toEqual({ a: '2' });
    expect(values(store)).toEqual({ a: '2', c: '1' });
    store.applyData(null, 1);
    expect(store.gauge('compacted_revision')).toBe(4);
    expect(store.page({ revision: 3 })).toEqual({ type: 'compacted', revision: 5 });
    expect(values(store, 4)).toEqual({ a: '2' });
  });

  test('listings are the same before and after the physical deletion', () => {
    const store = new Replica({ WAITING_SUPERSESSIONS: '0' });
    store.apply([put('a', '1'), remove('a'), put('b', '1'), put('b', '2'), put('a', '2'), remove('a')]);
    store.wait(HISTORY_MIN_AGE_MS);
    expect(store.gauge('compacted_revision')).toBe(6);
    expect(store.count('kv_versions')).toBe(6);
    const before = [values(store), store.machine.stateHash()];
    store.housekeepAll();
    expect([values(store), store.machine.stateHash()]).toEqual(before);
    expect(store.count('kv_versions')).toBe(1);
    expect(store.gauge('history_bytes')).toBe(0);
  });

  test('a key that was deleted and made again lists as it was at each revision', () => {
    const store = new Replica();
    store.apply([put('a', '1'), remove('a')]);
    store.wait(HISTORY_MIN_AGE_MS / 2);
    store.apply([put('a', '2'), put('a', '3')]);
    store.wait(HISTORY_MIN_AGE_MS / 2);
    store.housekeepAll();
    expect(store.gauge('compacted_revision')).toBe(2);
    expect(values(store, 2)).toEqual({});
    expect(values(store, 3)).toEqual({ a: '2' });
    expect(values(store, 4)).toEqual({ a: '3' });
  });

  test('an entry compacts at most 2 supersessions a command and 16 more', () => {
    const store = new Replica();
    const overwrite = (count: number): Command[] => Array.from({ length: count }, (_, i) => put('a', String(i)));
    store.apply(overwrite(201));
    store.wait(HISTORY_MIN_AGE_MS - 1);
    store.applyData(null, 1);
    expect(store.gauge('history_versions')).toBe(200 - 16);
    store.apply(overwrite(10));
    expect(store.gauge('history_versions')).toBe(200 - 16 + 10 - 36);
  });

  test('a history above its limit does not wait for the age', () => {
    const store = new Replica({ HISTORY_LIMIT_BYTES: '5000' });
    for (let i = 0; i < 50; i++) {
      store.do(put('a', 'x'.repeat(900)));
      expect(store.gauge('history_bytes')).toBeLessThanOrEqual(5000);
    }
    expect(store.gauge('compacted_revision')).toBe(46);
  });

  test('one call of housekeep deletes a bounded number of rows', () => {
    const store = new Replica({ WAITING_SUPERSESSIONS: '0' });
    store.apply(Array.from({ length: 301 }, (_, i) => put('a', String(i))));
    store.wait(HISTORY_MIN_AGE_MS);
    while (store.gauge('history_versions') > 0) store.applyData(null);
    const before = store.count('kv_versions');
    expect(store.machine.housekeep()).toBe(true);
    expect(before - store.count('kv_versions')).toBe(64);
    store.housekeepAll();
    expect(store.count('kv_versions')).toBe(1);
    expect(store.machine.housekeep()).toBe(false);
  });

  test('deletion goes from the oldest on: what was superseded never outlives what hides it', () => {
    const store = new Replica({ WAITING_SUPERSESSIONS: '0' });
    store.apply([put('z', '1'), put('z', '2'), remove('z')]);
    store.apply(Array.from({ length: 64 }, (_, i) => put('a', String(i))));
    store.wait(HISTORY_MIN_AGE_MS);
    while (store.gauge('history_versions') > 0) store.applyData(null);
    expect(store.count('kv_versions')).toBe(3 + 64);
    expect(store.machine.housekeep()).toBe(true);
    expect(store.count('kv_versions')).toBe(3);
    expect(store.value('z')).toBeNull();
    expect(values(store)).toEqual({ a: '63' });
  });

  test('log time is the only clock: without entries nothing grows old', () => {
    const store = new Replica();
    store.apply([put('a', '1'), put('a', '2')]);
    for (let i = 0; i < 10; i++) store.applyData(null, 0);
    expect(store.gauge('compacted_revision')).toBe(0);
  });
});
