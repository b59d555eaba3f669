/** http-api.md, "Auth", and CORS. */
import { describe, expect, test } from 'vitest';
import { ask } from './contract.ts';
import { type EdgeRuntime, runtimeForTests } from './edge-runtime.ts';

const TOKEN = 'a-Secret.token~1+/=';

const routes: [method: string, path: string][] = [
  ['GET', '/kv/a'],
  ['HEAD', '/kv/a'],
  ['PUT', '/kv/a'],
  ['PATCH', '/kv/a'],
  ['DELETE', '/kv/a'],
  ['GET', '/kv'],
  ['GET', '/kv?key=a'],
  ['GET', '/kv/a?consistency=stale'],
  ['GET', '/cluster'],
  ['GET', '/metrics'],
  ['POST', '/chaos/1'],
  ['POST', '/groups/g'],
  ['DELETE', '/groups/g'],
  ['GET', '/groups/g/kv/a'],
  ['PUT', '/groups/default/kv/a'],
  ['GET', '/groups/g/healthz'],
  ['GET', '/nothing'],
  ['GET', '/'],
  ['POST', '/kv/a'],
  ['GET', '/groups/not%20a%20name/kv'],
];

async function isUnfounded(edge: EdgeRuntime, headers: Record<string, string>): Promise<void> {
  const { groupId } = (await ask(edge, 'GET', '/cluster', { headers })).json;
  expect(groupId).toBe(null);
}

describe('with a token', () => {
  const context = runtimeForTests({ variables: { API_TOKEN: TOKEN } });
  const authorized = { Authorization: `Bearer ${TOKEN}` };

  test.each(routes)('%s %s without it: 401 with WWW-Authenticate', async (method, path) => {
    const reply = await ask(context.edge, method, path, {
      body: method === 'GET' || method === 'HEAD' ? undefined : 'v',
    } as object);
    expect([reply.status, reply.headers['www-authenticate']]).toEqual([401, 'Bearer']);
    if (method !== 'HEAD') expect(reply.json.code).toBe('unauthenticated');
  });

  test.each([
    'Bearer',
    'Bearer ',
    'Bearer wrong',
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(0, -1)}`,
    `Bearer ${TOKEN.toUpperCase()}`,
    `Bearer ${TOKEN} ${TOKEN}`,
    `Bearer ${TOKEN}, Bearer ${TOKEN}`,
    `Bearer "${TOKEN}"`,
    `Bearer${TOKEN}`,
    `Basic ${Buffer.from(`user:${TOKEN}`).toString('base64')}`,
    `Basic ${TOKEN}`,
    `Token ${TOKEN}`,
    TOKEN,
    'null',
    `Bearer ${'x'.repeat(10_000)}`,
  ])('Authorization: %.40s is 401', async (authorization) => {
    const reply = await ask(context.edge, 'PUT', '/kv/a', { headers: { Authorization: authorization }, body: 'v' });
    expect(reply.outcome).toBe('401 unauthenticated');
  });

  test('nor is the token taken from elsewhere', async () => {
    const attempts: [string, Record<string, string>][] = [
      [`/kv/a?access_token=${encodeURIComponent(TOKEN)}`, {}],
      ['/kv/a', { Cookie: `token=${TOKEN}` }],
      ['/kv/a', { 'X-Authorization': `Bearer ${TOKEN}`, 'X-Api-Key': TOKEN }],
      ['/kv/a', { 'Proxy-Authorization': `Bearer ${TOKEN}` }],
    ];
    for (const [path, headers] of attempts) {
      expect((await ask(context.edge, 'GET', path, { headers })).outcome).toBe('401 unauthenticated');
    }
  });

  test('nothing of all that has founded a group', async () => {
    await isUnfounded(context.edge, authorized);
  });

  test('/healthz and preflights are open to all', async () => {
    const { edge } = context;
    expect((await ask(edge, 'GET', '/healthz')).outcome).toBe('200');
    expect((await ask(edge, 'GET', '/healthz', { headers: { Authorization: 'Bearer wrong' } })).outcome).toBe('200');
    for (const [, path] of routes) expect((await ask(edge, 'OPTIONS', path)).status).toBe(204);
  });

  test.each(['Bearer', 'bearer', 'BEARER', 'bEaReR'])('Authorization: %s <token> is let in', async (scheme) => {
    const { edge } = context;
    const headers = { Authorization: `${scheme} ${TOKEN}` };
    expect((await ask(edge, 'PUT', '/kv/a', { headers, body: 'v' })).status).toBeLessThan(300);
    expect((await ask(edge, 'GET', '/kv/a', { headers })).text).toBe('v');
    expect((await ask(edge, 'GET', '/cluster', { headers })).outcome).toBe('200');
    expect((await ask(edge, 'GET', '/metrics', { headers })).outcome).toBe('200');
    expect((await ask(edge, 'GET', '/nothing', { headers })).outcome).toBe('404 no_such_route');
  });
});

describe.each([
  ['no token and not local', { OPEN: null }],
  ['an empty token and not local', { OPEN: null, API_TOKEN: '' }],
  ['OPEN is something else', { OPEN: 'off' }],
  ['OPEN is nearly on', { OPEN: 'ON ' }],
])('closed: %s', (_, variables) => {
  const context = runtimeForTests({ peers: 1, variables });

  test('every route is 401 to everybody, and nothing is founded', async () => {
    const { edge } = context;
    for (const authorization of [undefined, 'Bearer x', 'Bearer ', 'Bearer undefined', 'Bearer null']) {
      const headers = authorization === undefined ? {} : { Authorization: authorization };
      for (const [method, path] of routes) expect((await ask(edge, method, path, { headers })).status).toBe(401);
    }
    const health = await ask(edge, 'GET', '/healthz');
    expect([health.status, health.json]).toEqual([200, { status: 'unfounded' }]);
  });
});

describe('a token rules over OPEN', () => {
  const context = runtimeForTests({ peers: 1, variables: { API_TOKEN: TOKEN, OPEN: 'on' } });
  test('401 without it', async () => {
    expect((await ask(context.edge, 'GET', '/kv/a')).outcome).toBe('401 unauthenticated');
  });
});

describe('CORS', () => {
  const paths = [
    '/kv/a',
    '/kv',
    '/cluster',
    '/metrics',
    '/healthz',
    '/chaos/1',
    '/groups/g',
    '/groups/g/kv/a',
    '/',
    '/nothing',
    '/kv/%FF',
    '/groups/a.b/kv',
  ];
  const exposed = ['ETag', 'Raft-Revision', 'Raft-Age-Ms', 'Clerk-Replayed', 'Retry-After'];
  const allowed = [
    'Authorization',
    'Content-Type',
    'If-Match',
    'If-None-Match',
    'Clerk-Id',
    'Clerk-Seq',
    'Clerk-Acked',
  ];
  const list = (header: string | undefined): string[] =>
    (header ?? '')
      .split(',')
      .map((name) => name.trim())
      .toSorted();
  const preflight = (origin: string) => ({
    headers: { Origin: origin, 'Access-Control-Request-Method': 'PUT', 'Access-Control-Request-Headers': 'clerk-id' },
  });

  describe('with one origin', () => {
    const context = runtimeForTests({ peers: 1, variables: { CORS_ORIGIN: 'https://app.example', API_TOKEN: TOKEN } });

    test('a preflight is 204 on every path, and tells methods and headers', async () => {
      for (const path of paths) {
        const { status, headers, body } = await ask(context.edge, 'OPTIONS', path, preflight('https://app.example'));
        expect([status, body.length], path).toEqual([204, 0]);
        expect(headers['access-control-allow-origin']).toBe('https://app.example');
        const methods = list(headers['access-control-allow-methods']);
        expect(methods).toEqual(expect.arrayContaining(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'POST'].toSorted()));
        expect(list(headers['access-control-allow-headers'])).toEqual(allowed.toSorted());
        expect(headers.vary).toBe('Origin');
        expect(headers['access-control-allow-credentials']).toBeUndefined();
      }
    });

    test('every reply names the origin, errors too, and exposes what a clerk reads', async () => {
      const { edge } = context;
      const headers = { Origin: 'https://app.example', Authorization: `Bearer ${TOKEN}` };
      for (const [method, path, sent] of [
        ['PUT', '/kv/a', headers],
        ['GET', '/kv/a', headers],
        ['GET', '/kv/missing', headers],
        ['GET', '/nothing', headers],
        ['GET', '/kv/%FF', headers],
        ['GET', '/kv/a', { Origin: 'https://app.example' }],
      ] as const) {
        const reply = await ask(edge, method, path, { headers: sent });
        expect(reply.headers['access-control-allow-origin'], `${method} ${path}`).toBe('https://app.example');
        expect(reply.headers.vary).toBe('Origin');
        expect(list(reply.headers['access-control-expose-headers'])).toEqual(exposed.toSorted());
      }
    });

    test.each([
      'https://evil.example',
      'http://app.example',
      'https://app.example:8443',
      'https://app.example.evil',
      'null',
    ])('%s is not named', async (origin) => {
      const { edge } = context;
      for (const method of ['OPTIONS', 'GET']) {
        const reply = await ask(edge, method, '/kv/a', {
          headers: { ...preflight(origin).headers, Authorization: `Bearer ${TOKEN}` },
        });
        expect(reply.headers['access-control-allow-origin']).toBeUndefined();
        // A cache must not give this reply to the other origin.
        expect(reply.headers.vary).toBe('Origin');
      }
    });
  });

  describe('with all origins', () => {
    const context = runtimeForTests({ peers: 1, variables: { CORS_ORIGIN: '*' } });
    test('any is named', async () => {
      for (const method of ['OPTIONS', 'GET', 'PUT']) {
        const reply = await ask(context.edge, method, '/kv/a', preflight('https://any.example'));
        expect(['*', 'https://any.example']).toContain(reply.headers['access-control-allow-origin']);
      }
    });
  });

  describe('by default', () => {
    const context = runtimeForTests({ peers: 1 });
    test('no origin is, and preflights are 204 all the same', async () => {
      for (const path of paths) {
        const reply = await ask(context.edge, 'OPTIONS', path, preflight('https://app.example'));
        expect([reply.status, reply.headers['access-control-allow-origin']], path).toEqual([204, undefined]);
        expect(list(reply.headers['access-control-allow-headers'])).toEqual(allowed.toSorted());
      }
      const reply = await ask(context.edge, 'GET', '/kv/a', preflight('https://app.example'));
      expect(reply.headers['access-control-allow-origin']).toBeUndefined();
    });
  });
});
