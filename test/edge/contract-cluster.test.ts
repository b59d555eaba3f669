/** http-api.md, "The group": /cluster, /healthz, /metrics. */
import { describe, expect, test } from 'vitest';
import { ask } from './contract.ts';
import { eventually, type PeerJson, runtimeForTests } from './edge-runtime.ts';

const PEER_FIELDS = [
  'id',
  'role',
  'locationHint',
  'reachable',
  'term',
  'commitIndex',
  'lastApplied',
  'firstIndex',
  'lastIndex',
  'snapshotIndex',
  'logBytes',
  'stateHash',
  'lastContactMs',
];

function checkPeer(peer: PeerJson): void {
  expect(Object.keys(peer).toSorted()).toEqual(PEER_FIELDS.toSorted());
  for (const name of ['term', 'commitIndex', 'lastApplied', 'firstIndex', 'lastIndex', 'snapshotIndex', 'logBytes']) {
    expect(peer[name as keyof PeerJson], name).toEqual(expect.any(Number));
  }
  expect(peer.stateHash).toMatch(/^[0-9a-f]+$/);
  expect(peer.lastApplied).toBeLessThanOrEqual(peer.commitIndex);
  expect(peer.commitIndex).toBeLessThanOrEqual(peer.lastIndex);
  expect(peer.snapshotIndex).toBeLessThan(peer.firstIndex);
}

describe.each([1, 3, 5, 7] as const)('%i peers', (peers) => {
  const context = runtimeForTests({ peers });
  const ids = Array.from({ length: peers }, (_, i) => String(i + 1));

  test('/cluster shows them all: one leader, one term, one state', async () => {
    const { edge } = context;
    await ask(edge, 'PUT', '/kv/a', { body: 'v' });
    const cluster = await edge.whole();
    expect(Object.keys(cluster).toSorted()).toEqual(['group', 'groupId', 'leader', 'peers', 'quiesced', 'term']);
    expect(cluster).toMatchObject({ group: 'default', groupId: expect.any(String), quiesced: expect.any(Boolean) });
    expect(cluster.peers.map(({ id }) => id)).toEqual(ids);
    expect(ids).toContain(cluster.leader);
    cluster.peers.forEach(checkPeer);
    expect(cluster.peers.map(({ locationHint }) => locationHint)).toEqual(
      ['weur', 'enam', 'wnam', 'eeur', 'apac', 'oc', 'sam'].slice(0, peers),
    );
    expect(new Set(cluster.peers.map(({ stateHash }) => stateHash)).size).toBe(1);
  });

  test('/cluster?peer= shows that one as it sees the group', async () => {
    const { edge } = context;
    await ask(edge, 'PUT', '/kv/a', { body: 'v' });
    const whole = await edge.whole();
    for (const id of ids) {
      const { leader, groupId, term, peers: shown } = (await ask(edge, 'GET', `/cluster?peer=${id}`)).json;
      expect([leader, groupId, term]).toEqual([whole.leader, whole.groupId, whole.term]);
      expect(shown.map((peer: PeerJson) => peer.id)).toEqual([id]);
      checkPeer(shown[0]);
    }
  });

  test('/healthz is 200', async () => {
    expect((await ask(context.edge, 'GET', '/healthz')).outcome).toBe('200');
    expect((await ask(context.edge, 'HEAD', '/healthz')).status).toBe(200);
  });
});

describe('three peers', () => {
  const context = runtimeForTests();

  test.each(['0', '4', '', '01', '1.0', 'x', '%201', '-1', '1,2', '%F0%9F%8D%8F'])(
    '?peer=%s: 404 no_such_peer, on /cluster and on every key route',
    async (id) => {
      const { edge } = context;
      await ask(edge, 'GET', '/kv/a');
      const paths = ['/cluster?', '/kv?', '/kv/a?', '/kv?key=a&', '/kv/a?consistency=stale&'];
      for (const path of paths) {
        expect((await ask(edge, 'GET', `${path}peer=${id}`)).outcome, path).toBe('404 no_such_peer');
      }
      for (const method of ['PUT', 'PATCH', 'DELETE']) {
        expect((await ask(edge, method, `/kv/a?peer=${id}`)).outcome).toBe('404 no_such_peer');
      }
    },
  );

  test('stateHash changes with the state, and is equal wherever lastApplied is', async () => {
    const { edge } = context;
    const hashes = new Map<number, Set<string>>();
    const seen = new Set<string>();
    for (let i = 0; i < 20; i += 1) {
      await ask(edge, 'PUT', '/kv/hash', { body: `${i}` });
      for (const { lastApplied, stateHash } of (await edge.cluster()).peers) {
        hashes.set(lastApplied, (hashes.get(lastApplied) ?? new Set()).add(stateHash));
        seen.add(stateHash);
      }
    }
    expect(seen.size).toBeGreaterThanOrEqual(20);
    for (const [index, at] of hashes) expect([...at], `stateHash at ${index}`).toHaveLength(1);
  });

  test('/metrics is Prometheus text: each family has HELP and TYPE first, each sample a number', async () => {
    const { edge } = context;
    await ask(edge, 'PUT', '/kv/a', { body: 'v' });
    const reply = await ask(edge, 'GET', '/metrics');
    expect(reply.headers['content-type']).toMatch(/^text\/plain; ?version=0\.0\.4/);
    expect(reply.text.endsWith('\n')).toBe(true);
    const types = new Map<string, string>();
    const helps = new Map<string, string>();
    let samples = 0;
    for (const line of reply.text.trimEnd().split('\n')) {
      const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
      if (comment !== null) {
        const [, kind, name = '', rest = ''] = comment;
        if (kind === 'HELP') helps.set(name, rest);
        else {
          expect(types.has(name), `${name} twice`).toBe(false);
          expect(['counter', 'gauge']).toContain(rest);
          types.set(name, rest);
        }
        continue;
      }
      const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)\{group="default",peer="[123]"\} (\S+)$/.exec(line);
      expect(sample, line).not.toBe(null);
      const [, name = '', value = ''] = sample ?? [];
      expect(types.has(name), `${name} without TYPE`).toBe(true);
      expect(Number.isFinite(Number(value)), line).toBe(true);
      samples += 1;
    }
    expect(samples).toBeGreaterThan(30);
    expect([...helps.keys()]).toEqual([...types.keys()]);
    // What is said of a metric that nobody has described, or has described as another.
    expect(helps.values()).not.toContain('Reported by the peer.');
    expect(new Set(helps.values()).size).toBe(helps.size);
  });

  test.each(['/cluster', '/metrics', '/healthz'])('%s takes GET and HEAD only', async (path) => {
    for (const method of ['PUT', 'POST', 'PATCH', 'DELETE']) {
      const reply = await ask(context.edge, method, path);
      expect(reply.outcome).toBe('405 method_not_allowed');
      expect(reply.headers.allow).toMatch(/\bGET\b/);
    }
    expect((await ask(context.edge, 'HEAD', path)).status).toBe(200);
  });

  test('?peer= is ignored elsewhere', async () => {
    const { edge } = context;
    for (const path of ['/metrics?peer=9', '/healthz?peer=9', '/healthz?peer=']) {
      expect((await ask(edge, 'GET', path)).outcome, path).toBe('200');
    }
    expect((await ask(edge, 'POST', '/groups/default?peer=9')).outcome).toBe('200');
    expect((await ask(edge, 'POST', '/chaos/1?peer=9', { body: '{"action":"heal"}' })).outcome).toBe('200');
  });

  test('without a quorum /healthz becomes 503, and 200 again after', { timeout: 90_000 }, async () => {
    const { edge } = context;
    await ask(edge, 'PUT', '/kv/a', { body: 'v' });
    for (const id of ['1', '2', '3']) await edge.fault(id, { action: 'isolate' });
    await eventually('/healthz is 503', async () => {
      const { outcome } = await ask(edge, 'GET', '/healthz');
      return outcome === '503 no_leader' ? true : null;
    });
    for (const id of ['1', '2', '3']) await edge.fault(id, { action: 'heal' });
    await eventually('/healthz is 200', async () =>
      (await edge.request('GET', '/healthz')).status === 200 ? true : null,
    );
    await edge.whole();
  });
});
