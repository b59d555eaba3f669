/** Whatever is sent, bad input is told so with a clear error, writes nothing, and leaves the group healthy. */
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ask, type Item, listAll } from './contract.ts';
import { runtimeForTests } from './edge-runtime.ts';
import { type RequestOptions, sendOctets } from './raw-http.ts';

const context = runtimeForTests();
const everything = (): Promise<Item[]> => listAll(context.edge, 'limit=1000&encoding=base64');
let before: Item[] = [];

beforeAll(async () => {
  const { edge } = context;
  for (const key of ['a', 'b', '\uFFFD']) await ask(edge, 'PUT', `/kv?key=${encodeURIComponent(key)}`, { body: key });
  before = await everything();
});

afterEach(async () => {
  expect(await everything()).toEqual(before);
  const { status } = await ask(context.edge, 'GET', '/healthz');
  expect(status).toBe(200);
});

/** A request of octets, as no client library would send it; the reply's status and body. */
async function octets(method: string, target: string, headers = ''): Promise<{ status: number; text: string }> {
  const head = `${method} ${target} HTTP/1.1\r\nHost: edge\r\nContent-Length: 1\r\nConnection: close\r\n${headers}\r\nv`;
  const reply = await sendOctets(context.edge.origin, Buffer.from(head, 'latin1'));
  const [, status = '0'] = /^HTTP\/1\.1 (\d{3})/.exec(reply) ?? [];
  return { status: Number(status), text: reply.slice(reply.indexOf('\r\n\r\n') + 4) };
}

describe('paths', () => {
  const malformed = [
    '/kv/',
    '/kv//',
    '/kv//a',
    '/kv/a/',
    '/kv/a/b',
    '/kv/a%2Fb/c',
    '/kv/%',
    '/kv/%4',
    '/kv/a%',
    '/kv/%zz',
    '/kv/%u0061',
    '/kv/%FF',
    '/kv/%C3',
    '/kv/%C3%28',
    '/kv/%C0%80',
    '/kv/%E0%80%AF',
    '/kv/%ED%A0%80',
    '/kv/%ED%A0%BC%ED%BD%8F',
    '/kv/%F4%90%80%80',
    '/kv/%F8%88%80%80%80',
    '/groups/default/kv/',
    '/groups/default/kv/%FF',
    '/groups/default/kv/a/b',
  ];
  test.each(malformed)('%s: 400 with every method that keys have', async (path) => {
    for (const method of ['GET', 'PUT', 'PATCH', 'DELETE']) {
      const options = method === 'GET' ? {} : { body: 'v' };
      expect((await ask(context.edge, method, path, options)).outcome, method).toBe('400 invalid_request');
    }
    expect((await ask(context.edge, 'HEAD', path)).status).toBe(400);
  });

  test.each(['/kv/.', '/kv/..', '/kv/%2e', '/kv/%2e%2e', '/kv/%2E.', '/kv/.%2e', '/kv/a/..', '/groups/default/kv/..'])(
    '%s cannot be carried by a URL: a 4xx',
    async (path) => {
      for (const method of ['PUT', 'PATCH', 'DELETE']) {
        const { status } = await ask(context.edge, method, path, { body: 'v' });
        expect(status).toBeGreaterThanOrEqual(400);
        expect(status).toBeLessThan(500);
      }
    },
  );

  test.each([
    '/',
    '/KV/a',
    '/kvs',
    '/kv.json',
    '/%6Bv/a',
    '//kv/a',
    '/cluster/',
    '/cluster/1',
    '/healthz/',
    '/metrics/x',
    '/group/default',
    '/groups',
    '/chaos',
    '/chaos/',
    '/chaos/1/2',
    '/index.html',
    '/favicon.ico',
    '/.well-known/x',
    '/%FF',
    '/%zz',
  ])('%s is no route: 404 (or 400)', async (path) => {
    for (const method of ['GET', 'PUT', 'POST', 'DELETE']) {
      const reply = await ask(context.edge, method, path, method === 'GET' ? {} : { body: 'v' });
      expect(['404 no_such_route', '404 no_such_peer', '400 invalid_request', '405 method_not_allowed']).toContain(
        reply.outcome,
      );
    }
  });

  test.each(['/kv/a\xff', '/kv/\xc3\x28', '/kv/\xed\xa0\x80', '/kv?key=a\xff', '/kv/a?x=\xff', '/kv/\xfe'])(
    'octets that are not UTF-8, unescaped (%j): 400',
    async (target) => {
      const { status, text } = await octets('PUT', target);
      expect([status, text]).toEqual([400, expect.stringContaining('invalid_request')]);
    },
  );

  test.each(['/kv/a\0', '/kv/a\r\nX: y', '/kv/a\nb'])(
    'control octets, unescaped (%j): never a write',
    async (target) => {
      await octets('PUT', target);
    },
  );
});

describe('queries', () => {
  test.each([
    'key=',
    'key',
    'key=&key=',
    'key=a&key=b',
    'key=a&key=a',
    'key=a&prefix=',
    'key=a&prefix=a',
    'key=%FF',
    'key=%zz',
    'key=%',
    'key=%ED%A0%80',
    'key=a&x=%FF',
    'key=a&%FF=x',
    'key=a&x=%',
    'key=a&%zz',
    'key=a&consistency=',
    'key=a&consistency=eventual',
    'key=a&consistency=stale&consistency=stale',
    'key=a&peer=1&peer=1',
    'prefix=a&prefix=b',
    'limit=1&limit=1',
    'limit=0',
    'cursor=%FF',
    'encoding=latin1',
    'prefix=%C3',
    'peer=1&%70eer=1',
  ])('?%s: 400', async (query) => {
    expect((await ask(context.edge, 'GET', `/kv?${query}`)).outcome).toBe('400 invalid_request');
  });

  test.each(['key=', 'key=a&key=b', 'key=%FF', 'key=a&prefix=a', 'key=a&x=%FF', 'key=a&peer=1&peer=2'])(
    '?%s on a write: 400',
    async (query) => {
      for (const method of ['PUT', 'PATCH', 'DELETE']) {
        expect((await ask(context.edge, method, `/kv?${query}`, { body: 'v' })).outcome).toBe('400 invalid_request');
      }
    },
  );

  test.each(['key=b', 'key=a', 'key=', 'x=%FF', '%', 'key=%FF'])('/kv/a?%s: 400', async (query) => {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const options = method === 'GET' ? {} : { body: 'v' };
      expect((await ask(context.edge, method, `/kv/a?${query}`, options)).outcome).toBe('400 invalid_request');
    }
  });

  test('unknown parameters are ignored', async () => {
    for (const query of [
      'x=1',
      'x=1&x=2',
      'KEY=b',
      'Prefix=z',
      '&&',
      '=',
      'constructor=1',
      '__proto__=1',
      'toString',
    ]) {
      expect((await ask(context.edge, 'GET', `/kv/a?${query}`)).text).toBe('a');
    }
  });

  test('a query of 60,000 characters is no trouble', async () => {
    const reply = await ask(context.edge, 'GET', `/kv/a?${'x=1&'.repeat(15_000)}`);
    expect([200, 400, 413, 414]).toContain(reply.status);
  });
});

describe('methods', () => {
  test.each([
    ['PUT', '/kv'],
    ['PATCH', '/kv'],
    ['DELETE', '/kv'],
    ['POST', '/kv'],
    ['PUT', '/kv?prefix=a'],
    ['POST', '/kv/a'],
    ['POST', '/kv?key=a'],
    ['TRACE', '/kv/a'],
    ['PROPFIND', '/kv/a'],
    ['GET', '/chaos/1'],
    ['DELETE', '/chaos/1'],
    ['PUT', '/cluster'],
    ['POST', '/healthz'],
    ['DELETE', '/metrics'],
    ['GET', '/groups/default'],
    ['PUT', '/groups/default'],
  ])('%s %s: 405 with Allow', async (method, path) => {
    const reply = await ask(context.edge, method, path);
    expect(reply.outcome).toBe('405 method_not_allowed');
    expect(reply.headers.allow?.split(', ')).not.toContain(method);
    expect(reply.headers.allow).not.toBe('');
  });

  test.each(['BREW', 'get', 'P\0T', ''])('%j is none: an error, and nothing is done', async (method) => {
    const { status } = await octets(method, '/kv/a');
    expect(status === 0 || status >= 400).toBe(true);
  });
});

describe('headers', () => {
  const bad: Record<string, string>[] = [
    { 'If-Match': 'x' },
    { 'If-None-Match': '"1"' },
    { 'If-Match': '*', 'If-None-Match': '*' },
    { 'Clerk-Id': 'a' },
    { 'Clerk-Id': 'a', 'Clerk-Seq': '0' },
    { 'Clerk-Id': '../..', 'Clerk-Seq': '1' },
  ];
  test.each(bad)('%j: 400', async (headers) => {
    expect((await ask(context.edge, 'PUT', '/kv/a', { headers, body: 'v' })).outcome).toBe('400 invalid_request');
  });

  test.each(['Clerk-Id', 'Clerk-Seq', 'If-Match', 'If-None-Match', 'Clerk-Acked'])(
    '%s with octets that are not text: 400',
    async (name) => {
      const rest = name === 'Clerk-Id' ? 'Clerk-Seq: 1\r\n' : '';
      for (const value of ['\xff\xfe', '"\x80', '\x01']) {
        const { status } = await octets('PUT', '/kv/a', `${name}: ${value}\r\n${rest}`);
        expect(status, JSON.stringify(value)).toBe(400);
      }
    },
  );

  test('a header of 20,000 characters is no trouble', async () => {
    const options: RequestOptions = { headers: { 'If-Match': '"1", '.repeat(4000) }, body: 'v', agent: false };
    const { status } = await context.edge.request('PUT', '/kv/a', options);
    expect([400, 412, 431]).toContain(status);
  });

  test('requests that contradict themselves are never a write', async () => {
    const { origin } = context.edge;
    const smuggled = 'PUT /kv/smuggled HTTP/1.1\r\nHost: edge\r\nContent-Length: 1\r\n\r\nv';
    for (const head of [
      `Content-Length: 1\r\nContent-Length: 2\r\n\r\nvv`,
      `Content-Length: -1\r\n\r\nv`,
      `Content-Length: 1e1\r\n\r\nvvvvvvvvvv`,
      `Transfer-Encoding: chunked\r\nContent-Length: ${smuggled.length}\r\n\r\nzz\r\n${smuggled}`,
      `Transfer-Encoding: nonsense\r\n\r\n${smuggled}`,
    ]) {
      const reply = await sendOctets(origin, `PUT /kv/a HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n${head}`);
      expect(reply).not.toMatch(/^HTTP\/1\.1 2/);
    }
  });

  test('a body that breaks off is never a write', async () => {
    const { origin } = context.edge;
    await sendOctets(origin, 'PUT /kv/a HTTP/1.1\r\nHost: edge\r\nContent-Length: 100\r\n\r\nhalf', 300);
    const chunked = 'PUT /kv/a HTTP/1.1\r\nHost: edge\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n';
    await sendOctets(origin, chunked, 300);
    expect((await ask(context.edge, 'GET', '/kv/a')).text).toBe('a');
  });
});

describe('JSON', () => {
  test.each([
    '',
    '{',
    'null',
    '[]',
    '"heal"',
    '42',
    '{}',
    "{'action':'heal'}",
    '{"action":"heal"} x',
    '\uFEFF{"action":"heal"}',
    '{"action":null}',
    '{"action":["heal"]}',
    `${'['.repeat(100_000)}`,
    Buffer.from('{"action":"\xff"}', 'latin1'),
  ])('%.40s: 400', async (body) => {
    expect((await ask(context.edge, 'POST', '/chaos/1', { body })).outcome).toBe('400 invalid_request');
  });

  test('JSON of more than 1 MiB is 413', async () => {
    const body = `{"action":"heal","x":"${'x'.repeat(1_048_576)}"}`;
    const { status } = await context.edge.request('POST', '/chaos/1', { body, agent: false });
    expect([400, 413]).toContain(status);
  });
});
