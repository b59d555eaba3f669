import { describe, expect, test } from 'vitest';
import { TestServer } from './http.ts';

describe('groups', () => {
  test('are created with 201, then 200; removed with 200, again and again', async () => {
    const server = new TestServer();
    const created = await server.json('POST', '/groups/g');
    expect(created).toMatchObject({ status: 201, body: { group: 'g', groupId: expect.any(String) } });
    expect(await server.json('POST', '/groups/g')).toEqual({ status: 200, body: created.body });
    expect(await server.outcome('PUT', '/groups/g/kv/a', { body: 'x' })).toBe('201');
    expect(await server.json('DELETE', '/groups/g')).toEqual({ status: 200, body: { group: 'g', deleted: true } });
    expect(await server.json('DELETE', '/groups/g')).toEqual({ status: 200, body: { group: 'g', deleted: false } });
    expect(await server.outcome('GET', '/groups/g/kv/a')).toBe('404 no_such_group');
    expect(await server.outcome('POST', '/groups/g')).toBe('201');
    expect(await server.outcome('GET', '/groups/g/kv/a')).toBe('404 key_not_found');
  });

  test('keep their keys apart', async () => {
    const server = new TestServer();
    await server.fetch('POST', '/groups/g');
    await server.fetch('PUT', '/kv/a', { body: 'x' });
    expect(await server.outcome('GET', '/groups/g/kv/a')).toBe('404 key_not_found');
    expect(await server.outcome('GET', '/groups/default/kv/a')).toBe('200');
  });

  test('of which a peer did not answer may be there in part, and the 503 does not deny it', async () => {
    const server = new TestServer({ CHAOS: 'on' });
    server.peers.fate = ({ route, object }) => (route === 'founding' && object === 'g/3.1' ? 'reject' : 'pass');
    const silent = (detail: RegExp) => ({
      status: 503,
      body: { code: 'peer_unreachable', detail: expect.stringMatching(detail) },
    });
    expect(await server.json('POST', '/groups/g')).toMatchObject(silent(/in part: repeat/));
    server.peers.fate = () => 'pass';
    expect(await server.outcome('POST', '/groups/g')).toMatch(/^20[01]$/);
    server.peers.fate = ({ route }) => (route === 'chaos' ? 'reject' : 'pass');
    const body = '{"action":"isolate"}';
    expect(await server.json('POST', '/groups/g/chaos/1', { body })).toMatchObject(silent(/may be set: repeat/));
  });

  test('are not looked for when they have spoken: a 413 of an append costs no other call', async () => {
    const server = new TestServer();
    await server.fetch('POST', '/groups/g');
    await server.fetch('PUT', '/groups/g/kv/a', { body: new Uint8Array(1_048_576) });
    const before = server.peers.callsOf('status').length;
    expect(await server.outcome('PATCH', '/groups/g/kv/a', { body: 'x' })).toBe('413 value_too_large');
    expect(server.peers.callsOf('status').length).toBe(before);
  });

  test.each([
    ['GET', '/groups/g'],
    ['GET', '/groups/g/'],
    ['PUT', '/groups/g'],
    ['GET', '/groups/g/kv/a'],
    ['HEAD', '/groups/g/kv/a'],
    ['PUT', '/groups/g/kv/a'],
    ['GET', '/groups/g/kv/a?consistency=stale'],
    ['GET', '/groups/g/kv/a?peer=1'],
    ['GET', '/groups/g/kv/a?peer=9'],
    ['GET', '/groups/g/kv'],
    ['GET', '/groups/g/kv/%FF'],
    ['GET', '/groups/g/kv/'],
    ['GET', '/groups/g/kv?limit=0'],
    ['PUT', '/groups/g/kv'],
    ['POST', '/groups/g/kv/a'],
    ['PUT', `/groups/g/kv/${'k'.repeat(1025)}`],
    ['GET', '/groups/g/nothing'],
    ['GET', '/groups/g/healthz'],
    ['GET', '/groups/g/cluster'],
    ['GET', '/groups/g/cluster?peer=1'],
    ['POST', '/groups/g/cluster'],
    ['GET', '/groups/g/metrics'],
    ['POST', '/groups/g/chaos/1'],
    ['GET', '/groups/g/chaos/1'],
  ])('that were not created: %s %s is 404 no_such_group', async (method, path) => {
    const server = new TestServer({ CHAOS: 'on' });
    if (method === 'HEAD') expect((await server.fetch(method, path)).status).toBe(404);
    else
      expect(await server.outcome(method, path, method === 'POST' ? { body: '{"action":"heal"}' } : {})).toBe(
        '404 no_such_group',
      );
    expect(server.peers.objects.size).toBe(0);
  });

  test.each([
    ['GET', '/groups/g', '405 method_not_allowed'],
    ['GET', '/groups/g/', '404 no_such_route'],
    ['GET', '/groups/g/healthz', '404 no_such_route'],
    ['GET', '/groups/g/groups/h/kv/a', '404 no_such_route'],
    ['GET', '/groups/g/kv/%FF', '400 invalid_request'],
    ['POST', '/groups/g/metrics', '405 method_not_allowed'],
    ['POST', '/groups/g/chaos/1', '404 no_such_route'],
  ])('that were created: %s %s is %s', async (method, path, expected) => {
    const server = new TestServer();
    await server.fetch('POST', '/groups/g');
    expect(await server.outcome(method, path)).toBe(expected);
  });

  test.each(['', '%20', 'a.b', 'a%2Fb', '%FF', '%', 'ä', 'x'.repeat(65)])('have no name such as %j', async (name) => {
    const server = new TestServer();
    for (const path of [`/groups/${name}`, `/groups/${name}/kv/a`, `/groups/${name}/nothing`]) {
      expect(await server.outcome('POST', path)).toBe('400 invalid_request');
    }
    expect(server.peers.calls).toEqual([]);
  });

  test.each(['a', 'x'.repeat(64), 'A-z_0'])('have names such as %j', async (name) => {
    expect(await new TestServer().outcome('POST', `/groups/${name}`)).toBe('201');
  });

  test('the group default may be created, and comes back after its removal', async () => {
    const server = new TestServer();
    expect(await server.outcome('POST', '/groups/default')).toBe('201');
    await server.fetch('PUT', '/kv/a', { body: 'x' });
    expect(await server.json('DELETE', '/groups/default')).toEqual({
      status: 200,
      body: { group: 'default', deleted: true },
    });
    expect(await server.outcome('GET', '/kv/a')).toBe('404 key_not_found');
  });
});

describe('/cluster', () => {
  test('lists every peer', async () => {
    const server = new TestServer();
    await server.fetch('PUT', '/kv/a', { body: 'x' });
    const { status, body } = await server.json('GET', '/cluster');
    const indexes = { commitIndex: 1, lastApplied: 1, firstIndex: 1, lastIndex: 1, snapshotIndex: 0, logBytes: 0 };
    const peer = (id: string, locationHint: string, role: string) => {
      const rest = { stateHash: expect.stringMatching(/^[0-9a-f]+$/), lastContactMs: 3 };
      return { id, role, locationHint, reachable: true, term: 1, ...indexes, ...rest };
    };
    expect([status, body]).toEqual([
      200,
      {
        group: 'default',
        groupId: 'group-1',
        leader: '1',
        term: 1,
        quiesced: false,
        peers: [peer('1', 'weur', 'leader'), peer('2', 'enam', 'follower'), peer('3', 'wnam', 'follower')],
      },
    ]);
  });

  test('says only so much of a peer that cannot be reached', async () => {
    const server = new TestServer();
    await server.fetch('PUT', '/kv/a', { body: 'x' });
    server.peers.down('default/2.1');
    const { body } = await server.json('GET', '/cluster');
    expect((body as { peers: unknown[] }).peers[1]).toEqual({ id: '2', locationHint: 'enam', reachable: false });
  });

  test('of a group that is not founded yet lists the peers of PEERS', async () => {
    const server = new TestServer();
    const { status, body } = await server.json('GET', '/cluster');
    expect(status).toBe(200);
    expect(body).toMatchObject({ group: 'default', groupId: null, leader: null, term: 0, quiesced: false });
    expect((body as { peers: { role: string }[] }).peers.map(({ role }) => role)).toEqual(Array(3).fill('unfounded'));
    expect(server.peers.objects.size).toBe(0);
  });

  test('with ?peer= lists that one', async () => {
    const server = new TestServer();
    expect(await server.json('GET', '/cluster?peer=3')).toMatchObject({
      body: { peers: [{ id: '3', role: 'unfounded' }] },
    });
    await server.fetch('PUT', '/kv/a', { body: 'x' });
    const { body } = await server.json('GET', '/cluster?peer=3');
    expect(body).toMatchObject({ groupId: 'group-1', leader: '1', peers: [{ id: '3', role: 'follower' }] });
    expect((body as { peers: unknown[] }).peers.length).toBe(1);
    expect(await server.outcome('GET', '/cluster?peer=4')).toBe('404 no_such_peer');
    expect(await server.outcome('GET', '/cluster?peer=')).toBe('404 no_such_peer');
    expect(await server.outcome('GET', '/cluster?peer=1&peer=1')).toBe('400 invalid_request');
    server.peers.down('default/3.1');
    expect(await server.outcome('GET', '/cluster?peer=3')).toBe('503 peer_unreachable');
  });
});

describe('/healthz', () => {
  test('is open to all, and well before the group is founded, and while it answers', async () => {
    const server = new TestServer({ OPEN: '' });
    expect(await server.outcome('GET', '/healthz')).toBe('200');
    expect(await server.outcome('HEAD', '/healthz')).toBe('200');
    server.peers.found('default', [{ id: 1, slot: 1, incarnation: 1, locationHint: 'weur' }]);
    expect(await server.outcome('GET', '/healthz')).toBe('200');
    expect(await server.outcome('POST', '/healthz')).toBe('405 method_not_allowed');
  });

  test('is 503 without a leader, or without a majority', async () => {
    const server = new TestServer();
    await server.fetch('PUT', '/kv/a', { body: 'x' });
    expect(await server.outcome('GET', '/healthz')).toBe('200');
    server.peers.down('default/3.1');
    expect(await server.outcome('GET', '/healthz')).toBe('200');
    server.peers.down('default/1.1');
    expect(await server.outcome('GET', '/healthz')).toBe('503 no_leader');
    server.peers.down('default/2.1', 'default/3.1');
    expect(await server.outcome('GET', '/healthz')).toBe('503 no_leader');
    server.peers.fate = () => 'pass';
    const group = server.peers.objects.get('default/1.1');
    if (group !== undefined) group.leader = null;
    expect(await server.outcome('GET', '/healthz')).toBe('503 no_leader');
    expect(server.peers.callsOf('stand')).toEqual([]);
  });
});

describe('/metrics', () => {
  test('is Prometheus text, one family after the other', async () => {
    const server = new TestServer();
    await server.fetch('PUT', '/kv/a', { body: 'x' });
    server.peers.down('default/3.1');
    const response = await server.fetch('GET', '/metrics');
    expect(response.headers.get('Content-Type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const text = await response.text();
    expect(text).toContain('# TYPE edgeraft_peer_reachable gauge\n');
    expect(text).toContain('edgeraft_peer_reachable{group="default",peer="3"} 0\n');
    expect(text).toContain('edgeraft_peer_leads{group="default",peer="1"} 1\n');
    expect(text).toContain(
      '# TYPE edgeraft_elections_total counter\nedgeraft_elections_total{group="default",peer="1"} 1\n',
    );
    const lines = text.trimEnd().split('\n');
    const families = lines.filter((line) => line.startsWith('# TYPE'));
    expect(new Set(families).size).toBe(families.length);
    for (const line of lines) {
      expect(line).toMatch(
        /^(# (HELP|TYPE) edgeraft_[a-z0-9_]+ .+|edgeraft_[a-z0-9_]+\{group="default",peer="[1-3]"\} -?[0-9.e+]+)$/,
      );
    }
  });

  test('of a group', async () => {
    const server = new TestServer();
    await server.fetch('POST', '/groups/g');
    expect(await (await server.fetch('GET', '/groups/g/metrics')).text()).toContain('{group="g",peer="1"}');
  });
});

describe('/chaos', () => {
  test('does not exist unless it is switched on', async () => {
    for (const CHAOS of ['', 'off', 'true', 'ON']) {
      const server = new TestServer({ CHAOS });
      expect(await server.outcome('POST', '/chaos/1', { body: '{"action":"heal"}' })).toBe('404 no_such_route');
    }
  });

  test.each([
    ['1', '{"action":"crash"}', '200'],
    ['1', '{"action":"isolate"}', '200'],
    ['1', '{"action":"cut","from":"2"}', '200'],
    ['1', '{"action":"drop","rate":0.5}', '200'],
    ['1', '{"action":"drop","rate":1}', '200'],
    ['1', '{"action":"delay","minMs":0,"maxMs":0}', '200'],
    ['1', '{"action":"heal","more":1}', '200'],
    ['1', '{"action":"cut","from":"1"}', '400 invalid_request'],
    ['1', '{"action":"cut","from":"4"}', '400 invalid_request'],
    ['1', '{"action":"cut","from":2}', '400 invalid_request'],
    ['1', '{"action":"cut"}', '400 invalid_request'],
    ['1', '{"action":"drop","rate":1.1}', '400 invalid_request'],
    ['1', '{"action":"drop","rate":-0.1}', '400 invalid_request'],
    ['1', '{"action":"drop","rate":"1"}', '400 invalid_request'],
    ['1', '{"action":"drop"}', '400 invalid_request'],
    ['1', '{"action":"delay","minMs":2,"maxMs":1}', '400 invalid_request'],
    ['1', '{"action":"delay","minMs":-1,"maxMs":1}', '400 invalid_request'],
    ['1', '{"action":"delay","minMs":1}', '400 invalid_request'],
    ['1', '{"action":"explode"}', '400 invalid_request'],
    ['1', '[]', '400 invalid_request'],
    ['1', 'null', '400 invalid_request'],
    ['1', '', '400 invalid_request'],
    ['1', '{', '400 invalid_request'],
    ['4', '{"action":"heal"}', '404 no_such_peer'],
    ['', '{"action":"heal"}', '404 no_such_peer'],
    ['01', '{"action":"heal"}', '404 no_such_peer'],
    ['%FF', '{"action":"heal"}', '404 no_such_peer'],
    ['1/2', '{"action":"heal"}', '404 no_such_route'],
  ])('to peer %j: %s is %s', async (peer, body, expected) => {
    const server = new TestServer({ CHAOS: 'on' });
    expect(await server.outcome('POST', `/chaos/${peer}`, { body })).toBe(expected);
    expect(server.peers.faults.length).toBe(expected === '200' ? 1 : 0);
  });

  test('is POST only, and answers ok', async () => {
    const server = new TestServer({ CHAOS: 'on' });
    expect(await server.outcome('GET', '/chaos/1')).toBe('405 method_not_allowed');
    expect(await server.json('POST', '/chaos/2', { body: '{"action":"heal"}' })).toEqual({
      status: 200,
      body: { ok: true },
    });
    await server.fetch('POST', '/groups/g');
    expect(await server.outcome('POST', '/groups/g/chaos/3', { body: '{"action":"isolate"}' })).toBe('200');
    expect(server.peers.faults.at(-1)).toEqual({ object: 'g/3.1', fault: { action: 'isolate' } });
  });
});
