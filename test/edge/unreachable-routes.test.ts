/** What peers and router say to each other is reached through stubs only: no path, method or header of a client gets there. */
import { encode } from '@msgpack/msgpack';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, listAll } from './contract.ts';
import { type ClusterJson, runtimeForTests } from './edge-runtime.ts';
import { sendOctets } from './raw-http.ts';

const context = runtimeForTests();
const ROUTES = [
  'raft',
  'client',
  'stand',
  'status',
  'found',
  'delete',
  'chaos',
  'founding/ask',
  'founding/store',
  'founding',
];
let before: ClusterJson;

beforeAll(async () => {
  await ask(context.edge, 'PUT', '/kv/a', { body: 'v' });
  before = await context.edge.whole();
});

afterAll(async () => {
  const { groupId, leader, term, peers } = await context.edge.whole();
  expect([groupId, leader, term]).toEqual([before.groupId, before.leader, before.term]);
  expect(peers.map(({ lastApplied, stateHash }) => [lastApplied, stateHash])).toEqual(
    before.peers.map(({ lastApplied, stateHash }) => [lastApplied, stateHash]),
  );
  expect((await listAll(context.edge, '')).length).toBe(1);
});

const bodies = (): Uint8Array[] => [
  encode({ requests: [{ type: 'submit', command: { op: 'put' } }] }),
  encode({ groupId: before.groupId }),
  encode({ fault: { action: 'crash' } }),
  encode({}),
];

describe.each(ROUTES)('/%s', (route) => {
  test.each(['', '/groups/default'])('%s/…: 404 no_such_route, with every method and any body', async (base) => {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      for (const body of method === 'GET' ? [undefined] : bodies()) {
        const reply = await ask(context.edge, method, `${base}/${route}`, body === undefined ? {} : { body });
        expect(reply.outcome).toBe('404 no_such_route');
      }
    }
  });

  test.each([
    `//peer/${route}`,
    `/peer/${route}`,
    `/https://peer/${route}`,
    `/kv/../${route}`,
    `/kv/%2e%2e/${route}`,
    `/groups/default/../../${route}`,
    `/default%2F1.1/${route}`,
    `/default/1.1/${route}`,
    `/groups/default%2F1.1/${route}`,
    `/groups/default/1.1/${route}`,
    `/cluster/../${route}`,
    `/metrics/${route}`,
    `/chaos/1/${route}`,
    `/./${route}`,
    `/${route}?peer=1`,
    `/${route}/`,
    `/${route}#x`,
  ])('nor as %s', async (path) => {
    for (const body of bodies()) {
      const { status } = await ask(context.edge, 'POST', path, { body });
      expect([400, 404]).toContain(status);
    }
  });

  test('nor by what the headers say', async () => {
    const attempts: Record<string, string>[] = [
      { Host: 'peer' },
      { Host: 'peer:443', 'X-Forwarded-Host': 'peer', 'X-Forwarded-Proto': 'https' },
      { 'X-Original-URL': `/${route}`, 'X-Rewrite-URL': `/${route}` },
      { 'X-HTTP-Method-Override': 'POST', 'X-Method-Override': 'POST' },
      { 'CF-Worker': 'edgeraft', 'CF-Connecting-IP': '127.0.0.1', 'X-Durable-Object': 'default/1.1' },
      { 'MF-Durable-Object': 'default/1.1', 'MF-Route-Override': 'PEER', 'MF-Original-URL': `https://peer/${route}` },
      { Upgrade: 'websocket', Connection: 'Upgrade' },
    ];
    for (const headers of attempts) {
      const reply = await context.edge.request('POST', `/${route}`, { headers, body: encode({}), agent: false });
      expect(reply.outcome, JSON.stringify(headers)).toBe('404 no_such_route');
    }
  });

  test('nor by an absolute target', async () => {
    const { origin } = context.edge;
    for (const target of [`https://peer/${route}`, `http://peer/${route}`, `peer/${route}`]) {
      const octets = `POST ${target} HTTP/1.1\r\nHost: peer\r\nContent-Length: 1\r\nConnection: close\r\n\r\n\x80`;
      const reply = await sendOctets(origin, Buffer.from(octets, 'latin1'));
      expect(reply).not.toMatch(/^HTTP\/1\.1 [23]/);
    }
  });
});
