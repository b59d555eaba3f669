import { describe, expect, test } from 'vitest';
import { append, bytes, digestOf, put, Replica, remove, text } from './replica.ts';

const written = (revision: number, version: number, created: boolean) => {
  return { type: 'written', created, revision, version, replayed: false };
};

describe('revisions', () => {
  test('an empty store is at revision 0, and its first write makes 1', () => {
    const store = new Replica();
    expect(store.ask({ type: 'get', key: bytes('a') })).toEqual({ type: 'missing', revision: 0 });
    expect(store.do(put('a', 'x'))).toEqual(written(1, 1, true));
    expect(store.ask({ type: 'get', key: bytes('a') })).toEqual({
      type: 'value',
      item: { key: bytes('a'), value: bytes('x'), createRevision: 1, modRevision: 1, version: 1 },
      revision: 1,
    });
  });

  test('a put of a live key keeps createRevision and counts versions', () => {
    const store = new Replica();
    store.apply([put('a', '1'), put('b', '1'), put('a', '2')]);
    expect(store.get('a')).toMatchObject({ createRevision: 1, modRevision: 3, version: 2 });
  });

  test('after a delete, a key begins anew', () => {
    const store = new Replica();
    store.apply([put('a', '1'), put('a', '2')]);
    expect(store.do(remove('a'))).toEqual({ type: 'deleted', revision: 3, deleted: 1, replayed: false });
    expect(store.get('a')).toBeNull();
    expect(store.do(put('a', '3'))).toEqual(written(4, 1, true));
    expect(store.get('a')).toMatchObject({ createRevision: 4, modRevision: 4, version: 1 });
  });

  test('a delete of nothing does not move the revision', () => {
    const store = new Replica();
    store.do(put('a', '1'));
    expect(store.do(remove('b'))).toEqual({ type: 'deleted', revision: 1, deleted: 0, replayed: false });
    expect(store.do(put('c', ''))).toEqual(written(2, 1, true));
  });

  test('zero bytes are a write: put and append', () => {
    const store = new Replica();
    expect(store.do(put('a', ''))).toEqual(written(1, 1, true));
    expect(store.do(append('a', ''))).toEqual(written(2, 2, false));
    expect(store.do(append('b', ''))).toEqual(written(3, 1, true));
    expect(store.value('a')).toBe('');
    expect(store.value('b')).toBe('');
  });

  test('an append goes to the end, or creates', () => {
    const store = new Replica();
    expect(store.do(append('a', 'x'))).toEqual(written(1, 1, true));
    expect(store.do(append('a', 'yz'))).toEqual(written(2, 2, false));
    expect(store.value('a')).toBe('xyz');
  });

  test('an append past 1 MiB is refused and changes nothing', () => {
    const store = new Replica();
    store.do(put('a', 'x'.repeat(1_048_575)));
    expect(store.do(append('a', 'yz'))).toEqual({ type: 'value_too_large', replayed: false });
    expect(store.do(append('a', 'y'))).toMatchObject({ type: 'written', revision: 2 });
    expect(store.get('a')!.value.byteLength).toBe(1_048_576);
  });

  test('keys may hold any text, NUL and astral characters included', () => {
    const store = new Replica();
    const keys = ['\0', '\0\0', 'a\0b', '..', '🦊', 'é', 'a/b', ' '];
    for (const key of keys) store.do(put(key, key));
    for (const key of keys) expect(store.value(key)).toBe(key);
    const inByteOrder = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(store.list().map((item) => text(item.key))).toEqual(inByteOrder);
  });

  test('the digest of a value is kept: a put brings it, an append chains it', () => {
    const store = new Replica();
    store.apply([put('put', 'xy'), append('appended', 'x'), append('appended', 'y'), append('created', 'xy')]);
    const digests = store.sql.exec('SELECT key, digest FROM kv_versions ORDER BY mod_revision') as Uint8Array[][];
    expect(digests[0]![1]).toEqual(digestOf('xy'));
    expect(digests[1]![1]).toEqual(digestOf('x'));
    expect(digests[2]![1]).not.toEqual(digestOf('xy'));
    expect(digests[3]![1]).toEqual(digestOf('xy'));
  });
});

describe('conditions', () => {
  const match = (...revisions: number[]) => ({ condition: { type: 'match', revisions } as const });
  const exists = { condition: { type: 'exists' } as const };
  const absent = { condition: { type: 'absent' } as const };
  const refused = (modRevision: number | null) => ({ type: 'precondition_failed', modRevision, replayed: false });

  test('If-Match lets a write pass at one of its revisions', () => {
    const store = new Replica();
    store.do(put('a', '1'));
    expect(store.do(put('a', '2', match(7, 1)))).toEqual(written(2, 2, false));
    expect(store.do(put('a', '3', match(1)))).toEqual(refused(2));
    expect(store.do(remove('a', match(1)))).toEqual(refused(2));
    expect(store.do(append('a', '3', match()))).toEqual(refused(2));
    expect(store.do(append('a', '3', match(2)))).toEqual(written(3, 3, false));
    expect(store.do(remove('a', match(3)))).toMatchObject({ deleted: 1, revision: 4 });
  });

  test('nothing matches a missing key, and nothing moves', () => {
    const store = new Replica();
    expect(store.do(put('a', '1', match(0, 1)))).toEqual(refused(null));
    expect(store.do(put('a', '1', exists))).toEqual(refused(null));
    expect(store.do(remove('a', exists))).toEqual(refused(null));
    expect(store.gauge('revision')).toBe(0);
    store.apply([put('a', '1'), remove('a')]);
    expect(store.do(put('a', '1', match(1, 2)))).toEqual(refused(null));
  });

  test('If-Match: * needs the key, If-None-Match: * its absence', () => {
    const store = new Replica();
    expect(store.do(put('a', '1', absent))).toEqual(written(1, 1, true));
    expect(store.do(put('a', '2', absent))).toEqual(refused(1));
    expect(store.do(append('a', '2', exists))).toEqual(written(2, 2, false));
    expect(store.do(remove('a', absent))).toEqual(refused(2));
    expect(store.do(remove('b', absent))).toMatchObject({ deleted: 0, revision: 2 });
  });

  test('the condition is looked at before the size of an append', () => {
    const store = new Replica();
    store.do(put('a', 'x'.repeat(1_048_576)));
    expect(store.do(append('a', 'y', absent))).toEqual(refused(1));
  });
});

describe('storage_full', () => {
  test('growth past the limit is refused; what does not grow, and deletes, pass', () => {
    const store = new Replica({ STORAGE_LIMIT_BYTES: '1000' });
    expect(store.do(put('a', 'x'.repeat(700)))).toEqual(written(1, 1, true));
    const full = { type: 'storage_full', replayed: false };
    expect(store.do(put('b', 'x'.repeat(200)))).toEqual(full);
    expect(store.do(append('a', 'x'.repeat(200)))).toEqual(full);
    expect(store.gauge('revision')).toBe(1);
    expect(store.do(put('a', 'y'.repeat(700)))).toEqual(written(2, 2, false));
    expect(store.do(append('a', ''))).toEqual(written(3, 3, false));
    expect(store.do(put('a', 'y'))).toEqual(written(4, 4, false));
    expect(store.do(put('b', 'x'.repeat(200)))).toEqual(written(5, 1, true));
    expect(store.do(remove('b'))).toMatchObject({ deleted: 1 });
    expect(store.do(remove('a'))).toMatchObject({ deleted: 1 });
    expect(store.gauge('live_bytes')).toBe(0);
    expect(store.gauge('keys')).toBe(0);
  });

  test('above a limit that was lowered, a key may still shrink or stay as large', () => {
    const generous = new Replica();
    generous.do(put('a', 'x'.repeat(950)));
    const strict = new Replica({ STORAGE_LIMIT_BYTES: '1000' });
    const entry = (one: ReturnType<typeof put>) => strict.machine.encodeEntry([one]);
    expect(generous.applyData(entry(put('a', 'y'.repeat(950))))).toEqual([written(2, 2, false)]);
    expect(generous.applyData(entry(put('a', 'y'.repeat(900))))).toEqual([written(3, 3, false)]);
    expect(generous.applyData(entry(put('a', 'y'.repeat(901))))).toMatchObject([{ type: 'storage_full' }]);
  });
});
