/** http-api.md, "Exactly once". */
import { describe, expect, test } from 'vitest';
import { ask, clerk, fresh, revisionOf } from './contract.ts';
import { runtimeForTests } from './edge-runtime.ts';
import type { Reply, RequestOptions } from './raw-http.ts';

const context = runtimeForTests();
const SESSION_WINDOW = 256;
const MAX_VALUE_BYTES = 1_048_576;

/** All of a reply that a repeat must show again. */
const essence = ({ status, text, headers }: Reply) => ({ status, text, etag: headers.etag });

/** A clerk that has its session. */
async function session(base = ''): Promise<string> {
  const id = fresh('clerk');
  const reply = await ask(context.edge, 'PUT', `${base}/kv/${id}`, { headers: clerk(id, 1), body: 'first' });
  expect([reply.status, reply.headers['clerk-replayed']]).toEqual([201, undefined]);
  return id;
}

describe('the same id and seq again gives the first reply', () => {
  interface Scene {
    readonly before?: [method: string, body: string];
    readonly method: string;
    readonly options?: RequestOptions;
    readonly outcome: string;
  }

  const scenes: [string, Scene][] = [
    ['a PUT that created', { method: 'PUT', options: { body: 'v' }, outcome: '201' }],
    ['a PUT that replaced', { before: ['PUT', 'x'], method: 'PUT', options: { body: 'v' }, outcome: '200' }],
    ['a PATCH that created', { method: 'PATCH', options: { body: 'v' }, outcome: '201' }],
    ['a PATCH', { before: ['PUT', 'x'], method: 'PATCH', options: { body: 'v' }, outcome: '200' }],
    ['a DELETE', { before: ['PUT', 'x'], method: 'DELETE', outcome: '200' }],
    ['a DELETE of nothing', { method: 'DELETE', outcome: '200' }],
    [
      'a condition that held',
      { method: 'PUT', options: { headers: { 'If-None-Match': '*' }, body: 'v' }, outcome: '201' },
    ],
    [
      'a 412 with ETag',
      {
        before: ['PUT', 'x'],
        method: 'PUT',
        options: { headers: { 'If-None-Match': '*' }, body: 'v' },
        outcome: '412 precondition_failed',
      },
    ],
    [
      'a 412 without ETag',
      { method: 'DELETE', options: { headers: { 'If-Match': '*' } }, outcome: '412 precondition_failed' },
    ],
    [
      'the 413 of an append',
      {
        before: ['PUT', 'x'],
        method: 'PATCH',
        options: { body: 'y'.repeat(MAX_VALUE_BYTES) },
        outcome: '413 value_too_large',
      },
    ],
  ];

  test.each(scenes)('%s', async (_, { before, method, options = {}, outcome }) => {
    const { edge } = context;
    const id = await session();
    const path = `/kv/${fresh('key')}`;
    if (before !== undefined) await ask(edge, before[0], path, { body: before[1] });
    const request = { ...options, headers: { ...options.headers, ...clerk(id, 2) } };
    const first = await ask(edge, method, path, request);
    expect([first.outcome, first.headers['clerk-replayed']]).toEqual([outcome, undefined]);
    // What happens in between does not matter.
    await ask(edge, 'PUT', path, { body: 'something else' });
    await ask(edge, 'PUT', `/kv/${fresh('key')}`, { headers: clerk(id, 3), body: 'and later requests' });
    const revision = await revisionOf(edge);
    for (let i = 0; i < 2; i += 1) {
      const again = await ask(edge, method, path, request);
      expect(essence(again)).toEqual(essence(first));
      expect(again.headers['clerk-replayed']).toBe('true');
    }
    expect((await ask(edge, 'GET', path)).text).toBe('something else');
    expect(await revisionOf(edge)).toBe(revision);
  });

  test('a key is the same however it is written', async () => {
    const { edge } = context;
    const id = await session();
    const headers = clerk(id, 2);
    expect((await ask(edge, 'PATCH', '/kv/same%2Fkey', { headers, body: 'v' })).status).toBe(201);
    for (const path of ['/kv/%73ame%2fkey', '/kv?key=same/key', '/kv?x=1&key=same%2Fkey']) {
      expect((await ask(edge, 'PATCH', path, { headers, body: 'v' })).headers['clerk-replayed']).toBe('true');
    }
    expect((await ask(edge, 'GET', '/kv/same%2Fkey')).text).toBe('v');
  });

  test('of 50 at once, one is applied and all get its reply', async () => {
    const { edge } = context;
    const id = await session();
    const path = `/kv/${fresh('key')}`;
    const options = { headers: clerk(id, 2), body: 'once' };
    const replies = await Promise.all(Array.from({ length: 50 }, () => ask(edge, 'PATCH', path, options)));
    expect(new Set(replies.map((reply) => JSON.stringify(essence(reply)))).size).toBe(1);
    expect(replies.filter(({ headers }) => headers['clerk-replayed'] === undefined).length).toBeLessThanOrEqual(1);
    expect((await ask(edge, 'GET', path)).text).toBe('once');
  });

  test('seqs may be used in any order, 255 above the lowest unresolved one', async () => {
    const { edge } = context;
    const id = await session();
    const path = `/kv/${fresh('key')}`;
    const seqs = Array.from({ length: 255 }, (_, i) => i + 2).reverse();
    const replies = await Promise.all(
      seqs.map((seq) => ask(edge, 'PATCH', path, { headers: clerk(id, seq, 1), body: `${seq},` })),
    );
    expect(replies.every(({ status }) => status === 200 || status === 201)).toBe(true);
    const { text } = await ask(edge, 'GET', path);
    expect(
      text
        .split(',')
        .filter(Boolean)
        .map(Number)
        .sort((a, b) => b - a),
    ).toEqual(seqs);
  });
});

describe('another request under the same id and seq is 409 seq_reused', () => {
  const requests: [string, string, string, RequestOptions][] = [
    ['another method', 'PATCH', '/kv/reused', { body: 'v' }],
    ['another method, without a body', 'DELETE', '/kv/reused', {}],
    ['another key', 'PUT', '/kv/reused2', { body: 'v' }],
    ['another body', 'PUT', '/kv/reused', { body: 'w' }],
    ['no body', 'PUT', '/kv/reused', {}],
    ['If-Match: *', 'PUT', '/kv/reused', { headers: { 'If-Match': '*' }, body: 'v' }],
    ['If-Match: "1"', 'PUT', '/kv/reused', { headers: { 'If-Match': '"1"' }, body: 'v' }],
    ['If-None-Match: *', 'PUT', '/kv/reused', { headers: { 'If-None-Match': '*' }, body: 'v' }],
  ];

  test.each(requests)('%s', async (_, method, path, options) => {
    const { edge } = context;
    const id = await session();
    const first = await ask(edge, 'PUT', '/kv/reused', { headers: clerk(id, 2), body: 'v' });
    const revision = await revisionOf(edge);
    const reply = await ask(edge, method, path, { ...options, headers: { ...options.headers, ...clerk(id, 2) } });
    expect(reply.outcome).toBe('409 seq_reused');
    expect(await revisionOf(edge)).toBe(revision);
    const again = await ask(edge, 'PUT', '/kv/reused', { headers: clerk(id, 2), body: 'v' });
    expect(essence(again)).toEqual(essence(first));
  });

  test('also while the first one is under way', async () => {
    const { edge } = context;
    const id = await session();
    const path = `/kv/${fresh('key')}`;
    const bodies = Array.from({ length: 20 }, (_, i) => `${i}`);
    const replies = await Promise.all(bodies.map((body) => ask(edge, 'PUT', path, { headers: clerk(id, 2), body })));
    const done = bodies.filter((_, i) => replies[i]?.status === 201);
    expect(done.length).toBe(1);
    expect(replies.filter(({ outcome }) => outcome === '409 seq_reused').length).toBe(19);
    expect((await ask(edge, 'GET', path)).text).toBe(done[0]);
  });
});

describe('acknowledged, and too old', () => {
  test.each(['the same request', 'another request'])(
    'a seq up to Clerk-Acked is 409 seq_acknowledged: %s',
    async (which) => {
      const { edge } = context;
      const id = await session();
      const path = `/kv/${fresh('key')}`;
      await ask(edge, 'PUT', path, { headers: clerk(id, 2), body: 'two' });
      await ask(edge, 'PUT', path, { headers: clerk(id, 3), body: 'three' });
      await ask(edge, 'PUT', path, { headers: clerk(id, 4, 2), body: 'four' });
      const body = which === 'the same request' ? 'two' : 'other';
      expect((await ask(edge, 'PUT', path, { headers: clerk(id, 2), body })).outcome).toBe('409 seq_acknowledged');
      // A lower Clerk-Acked than before counts as the highest seen.
      const lower = clerk(id, 2, 1);
      expect((await ask(edge, 'PUT', path, { headers: lower, body })).outcome).toBe('409 seq_acknowledged');
      expect((await ask(edge, 'PUT', path, { headers: clerk(id, 3), body: 'three' })).headers['clerk-replayed']).toBe(
        'true',
      );
      expect((await ask(edge, 'GET', path)).text).toBe('four');
    },
  );

  test('more than 256 behind the highest: 409 seq_acknowledged; 256 behind: done', async () => {
    const { edge } = context;
    const id = await session();
    const path = `/kv/${fresh('key')}`;
    const highest = 1000;
    await ask(edge, 'PUT', path, { headers: clerk(id, highest), body: 'highest' });
    const late = (seq: number) => ask(edge, 'PATCH', path, { headers: clerk(id, seq), body: `,${seq}` });
    expect((await late(highest - SESSION_WINDOW - 1)).outcome).toBe('409 seq_acknowledged');
    expect((await ask(edge, 'PUT', `/kv/${id}`, { headers: clerk(id, 1), body: 'first' })).outcome).toBe(
      '409 seq_acknowledged',
    );
    expect((await late(highest - SESSION_WINDOW + 1)).outcome).toBe('200');
    expect((await late(highest - 1)).outcome).toBe('200');
    const behind = highest - SESSION_WINDOW;
    expect((await late(behind)).outcome).toBe('200');
    expect((await late(behind)).headers['clerk-replayed']).toBe('true');
    expect((await ask(edge, 'GET', path)).text).toBe(`highest,${behind + 1},${highest - 1},${behind}`);
  });

  test('seqs go up to 2^53-1', async () => {
    const { edge } = context;
    const id = await session();
    const path = `/kv/${fresh('key')}`;
    const headers = clerk(id, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 1);
    expect((await ask(edge, 'PATCH', path, { headers, body: 'v' })).outcome).toBe('201');
    expect((await ask(edge, 'PATCH', path, { headers, body: 'v' })).headers['clerk-replayed']).toBe('true');
  });
});

describe('sessions', () => {
  test.each([2, 3, 1000])('seq %i of an unknown id is 410 session_expired, and does nothing', async (seq) => {
    const { edge } = context;
    const id = fresh('clerk');
    const key = fresh('key');
    const send = () => ask(edge, 'PUT', `/kv/${key}`, { headers: clerk(id, seq), body: 'v' });
    expect((await send()).outcome).toBe('410 session_expired');
    expect((await ask(edge, 'GET', `/kv/${key}`)).outcome).toBe('404 key_not_found');
    // The seq was not used up.
    await ask(edge, 'PUT', `/kv/${id}`, { headers: clerk(id, 1), body: 'first' });
    expect((await send()).outcome).toBe('201');
  });

  test('belong to a group', async () => {
    const { edge } = context;
    const id = await session();
    const [one, two] = [fresh('group'), fresh('group')];
    for (const group of [one, two]) {
      expect((await ask(edge, 'POST', `/groups/${group}`)).status).toBe(201);
      const path = `/groups/${group}/kv/${id}`;
      expect((await ask(edge, 'PUT', path, { headers: clerk(id, 2), body: 'v' })).outcome).toBe('410 session_expired');
      const first = await ask(edge, 'PUT', path, { headers: clerk(id, 1), body: 'another first' });
      expect([first.outcome, first.headers['clerk-replayed']]).toEqual(['201', undefined]);
      await ask(edge, 'DELETE', `/groups/${group}`);
    }
  });

  test.each([
    ['412', 'PUT', { 'If-Match': '*' }, '412 precondition_failed'],
    ['a DELETE of nothing', 'DELETE', {}, '200'],
  ])('may begin with %s', async (_, method, headers, outcome) => {
    const { edge } = context;
    const id = fresh('clerk');
    const request = { headers: { ...headers, ...clerk(id, 1) } };
    const path = `/kv/${fresh('key')}`;
    expect((await ask(edge, method, path, request)).outcome).toBe(outcome);
    expect((await ask(edge, method, path, request)).headers['clerk-replayed']).toBe('true');
    expect((await ask(edge, 'PUT', path, { headers: clerk(id, 2) })).outcome).toBe('201');
  });
});

describe('what is wrong with the request itself comes first, and uses no seq', () => {
  const wrong: [string, string, string, RequestOptions, string][] = [
    ['a bad key', 'PUT', '/kv/%FF', {}, '400 invalid_request'],
    ['a bad query', 'PUT', '/kv/a?key=b', {}, '400 invalid_request'],
    ['a bad condition', 'PUT', '/kv/a', { headers: { 'If-Match': '1' } }, '400 invalid_request'],
    ['no such route', 'PUT', '/nothing', {}, '404 no_such_route'],
    ['no such group', 'PUT', '/groups/nowhere/kv/a', {}, '404 no_such_group'],
    ['a method that does not exist', 'POST', '/kv/a', {}, '405 method_not_allowed'],
    ['a key that is too long', 'PUT', `/kv/${'k'.repeat(1025)}`, {}, '413 key_too_long'],
    [
      'a body that is too large',
      'PUT',
      '/kv/a',
      { body: Buffer.alloc(MAX_VALUE_BYTES + 1), agent: false },
      '413 value_too_large',
    ],
  ];

  test.each(wrong)('%s', async (_, method, path, options, outcome) => {
    const { edge } = context;
    const id = await session();
    const send = (seq: number) =>
      ask(edge, method, path, { ...options, headers: { ...options.headers, ...clerk(id, seq) } });
    // Seq 1 is used, seq 2 is not.
    for (const seq of [1, 2]) expect((await send(seq)).outcome).toBe(outcome);
    const reply = await ask(edge, 'PUT', `/kv/${fresh('key')}`, { headers: clerk(id, 2), body: 'v' });
    expect([reply.outcome, reply.headers['clerk-replayed']]).toEqual(['201', undefined]);
  });
});

describe('headers', () => {
  const bad: Record<string, string>[] = [
    { 'Clerk-Id': 'a' },
    { 'Clerk-Seq': '1' },
    { 'Clerk-Acked': '0' },
    { 'Clerk-Id': 'a', 'Clerk-Acked': '0' },
    { 'Clerk-Seq': '1', 'Clerk-Acked': '0' },
    { 'Clerk-Id': '', 'Clerk-Seq': '1' },
    { 'Clerk-Id': 'x'.repeat(65), 'Clerk-Seq': '1' },
    { 'Clerk-Id': 'a.b', 'Clerk-Seq': '1' },
    { 'Clerk-Id': 'a b', 'Clerk-Seq': '1' },
    { 'Clerk-Id': 'ä', 'Clerk-Seq': '1' },
    { 'Clerk-Id': 'a, b', 'Clerk-Seq': '1' },
    ...[
      '',
      '0',
      '-1',
      '+1',
      '1.0',
      '1e3',
      '0x1',
      '01',
      '1 2',
      '1, 1',
      'one',
      '9007199254740992',
      '99999999999999999999',
    ].map((seq) => ({ 'Clerk-Id': 'a', 'Clerk-Seq': seq })),
    ...['', '-1', '1', '2', '0.5', 'x', '9007199254740992'].map((acked) => ({
      'Clerk-Id': 'a',
      'Clerk-Seq': '1',
      'Clerk-Acked': acked,
    })),
  ];

  test.each(bad)('%j: 400, and nothing is written', async (headers) => {
    const { edge } = context;
    const revision = await revisionOf(edge);
    for (const method of ['PUT', 'PATCH', 'DELETE']) {
      expect((await ask(edge, method, '/kv/a', { headers })).outcome).toBe('400 invalid_request');
    }
    expect(await revisionOf(edge)).toBe(revision);
  });

  test.each(bad)('%j: ignored on reads', async (headers) => {
    const { edge } = context;
    expect((await ask(edge, 'GET', '/kv/missing', { headers })).outcome).toBe('404 key_not_found');
    expect((await ask(edge, 'GET', '/kv', { headers })).outcome).toBe('200');
  });

  test('an id has 1 to 64 of A-Z a-z 0-9 _ -', async () => {
    const { edge } = context;
    for (const id of ['z', '_-', `-${'Az09_-'.repeat(10)}xyz`]) {
      const reply = await ask(edge, 'PUT', `/kv/${fresh('key')}`, { headers: clerk(id, 1, 0), body: 'v' });
      expect(reply.outcome).toBe('201');
    }
  });
});

describe('limits', () => {
  const small = runtimeForTests({ peers: 1, variables: { SESSION_LIMIT: '3', STORAGE_LIMIT_BYTES: '20000' } });

  test('no room for another session: 429 overloaded, and nothing is done; old ones go on', async () => {
    const { edge } = small;
    const ids = ['a', 'b', 'c'];
    for (const id of ids) {
      expect((await ask(edge, 'PUT', `/kv/${id}`, { headers: clerk(id, 1), body: 'v' })).outcome).toBe('201');
    }
    const refused = await ask(edge, 'PUT', '/kv/d', { headers: clerk('d', 1), body: 'v' });
    expect(refused.outcome).toBe('429 overloaded');
    expect((await ask(edge, 'GET', '/kv/d')).outcome).toBe('404 key_not_found');
    for (const id of ids) {
      expect((await ask(edge, 'PUT', `/kv/${id}`, { headers: clerk(id, 2), body: 'w' })).outcome).toBe('200');
    }
    expect((await ask(edge, 'PUT', '/kv/e', { body: 'without an identity' })).outcome).toBe('201');
  });

  test('a full store: 507 storage_full, which is kept; deletes pass', async () => {
    const { edge } = small;
    const large = 'x'.repeat(15_000);
    expect((await ask(edge, 'PUT', '/kv/full', { body: large })).outcome).toBe('201');
    const grow = () => ask(edge, 'PUT', '/kv/more', { headers: clerk('a', 3), body: large });
    expect((await grow()).outcome).toBe('507 storage_full');
    expect((await ask(edge, 'PATCH', '/kv/full', { body: large })).outcome).toBe('507 storage_full');
    expect((await ask(edge, 'DELETE', '/kv/full')).json.deleted).toBe(1);
    // There is room now, and the first reply stands.
    const again = await grow();
    expect([again.outcome, again.headers['clerk-replayed']]).toEqual(['507 storage_full', 'true']);
    expect((await ask(edge, 'GET', '/kv/more')).outcome).toBe('404 key_not_found');
    expect((await ask(edge, 'PUT', '/kv/more', { headers: clerk('a', 4), body: large })).outcome).toBe('201');
  });
});
