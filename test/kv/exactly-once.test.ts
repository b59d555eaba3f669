import { describe, expect, test } from 'vitest';
import { append, as, digestOf, put, Replica, remove } from './replica.ts';

describe('exactly once', () => {
  test('a repeat gets the first reply, whatever happened in between', () => {
    const store = new Replica();
    const first = store.do(append('a', 'x', as('clerk', 1)));
    store.do(remove('a'));
    store.restart();
    expect(store.do(append('a', 'x', as('clerk', 1)))).toEqual({ ...first, replayed: true });
    expect(store.value('a')).toBeNull();
  });

  test('every kind of decided reply is kept', () => {
    const store = new Replica({ STORAGE_LIMIT_BYTES: '2000000' });
    store.do(put('full', 'x'.repeat(1_048_576)));
    const absent = { type: 'absent' } as const;
    const commands = [
      put('a', '1', as('clerk', 1)),
      put('a', '2', as('clerk', 2)),
      put('a', '3', { ...as('clerk', 3), condition: absent }),
      put('b', '3', { ...as('clerk', 4), condition: { type: 'exists' } }),
      append('full', 'x', as('clerk', 5)),
      put('c', 'x'.repeat(1_000_000), as('clerk', 6)),
      remove('a', as('clerk', 7)),
      remove('a', as('clerk', 8)),
    ];
    const first = store.apply(commands);
    expect(first.map((result) => result.type)).toEqual([
      'written',
      'written',
      'precondition_failed',
      'precondition_failed',
      'value_too_large',
      'storage_full',
      'deleted',
      'deleted',
    ]);
    store.apply([put('a', 'later'), remove('full')]);
    store.restart();
    expect(store.apply(commands)).toEqual(first.map((result) => ({ ...result, replayed: true })));
  });

  test('a repeat within one entry is a repeat too', () => {
    const store = new Replica();
    const results = store.apply([append('a', 'x', as('clerk', 1)), append('a', 'x', as('clerk', 1))]);
    expect(results).toMatchObject([{ replayed: false }, { replayed: true }]);
    expect(store.value('a')).toBe('x');
  });

  test('another request under the same seq is refused, and does not use up anything', () => {
    const store = new Replica();
    store.do(put('a', '1', as('clerk', 1)));
    expect(store.do(put('a', '2', as('clerk', 1)))).toEqual({ type: 'seq_reused' });
    expect(store.do(put('a', '1', as('clerk', 1)))).toMatchObject({ type: 'written', replayed: true });
    expect(store.value('a')).toBe('1');
  });

  test('an unknown identity opens a session with seq 1 only', () => {
    const store = new Replica();
    expect(store.do(put('a', '1', as('clerk', 2)))).toEqual({ type: 'session_expired' });
    expect(store.do(put('a', '1', as('clerk', 300, 299)))).toEqual({ type: 'session_expired' });
    expect(store.gauge('clerk_sessions')).toBe(0);
    expect(store.do(put('a', '1', as('clerk', 1)))).toMatchObject({ type: 'written', revision: 1 });
    expect(store.do(put('a', '1', as('clerk', 9)))).toMatchObject({ type: 'written', revision: 2 });
  });

  test('seqs arrive in any order; each is applied once', () => {
    const store = new Replica();
    store.do(append('a', '1', as('clerk', 1)));
    for (const seq of [4, 2, 5, 3]) store.do(append('a', String(seq), as('clerk', seq)));
    for (const seq of [2, 3, 4, 5]) {
      expect(store.do(append('a', String(seq), as('clerk', seq)))).toMatchObject({ replayed: true });
    }
    expect(store.value('a')).toBe('14253');
  });

  test('what was acknowledged is refused, whether or not it is the same request', () => {
    const store = new Replica();
    for (const seq of [1, 2, 3]) store.do(put('a', String(seq), as('clerk', seq)));
    store.do(put('a', '4', as('clerk', 4, 2)));
    expect(store.do(put('a', '1', as('clerk', 1)))).toEqual({ type: 'seq_acknowledged' });
    expect(store.do(put('a', 'other', as('clerk', 2)))).toEqual({ type: 'seq_acknowledged' });
    expect(store.do(put('a', '3', as('clerk', 3)))).toMatchObject({ replayed: true });
  });

  test('a lower acknowledgement than before counts as the highest seen', () => {
    const store = new Replica();
    for (const seq of [1, 2, 3]) store.do(put('a', String(seq), as('clerk', seq)));
    store.do(put('a', '4', as('clerk', 4, 3)));
    store.do(put('a', '5', as('clerk', 5, 0)));
    expect(store.do(put('a', '3', as('clerk', 3)))).toEqual({ type: 'seq_acknowledged' });
  });

  test('the acknowledgement of a repeat or of a refused request counts as well', () => {
    const store = new Replica();
    for (const seq of [1, 2, 3]) store.do(put('a', String(seq), as('clerk', seq)));
    expect(store.do(put('a', '3', as('clerk', 3, 1)))).toMatchObject({ replayed: true });
    expect(store.do(put('a', '1', as('clerk', 1)))).toEqual({ type: 'seq_acknowledged' });
    expect(store.do(put('a', 'other', as('clerk', 3, 2)))).toEqual({ type: 'seq_reused' });
    expect(store.do(put('a', '2', as('clerk', 2)))).toEqual({ type: 'seq_acknowledged' });
  });

  test('replies are kept for 256 behind the highest, and no further', () => {
    const store = new Replica();
    for (const seq of [1, 2, 3]) store.do(put('a', String(seq), as('clerk', seq)));
    store.do(put('a', 'x', as('clerk', 258)));
    expect(store.do(put('a', '1', as('clerk', 1)))).toEqual({ type: 'seq_acknowledged' });
    expect(store.do(put('a', '2', as('clerk', 2)))).toMatchObject({ replayed: true });
    expect(store.do(put('b', '4', as('clerk', 4)))).toMatchObject({ type: 'written', replayed: false });
    store.do(put('a', 'x', as('clerk', Number.MAX_SAFE_INTEGER)));
    expect(store.do(put('b', '4', as('clerk', 4)))).toEqual({ type: 'seq_acknowledged' });
    expect(store.do(put('b', '4', as('clerk', Number.MAX_SAFE_INTEGER)))).toEqual({ type: 'seq_reused' });
  });

  test('a full window of replies survives a restart', () => {
    const store = new Replica();
    store.do(put('a', '1', as('clerk', 1)));
    const commands = Array.from({ length: 256 }, (_, i) => append('a', '.', as('clerk', i + 2)));
    store.apply(commands);
    store.restart();
    expect(store.apply(commands).every((result) => 'replayed' in result && result.replayed)).toBe(true);
    expect(store.get('a')!.value.byteLength).toBe(257);
  });

  test('the pools are apart: one id in both is two identities', () => {
    const store = new Replica();
    const inPool = (pool: 'clerk' | 'router') => ({ session: { pool, id: 'same', seq: 1, acked: 0 } });
    expect(store.do(append('a', 'x', inPool('clerk')))).toMatchObject({ replayed: false });
    expect(store.do(append('a', 'x', inPool('router')))).toMatchObject({ replayed: false });
    expect(store.value('a')).toBe('xx');
  });

  test('the digest alone decides what is the same request', () => {
    const store = new Replica();
    const requestDigest = digestOf('one request');
    const session = { pool: 'clerk', id: 'clerk', seq: 1, acked: 0, requestDigest } as const;
    store.do(put('a', '1', { session }));
    expect(store.do(put('a', '1', { session }))).toMatchObject({ replayed: true });
  });
});

describe('the life of a session', () => {
  const minutes = 60_000;

  test('it expires after an hour without use, and not earlier', () => {
    const store = new Replica();
    store.do(put('a', '1', as('clerk', 1)), 1);
    store.wait(59 * minutes);
    expect(store.do(put('a', '1', as('clerk', 1)))).toMatchObject({ replayed: true });
    store.wait(59 * minutes);
    expect(store.gauge('clerk_sessions')).toBe(1);
    store.wait(2 * minutes);
    expect(store.gauge('clerk_sessions')).toBe(0);
    expect(store.do(put('a', '2', as('clerk', 2)))).toEqual({ type: 'session_expired' });
  });

  test('a refused request is a use', () => {
    const store = new Replica();
    store.do(put('a', '1', as('clerk', 1)));
    store.wait(50 * minutes);
    expect(store.do(put('a', 'other', as('clerk', 1)))).toEqual({ type: 'seq_reused' });
    store.wait(50 * minutes);
    expect(store.do(put('a', '1', as('clerk', 1)))).toMatchObject({ replayed: true });
  });

  test('at most 16 expire in an entry: the least recently used of both pools first, then by id', () => {
    const store = new Replica();
    store.apply(Array.from({ length: 12 }, (_, i) => put('a', '1', as(`b${String(i).padStart(2, '0')}`, 1))));
    store.apply(
      Array.from({ length: 12 }, (_, i) => put('a', '1', { session: { id: `a${String(i).padStart(2, '0')}` } })),
    );
    store.wait(59 * minutes);
    expect(store.gauge('clerk_sessions') + store.gauge('router_sessions')).toBe(24);
    store.applyData(null, minutes);
    expect(store.gauge('router_sessions')).toBe(0);
    expect(store.sql.exec('SELECT id FROM kv_sessions ORDER BY id').flat()).toEqual(
      Array.from({ length: 8 }, (_, i) => `b${String(i + 4).padStart(2, '0')}`),
    );
    store.applyData(null, 0);
    expect(store.count('kv_sessions')).toBe(0);
  });

  test('a full pool evicts the least recently used session, but only after 10 minutes without use', () => {
    const store = new Replica({ SESSION_LIMIT: '2' });
    store.do(put('a', '1', as('old', 1)));
    store.wait(2 * minutes);
    store.do(put('a', '1', as('young', 1)));
    store.wait(8 * minutes - 1);
    expect(store.do(put('a', '1', as('new', 1)))).toEqual({ type: 'sessions_full' });
    expect(store.do(put('a', '1', as('new', 2)))).toEqual({ type: 'session_expired' });
    store.applyData(null, 1);
    expect(store.do(put('a', '1', as('new', 1)))).toMatchObject({ type: 'written' });
    expect(store.do(put('a', '2', as('old', 2)))).toEqual({ type: 'session_expired' });
    expect(store.do(put('a', '1', as('young', 1)))).toMatchObject({ replayed: true });
    expect(store.gauge('clerk_sessions')).toBe(2);
  });

  test("a router's identity is protected for 60 s, and never displaces a clerk", () => {
    const store = new Replica({ SESSION_LIMIT: '1' });
    store.do(put('a', '1', as('clerk', 1)));
    store.do(put('a', '1', { session: { id: 'r1' } }));
    store.wait(59_999);
    expect(store.do(put('a', '1', { session: { id: 'r2' } }))).toEqual({ type: 'sessions_full' });
    store.applyData(null, 1);
    expect(store.do(put('a', '1', { session: { id: 'r2' } }))).toMatchObject({ type: 'written' });
    expect(store.do(put('a', '1', as('clerk', 1)))).toMatchObject({ replayed: true });
  });

  test('a session that the same entry used is not evicted by it', () => {
    const store = new Replica({ SESSION_LIMIT: '2' });
    store.apply([put('a', '1', as('a', 1)), put('a', '1', as('b', 1))]);
    store.wait(20 * minutes);
    const results = store.apply([
      put('a', '2', as('a', 2)),
      put('a', '1', as('c', 1)),
      put('a', '1', as('d', 1)),
      put('a', '2', as('b', 2)),
      put('a', '1', as('b', 1)),
    ]);
    expect(results.map((result) => result.type)).toEqual([
      'written',
      'written',
      'sessions_full',
      'session_expired',
      'sessions_full',
    ]);
    expect(store.sql.exec('SELECT id FROM kv_sessions ORDER BY id').flat()).toEqual(['a', 'c']);
  });

  test('many evictions of one entry go on where the last one stopped', () => {
    const store = new Replica({ SESSION_LIMIT: '100' });
    const named = (letter: string) =>
      Array.from({ length: 100 }, (_, i) => put('a', '1', as(`${letter}${String(i).padStart(3, '0')}`, 1)));
    store.apply(named('a'));
    store.wait(20 * minutes);
    store.apply([...named('a').slice(0, 40), ...named('b').slice(0, 60)]);
    const ids = store.sql.exec('SELECT id FROM kv_sessions ORDER BY id').flat() as string[];
    expect(ids.filter((id) => id < 'a040')).toHaveLength(40);
    expect(ids.filter((id) => id >= 'b')).toHaveLength(60);
    expect(store.do(put('a', '1', as('c', 1)))).toEqual({ type: 'sessions_full' });
  });

  test('the row is written once an entry, and its index only when the last use moved a step', () => {
    const store = new Replica();
    store.do(put('a', '1', as('clerk', 1)), 30_000);
    store.sql.statements.clear();
    store.apply(
      [2, 3, 4, 5].map((seq) => put('a', '1', as('clerk', seq))),
      30_000,
    );
    const updates = [...store.sql.statements].filter((statement) => statement.includes('UPDATE kv_sessions'));
    expect(updates).toHaveLength(1);
    expect(updates[0]).not.toContain('last_used_ms');
  });
});

test('what a session makes a command write is counted: all of its replies', () => {
  const replica = new Replica();
  for (let seq = 1; seq <= 200; seq += 1) replica.do(remove('a', as('c', seq)));
  const before = replica.machine.writtenBytes;
  replica.do(remove('a', as('c', 201)));
  expect(replica.machine.writtenBytes - before).toBeGreaterThan(200 * 16);
});
