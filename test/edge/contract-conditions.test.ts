/** http-api.md, "Keys": conditions and entity tags. `@` stands for the key's modRevision. */
import { describe, expect, test } from 'vitest';
import { ask, fresh, revisionOf } from './contract.ts';
import { runtimeForTests } from './edge-runtime.ts';

const context = runtimeForTests();

const filled = (headers: Record<string, string>, revision: number): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.replaceAll('@', String(revision))]));

const matching = ['"@"', '"999999999", "@"', '"@","@"', ' "@" ', '"@",', ', "@"', '"x", "@"', 'W/"1", "@"', '*', ' * '];
const failing = ['"999999999"', 'W/"@"', '"0@"', '"one"', '""', '"+@"', '"@.0"', '"-1"', '"99999999999999999999"'];
const malformed = [
  '@',
  '"@',
  '@"',
  '"@ "',
  "'@'",
  ',',
  '"@" "@"',
  'w/"@"',
  'W/ "@"',
  '*, "@"',
  '"@", *',
  '**',
  '"a"b"',
];

describe.each(['PUT', 'PATCH', 'DELETE'])('%s', (method) => {
  const existing = async () => {
    const path = `/kv/${fresh('key')}`;
    const { revision } = (await ask(context.edge, 'PUT', path, { body: 'one' })).json;
    return { path, revision };
  };

  test.each(matching)('of a key that is there, If-Match: %s: done', async (value) => {
    const { path, revision } = await existing();
    const headers = filled({ 'If-Match': value }, revision);
    const reply = await ask(context.edge, method, path, { headers, ...(method === 'DELETE' ? {} : { body: 'two' }) });
    expect([reply.outcome, reply.json.revision]).toEqual(['200', revision + 1]);
  });

  test.each([...failing.map((value) => ({ 'If-Match': value })), { 'If-None-Match': '*' }])(
    'of a key that is there, %j: 412 with its ETag, and nothing moves',
    async (condition) => {
      const { path, revision } = await existing();
      const headers = filled(condition as Record<string, string>, revision);
      const reply = await ask(context.edge, method, path, { headers });
      expect([reply.outcome, reply.headers.etag]).toEqual(['412 precondition_failed', `"${revision}"`]);
      const after = await ask(context.edge, 'GET', path);
      expect([after.text, after.headers['raft-revision']]).toEqual(['one', String(revision)]);
    },
  );

  test.each([
    ...malformed.map((value) => ({ 'If-Match': value })),
    ...['"@"', '"999999999"', 'W/"@"', 'x', '*, *'].map((value) => ({ 'If-None-Match': value })),
    { 'If-Match': '*', 'If-None-Match': '*' },
    { 'If-Match': '"@"', 'If-None-Match': '*' },
    { 'If-Match': '"@"', 'If-None-Match': '"999999999"' },
  ])('%j: 400, and nothing moves', async (condition) => {
    const { path, revision } = await existing();
    const headers = filled(condition as Record<string, string>, revision);
    const reply = await ask(context.edge, method, path, { headers });
    expect(reply.outcome).toBe('400 invalid_request');
    expect(await revisionOf(context.edge)).toBe(revision);
  });

  test.each([
    [{ 'If-Match': '*' }, '412 precondition_failed'],
    [{ 'If-Match': '"1"' }, '412 precondition_failed'],
    [{ 'If-None-Match': '*' }, method === 'DELETE' ? '200' : '201'],
  ])('of a missing key, %j: %s, and a 412 without ETag', async (headers, outcome) => {
    const { edge } = context;
    const revision = await revisionOf(edge);
    const reply = await ask(edge, method, `/kv/${fresh('key')}`, { headers });
    expect(reply.outcome).toBe(outcome);
    if (reply.status === 412) expect(reply.headers.etag).toBeUndefined();
    expect(await revisionOf(edge)).toBe(revision + (outcome === '201' ? 1 : 0));
  });
});

describe('an empty header', () => {
  // workerd drops empty values of the headers that it knows by name, so the Worker cannot tell them from none. When this
  // test no longer fails, that has changed, and the contract holds here too.
  test.fails.each(['If-Match', 'If-None-Match'])('%s: is 400', async (name) => {
    const reply = await ask(context.edge, 'PUT', `/kv/${fresh('key')}`, { headers: { [name]: '' } });
    expect(reply.outcome).toBe('400 invalid_request');
  });
});

describe('reads', () => {
  test.each([...matching, 'W/"@"', '"999", W/"@"'])(
    'If-None-Match: %s hits: 304 with what a read tells',
    async (value) => {
      const { edge } = context;
      const path = `/kv/${fresh('key')}`;
      const { revision } = (await ask(edge, 'PUT', path, { body: 'one' })).json;
      for (const method of ['GET', 'HEAD']) {
        const reply = await ask(edge, method, path, { headers: filled({ 'If-None-Match': value }, revision) });
        expect([reply.status, reply.body.length]).toEqual([304, 0]);
        expect([reply.headers.etag, reply.headers['raft-revision']]).toEqual([`"${revision}"`, String(revision)]);
      }
    },
  );

  test.each(['"999999999"', '"0@"', 'W/"999999999"', '"one"', '""'])('If-None-Match: %s misses: 200', async (value) => {
    const { edge } = context;
    const path = `/kv/${fresh('key')}`;
    const { revision } = (await ask(edge, 'PUT', path, { body: 'one' })).json;
    const reply = await ask(edge, 'GET', path, { headers: filled({ 'If-None-Match': value }, revision) });
    expect([reply.outcome, reply.text]).toEqual(['200', 'one']);
  });

  test.each(malformed)('If-None-Match: %s is malformed: 400', async (value) => {
    const { edge } = context;
    const path = `/kv/${fresh('key')}`;
    await ask(edge, 'PUT', path, { body: 'one' });
    const reply = await ask(edge, 'GET', path, { headers: { 'If-None-Match': value.replaceAll('@', '1') } });
    expect(reply.outcome).toBe('400 invalid_request');
  });

  test.each(['"999999999"', '"1"', 'nonsense', '', '*'])('If-Match: %s on a read is ignored', async (value) => {
    const { edge } = context;
    const path = `/kv/${fresh('key')}`;
    await ask(edge, 'PUT', path, { body: 'one' });
    expect((await ask(edge, 'GET', path, { headers: { 'If-Match': value } })).outcome).toBe('200');
  });

  test('a missing key is 404, whatever If-None-Match says', async () => {
    const reply = await ask(context.edge, 'GET', `/kv/${fresh('key')}`, { headers: { 'If-None-Match': '*' } });
    expect(reply.outcome).toBe('404 key_not_found');
  });
});

test('of 20 clients that compare and swap at once, one wins each round', async () => {
  const { edge } = context;
  const path = `/kv/${fresh('key')}`;
  let etag = (await ask(edge, 'PUT', path, { body: '0' })).headers.etag ?? '';
  for (let round = 1; round <= 5; round += 1) {
    const headers = { 'If-Match': etag };
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, i) => ask(edge, 'PUT', path, { headers, body: `${round}.${i}` })),
    );
    const won = replies.filter(({ status }) => status === 200);
    expect(won.length).toBe(1);
    expect(replies.filter(({ outcome }) => outcome === '412 precondition_failed').length).toBe(19);
    etag = won[0]?.headers.etag ?? '';
    expect((await ask(edge, 'GET', path)).headers.etag).toBe(etag);
  }
});
