import { describe, expect, test } from 'vitest';
import { type RequestInit, TestServer } from './http.ts';

const put = (server: TestServer, key: string, body: string | Uint8Array<ArrayBuffer>, headers = {}) =>
  server.fetch('PUT', `/kv/${encodeURIComponent(key)}`, { body, headers });

describe('one key', () => {
  test('PUT creates with 201, replaces with 200, and tells revision and version', async () => {
    const server = new TestServer();
    const created = await server.fetch('PUT', '/kv/a', { body: 'one' });
    expect([created.status, created.headers.get('ETag')]).toEqual([201, '"1"']);
    expect(created.headers.get('Content-Type')).toBe('application/json');
    expect(await created.json()).toEqual({ revision: 1, version: 1 });
    const replaced = await server.fetch('PUT', '/kv/a', { body: 'two' });
    expect([replaced.status, replaced.headers.get('ETag')]).toEqual([200, '"2"']);
    expect(await replaced.json()).toEqual({ revision: 2, version: 2 });
  });

  test('GET gives the bytes, whatever they are', async () => {
    const server = new TestServer();
    const value = Uint8Array.from({ length: 256 }, (_, i) => i);
    await put(server, 'a', value);
    const response = await server.fetch('GET', '/kv/a');
    expect(response.status).toBe(200);
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(value);
    expect(Object.fromEntries(response.headers)).toEqual({
      'cache-control': 'no-store',
      'content-type': 'application/octet-stream',
      etag: '"1"',
      'raft-revision': '1',
      'x-content-type-options': 'nosniff',
    });
  });

  test('HEAD is GET without the body', async () => {
    const server = new TestServer();
    await put(server, 'a', 'one');
    const response = await server.fetch('HEAD', '/kv/a');
    expect([response.status, response.headers.get('ETag'), await response.text()]).toEqual([200, '"1"', '']);
    expect((await server.fetch('HEAD', '/kv/b')).status).toBe(404);
    expect((await server.fetch('HEAD', '/kv')).status).toBe(200);
  });

  test('a missing key is 404 with the revision', async () => {
    const server = new TestServer();
    await put(server, 'a', 'one');
    const response = await server.fetch('GET', '/kv/b');
    expect([response.status, response.headers.get('Raft-Revision')]).toEqual([404, '1']);
    expect(await response.json()).toMatchObject({ code: 'key_not_found', status: 404 });
  });

  test('PATCH appends, and creates', async () => {
    const server = new TestServer();
    expect((await server.fetch('PATCH', '/kv/a', { body: 'one' })).status).toBe(201);
    expect((await server.fetch('PATCH', '/kv/a', { body: 'two' })).status).toBe(200);
    expect(await (await server.fetch('GET', '/kv/a')).text()).toBe('onetwo');
  });

  test('PATCH past 1 MiB is 413, and changes nothing', async () => {
    const server = new TestServer();
    await put(server, 'a', new Uint8Array(1_048_576));
    expect(await server.outcome('PATCH', '/kv/a', { body: 'x' })).toBe('413 value_too_large');
    expect((await server.fetch('GET', '/kv/a')).headers.get('ETag')).toBe('"1"');
  });

  test('values may be empty: PUT and PATCH of nothing are writes', async () => {
    const server = new TestServer();
    expect((await server.fetch('PUT', '/kv/a')).status).toBe(201);
    expect((await server.fetch('PATCH', '/kv/a')).headers.get('ETag')).toBe('"2"');
    const response = await server.fetch('GET', '/kv/a');
    expect([response.status, await response.text()]).toEqual([200, '']);
  });

  test('DELETE tells whether there was something', async () => {
    const server = new TestServer();
    await put(server, 'a', 'one');
    expect(await server.json('DELETE', '/kv/a')).toEqual({ status: 200, body: { revision: 2, deleted: 1 } });
    expect(await server.json('DELETE', '/kv/a')).toEqual({ status: 200, body: { revision: 2, deleted: 0 } });
  });
});

describe('conditions', () => {
  test.each([
    ['PUT', { 'If-Match': '"1"' }, '200'],
    ['PUT', { 'If-Match': '"2", "1"' }, '200'],
    ['PUT', { 'If-Match': '*' }, '200'],
    ['PUT', { 'If-Match': '"2"' }, '412 precondition_failed'],
    ['PUT', { 'If-Match': 'W/"1"' }, '412 precondition_failed'],
    ['PUT', { 'If-Match': '"01"' }, '412 precondition_failed'],
    ['PUT', { 'If-Match': '"one"' }, '412 precondition_failed'],
    ['PUT', { 'If-None-Match': '*' }, '412 precondition_failed'],
    ['PATCH', { 'If-Match': '"2"' }, '412 precondition_failed'],
    ['DELETE', { 'If-Match': '"2"' }, '412 precondition_failed'],
    ['DELETE', { 'If-Match': '"1"' }, '200'],
    ['PUT', { 'If-None-Match': '"1"' }, '400 invalid_request'],
    ['PUT', { 'If-Match': '1' }, '400 invalid_request'],
    ['PUT', { 'If-Match': '' }, '400 invalid_request'],
    ['PUT', { 'If-None-Match': '' }, '400 invalid_request'],
    ['PUT', { 'If-Match': '*', 'If-None-Match': '*' }, '400 invalid_request'],
    ['GET', { 'If-None-Match': '"1"' }, '304'],
    ['GET', { 'If-None-Match': 'W/"1"' }, '304'],
    ['GET', { 'If-None-Match': '"0", "1"' }, '304'],
    ['GET', { 'If-None-Match': '*' }, '304'],
    ['GET', { 'If-None-Match': '"2"' }, '200'],
    ['GET', { 'If-None-Match': '"01"' }, '200'],
    ['GET', { 'If-None-Match': '1' }, '400 invalid_request'],
    ['GET', { 'If-None-Match': '' }, '400 invalid_request'],
    ['GET', { 'If-Match': 'garbage' }, '200'],
    ['GET', { 'If-Match': '"7"' }, '200'],
  ])('%s of a key at revision 1 with %j: %s', async (method, headers, expected) => {
    const server = new TestServer();
    await put(server, 'a', 'one');
    expect(await server.outcome(method, '/kv/a', { headers })).toBe(expected);
  });

  test.each([
    ['PUT', { 'If-None-Match': '*' }, '201'],
    ['PUT', { 'If-Match': '*' }, '412 precondition_failed'],
    ['PATCH', { 'If-Match': '"1"' }, '412 precondition_failed'],
    ['DELETE', { 'If-Match': '*' }, '412 precondition_failed'],
    ['DELETE', { 'If-None-Match': '*' }, '200'],
    ['GET', { 'If-None-Match': '*' }, '404 key_not_found'],
  ])('%s of a missing key with %j: %s', async (method, headers, expected) => {
    expect(await new TestServer().outcome(method, '/kv/a', { headers })).toBe(expected);
  });

  test('412 tells the current ETag if there is one, and 304 all that a read tells', async () => {
    const server = new TestServer();
    await put(server, 'a', 'one');
    const refused = await server.fetch('PUT', '/kv/a', { headers: { 'If-Match': '"7"' } });
    expect(refused.headers.get('ETag')).toBe('"1"');
    const missing = await server.fetch('PUT', '/kv/b', { headers: { 'If-Match': '"7"' } });
    expect(missing.headers.has('ETag')).toBe(false);
    const unchanged = await server.fetch('GET', '/kv/a?consistency=stale', { headers: { 'If-None-Match': '"1"' } });
    expect(unchanged.headers.get('ETag')).toBe('"1"');
    expect(unchanged.headers.get('Raft-Revision')).toBe('1');
    expect(unchanged.headers.get('Raft-Age-Ms')).toMatch(/^[0-9]+$/);
  });
});

describe('which key is meant', () => {
  test.each([
    ['/kv/a', 'a'],
    ['/kv/%61', 'a'],
    ['/kv/a%2Fb', 'a/b'],
    ['/kv/a+b', 'a+b'],
    ['/kv/%F0%9F%8D%8F', '🍏'],
    ['/kv/%00', '\0'],
    ['/kv/%0A', '\n'],
    ['/kv/%EF%BB%BFa', '\uFEFFa'],
    ['/kv?key=a', 'a'],
    ['/kv?key=a+b%2Bc', 'a b+c'],
    ['/kv?key=..', '..'],
    ['/kv?key=a%2Fb&unknown=%41&unknown=2', 'a/b'],
    ['/kv?%6bey=a', 'a'],
    ['/groups/default/kv/a', 'a'],
    ['/groups/default/kv?key=a', 'a'],
  ])('%s is %j', async (path, key) => {
    const server = new TestServer();
    expect(await server.outcome('PUT', path, { body: 'x' })).toBe('201');
    expect(await server.json('GET', '/kv')).toMatchObject({ body: { items: [{ key }] } });
    expect(await server.outcome('GET', path)).toBe('200');
  });

  const long = 'k'.repeat(1025);
  test.each([
    ['GET', '/kv/', '400 invalid_request'],
    ['PUT', '/kv/', '400 invalid_request'],
    ['GET', '/kv/a/b', '400 invalid_request'],
    ['GET', '/kv/a/', '400 invalid_request'],
    ['GET', '/kv//', '400 invalid_request'],
    ['GET', '/kv/%FF', '400 invalid_request'],
    ['GET', '/kv/%', '400 invalid_request'],
    ['GET', '/kv/%2', '400 invalid_request'],
    ['GET', '/kv/%zz', '400 invalid_request'],
    ['GET', '/kv/%C0%80', '400 invalid_request'],
    ['GET', '/kv/%ED%A0%80', '400 invalid_request'],
    ['GET', '/kv/..', '400 invalid_request'],
    ['GET', '/kv/%2e%2E', '400 invalid_request'],
    ['GET', '/kv?key=', '400 invalid_request'],
    ['GET', '/kv?key', '400 invalid_request'],
    ['GET', '/kv?key=%FF', '400 invalid_request'],
    ['GET', '/kv?unknown=%FF', '400 invalid_request'],
    ['GET', '/kv?%FF=1', '400 invalid_request'],
    ['GET', '/kv/a?key=b', '400 invalid_request'],
    ['GET', '/kv/a?key=', '400 invalid_request'],
    ['GET', '/kv?key=a&key=a', '400 invalid_request'],
    ['GET', '/kv?key=a&prefix=b', '400 invalid_request'],
    ['GET', '/kv/a?consistency=stale&consistency=stale', '400 invalid_request'],
    ['GET', '/kv/a?peer=1&%70eer=1', '400 invalid_request'],
    ['GET', '/kv/a?consistency=eventual', '400 invalid_request'],
    ['GET', '/kv/a?consistency=', '400 invalid_request'],
    ['GET', `/kv?x=${'x'.repeat(70_000)}`, '400 invalid_request'],
    ['GET', `/kv/${long}`, '413 key_too_long'],
    ['PUT', `/kv/${long}`, '413 key_too_long'],
    ['PUT', `/kv?key=${long}`, '413 key_too_long'],
    ['PUT', `/kv/${'%C3%A9'.repeat(513)}`, '413 key_too_long'],
    ['PUT', `/kv/${'%C3%A9'.repeat(512)}`, '201'],
    ['PUT', '/kv', '405 method_not_allowed'],
    ['PATCH', '/kv', '405 method_not_allowed'],
    ['DELETE', '/kv?prefix=a', '405 method_not_allowed'],
    ['POST', '/kv/a', '405 method_not_allowed'],
    ['POST', '/kv?key=a', '405 method_not_allowed'],
    ['PROPFIND', '/kv/a', '405 method_not_allowed'],
    ['POST', '/kv/%FF', '400 invalid_request'],
    ['GET', '/', '404 no_such_route'],
    ['GET', '', '404 no_such_route'],
    ['GET', '/KV/a', '404 no_such_route'],
    ['GET', '//kv/a', '404 no_such_route'],
    ['GET', '/kv2', '404 no_such_route'],
    ['GET', '/cluster/', '404 no_such_route'],
    ['GET', '/groups', '404 no_such_route'],
    ['GET', '/%6bv/a', '404 no_such_route'],
  ])('%s %s: %s', async (method, path, expected) => {
    const server = new TestServer();
    expect(await server.outcome(method, path)).toBe(expected);
  });

  test('405 names the methods', async () => {
    const server = new TestServer();
    const allow = async (method: string, path: string) => (await server.fetch(method, path)).headers.get('Allow');
    expect(await allow('POST', '/kv/a')).toBe('GET, HEAD, PUT, PATCH, DELETE, OPTIONS');
    expect(await allow('PUT', '/kv')).toBe('GET, HEAD, OPTIONS');
    expect(await allow('POST', '/cluster')).toBe('GET, HEAD, OPTIONS');
    expect(await allow('GET', '/groups/default')).toBe('POST, DELETE, OPTIONS');
  });

  test('what is refused for itself founds nothing', async () => {
    const server = new TestServer();
    await server.fetch('GET', '/kv/%FF');
    await server.fetch('POST', '/kv/a');
    await server.fetch('GET', '/nothing');
    await server.fetch('GET', '/cluster');
    await server.fetch('GET', '/metrics');
    await server.fetch('GET', '/healthz');
    expect(server.peers.objects.size).toBe(0);
  });
});

describe('bodies', () => {
  test('a value may have 1 MiB, and no more', async () => {
    const server = new TestServer();
    expect(await server.outcome('PUT', '/kv/a', { body: new Uint8Array(1_048_576) })).toBe('201');
    expect(await server.outcome('PUT', '/kv/a', { body: new Uint8Array(1_048_577) })).toBe('413 value_too_large');
  });

  test('one that says that it is longer is refused', async () => {
    const server = new TestServer();
    const headers = { 'Content-Length': '1048577' };
    expect(await server.outcome('PUT', '/kv/a', { body: 'x', headers })).toBe('413 value_too_large');
    expect(server.peers.calls).toEqual([]);
  });

  test('one without end is dropped after a while', async () => {
    const server = new TestServer();
    let pulled = 0;
    let cancelled = false;
    const body = new ReadableStream({
      pull(controller) {
        pulled += 1;
        controller.enqueue(new Uint8Array(65_536));
      },
      cancel() {
        cancelled = true;
      },
    });
    const init = { body, duplex: 'half' } as unknown as RequestInit;
    expect(await server.outcome('PUT', '/kv/a', init)).toBe('413 value_too_large');
    expect(pulled).toBeLessThan(300);
    expect(cancelled).toBe(true);
  });

  test('one that breaks off is 400', async () => {
    const server = new TestServer();
    const body = new ReadableStream({
      pull(controller) {
        controller.error(new Error('gone'));
      },
    });
    const init = { body, duplex: 'half' } as unknown as RequestInit;
    expect(await server.outcome('PUT', '/kv/a', init)).toBe('400 invalid_request');
  });
});

describe('reads', () => {
  test('a stale one tells its age; a linearizable one has none', async () => {
    const server = new TestServer();
    await put(server, 'a', 'one');
    const stale = await server.fetch('GET', '/kv/a?consistency=stale&peer=2');
    expect([stale.status, stale.headers.get('Raft-Age-Ms')]).toEqual([200, '7']);
    const missing = await server.fetch('GET', '/kv/b?consistency=stale&peer=1');
    expect([missing.status, missing.headers.get('Raft-Age-Ms')]).toEqual([404, '0']);
    expect((await server.fetch('GET', '/kv/a')).headers.has('Raft-Age-Ms')).toBe(false);
  });

  test('a peer that had no contact since its start says so', async () => {
    const server = new TestServer();
    await put(server, 'a', 'one');
    const result = { type: 'missing', revision: 0 };
    server.peers.fate = ({ route }) =>
      route === 'client' ? { replies: [{ type: 'result', result, ageMs: null }] } : 'pass';
    const response = await server.fetch('GET', '/kv/a?consistency=stale');
    expect(response.headers.get('Raft-Age-Ms')).toBe('unknown');
  });

  test('?peer= of one that does not lead is 409 with the leader', async () => {
    const server = new TestServer();
    await put(server, 'a', 'one');
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
      expect(await server.json(method, '/kv/a?peer=2')).toMatchObject({
        status: 409,
        body: { code: 'not_leader', leader: '1' },
      });
    }
    expect(await server.outcome('GET', '/kv?peer=2')).toBe('409 not_leader');
    expect(await server.outcome('GET', '/kv?peer=2&consistency=stale')).toBe('200');
    expect(await server.outcome('GET', '/kv/a?peer=9')).toBe('404 no_such_peer');
    expect(await server.outcome('GET', '/kv/a?peer=')).toBe('404 no_such_peer');
  });

  test('?peer= of one that cannot be reached is 503', async () => {
    const server = new TestServer();
    await put(server, 'a', 'one');
    server.peers.down('default/2.1');
    const response = await server.fetch('GET', '/kv/a?peer=2&consistency=stale');
    expect([response.status, response.headers.get('Retry-After')]).toEqual([503, '1']);
    expect(await response.json()).toMatchObject({ code: 'peer_unreachable' });
  });
});

describe('exactly once', () => {
  const clerk = (seq: number | string, acked?: number | string): Record<string, string> => ({
    'Clerk-Id': 'me',
    'Clerk-Seq': String(seq),
    ...(acked === undefined ? {} : { 'Clerk-Acked': String(acked) }),
  });

  test('a repeat gets the first reply, marked', async () => {
    const server = new TestServer();
    const first = await server.fetch('PATCH', '/kv/a', { body: 'x', headers: clerk(1) });
    expect([first.status, first.headers.get('Clerk-Replayed')]).toEqual([201, null]);
    await put(server, 'a', 'other');
    const again = await server.fetch('PATCH', '/kv/a', { body: 'x', headers: clerk(1) });
    expect([again.status, again.headers.get('Clerk-Replayed'), again.headers.get('ETag')]).toEqual([
      201,
      'true',
      '"1"',
    ]);
    expect(await again.json()).toEqual({ revision: 1, version: 1 });
  });

  test('a refusal by a condition is kept too', async () => {
    const server = new TestServer();
    await server.fetch('PUT', '/kv/b', { headers: clerk(1) });
    const headers = { ...clerk(2), 'If-Match': '*' };
    expect(await server.outcome('PUT', '/kv/a', { headers })).toBe('412 precondition_failed');
    await put(server, 'a', 'other');
    const again = await server.fetch('PUT', '/kv/a', { headers });
    expect([again.status, again.headers.get('Clerk-Replayed'), again.headers.get('ETag')]).toEqual([412, 'true', null]);
  });

  test.each([
    ['another method', 'PUT', '/kv/a', 'x', {}],
    ['another key', 'PATCH', '/kv/b', 'x', {}],
    ['another body', 'PATCH', '/kv/a', 'y', {}],
    ['another condition', 'PATCH', '/kv/a', 'x', { 'If-Match': '*' }],
  ])('the same seq with %s is 409 seq_reused', async (_, method, path, body, headers) => {
    const server = new TestServer();
    await server.fetch('PATCH', '/kv/a', { body: 'x', headers: clerk(1) });
    expect(await server.outcome(method, path, { body, headers: { ...clerk(1), ...headers } })).toBe('409 seq_reused');
  });

  test('the same key in another spelling, and tags in another order, are the same request', async () => {
    const server = new TestServer();
    await server.fetch('PUT', '/kv/a', { headers: clerk(1) });
    const first = { ...clerk(2), 'If-Match': '"1", "2"' };
    expect(await server.outcome('PUT', '/kv/a', { headers: first })).toBe('200');
    const again = await server.fetch('PUT', '/kv?key=%61', { headers: { ...clerk(2), 'If-Match': '"2","1"' } });
    expect(again.headers.get('Clerk-Replayed')).toBe('true');
  });

  test('an unknown session begins with seq 1, and what is acknowledged is over', async () => {
    const server = new TestServer();
    expect(await server.outcome('PUT', '/kv/a', { headers: clerk(2) })).toBe('410 session_expired');
    await server.fetch('PUT', '/kv/a', { headers: clerk(1) });
    await server.fetch('PUT', '/kv/a', { headers: clerk(2, 1) });
    expect(await server.outcome('PUT', '/kv/a', { headers: clerk(1) })).toBe('409 seq_acknowledged');
  });

  test.each<[string, Record<string, string>]>([
    ['an id without a seq', { 'Clerk-Id': 'me' }],
    ['a seq without an id', { 'Clerk-Seq': '1' }],
    ['acked alone', { 'Clerk-Acked': '0' }],
    ['acked without a seq', { 'Clerk-Id': 'me', 'Clerk-Acked': '0' }],
    ['an empty id', { 'Clerk-Id': '', 'Clerk-Seq': '1' }],
    ['a long id', { 'Clerk-Id': 'x'.repeat(65), 'Clerk-Seq': '1' }],
    ['an id with other characters', { 'Clerk-Id': 'a.b', 'Clerk-Seq': '1' }],
    ['an empty seq', clerk('')],
    ['seq 0', clerk(0)],
    ['a negative seq', clerk(-1)],
    ['a fraction', clerk('1.0')],
    ['an exponent', clerk('1e3')],
    ['a sign', clerk('+1')],
    ['two seqs', clerk('1, 2')],
    ['a seq past 2^53-1', clerk('9007199254740992')],
    ['acked as high as the seq', clerk(2, 2)],
    ['a negative acked', clerk(2, -1)],
    ['an empty acked', clerk(2, '')],
  ])('%s is 400, and on reads it is ignored', async (_, headers) => {
    const server = new TestServer();
    expect(await server.outcome('PUT', '/kv/a', { headers })).toBe('400 invalid_request');
    expect(await server.outcome('GET', '/kv/a', { headers })).toBe('404 key_not_found');
  });

  test.each([
    ['PUT', '/kv/%FF', {}, '400 invalid_request'],
    ['POST', '/kv/a', {}, '405 method_not_allowed'],
    ['PUT', '/kv/a', { 'If-Match': 'x' }, '400 invalid_request'],
    ['PUT', `/kv/${'k'.repeat(1025)}`, {}, '413 key_too_long'],
    ['PUT', '/kv/a', { 'Content-Length': '9999999' }, '413 value_too_large'],
  ])('what is wrong with the request comes before its seq: %s %s', async (method, path, headers, expected) => {
    const server = new TestServer();
    expect(await server.outcome(method, path, { headers: { ...clerk(7), ...headers } })).toBe(expected);
  });

  test('a write without a clerk is never marked as replayed', async () => {
    const server = new TestServer();
    await put(server, 'b', 'x');
    let lost = 0;
    server.peers.fate = ({ route }) => (route === 'client' && lost++ === 0 ? 'late' : 'pass');
    const response = await put(server, 'a', 'x');
    expect([response.status, response.headers.get('Clerk-Replayed')]).toEqual([201, null]);
  });
});
