/** http-api.md, "Groups". */
import { describe, expect, test } from 'vitest';
import { ask, fresh, listAll, revisionOf } from './contract.ts';
import { runtimeForTests } from './edge-runtime.ts';
import type { RequestOptions } from './raw-http.ts';

const context = runtimeForTests();

/** Runs with a new group, and removes it. */
async function withGroup(run: (base: string, group: string) => Promise<void>): Promise<void> {
  const { edge } = context;
  const group = fresh('group');
  expect((await ask(edge, 'POST', `/groups/${group}`)).outcome).toBe('201');
  try {
    await run(`/groups/${group}`, group);
  } finally {
    await ask(edge, 'DELETE', `/groups/${group}`);
  }
}

describe('the group default', () => {
  test('is founded by its first request; /cluster, /metrics and /healthz found nothing', async () => {
    const { edge } = context;
    for (const path of ['/cluster', '/metrics', '/healthz', '/groups/default/cluster', '/cluster?peer=2']) {
      expect((await ask(edge, 'GET', path)).outcome, path).toBe('200');
    }
    const { groupId, leader, peers } = await edge.cluster();
    expect([groupId, leader, peers.map(({ role }) => role)]).toEqual([null, null, Array(3).fill('unfounded')]);
    expect((await ask(edge, 'GET', '/kv/a')).outcome).toBe('404 key_not_found');
    expect((await edge.cluster()).groupId).toMatch(/^\S+$/);
    await edge.whole();
  });

  test('is the same without the prefix and with it', async () => {
    const { edge } = context;
    const key = fresh('key');
    await ask(edge, 'PUT', `/groups/default/kv/${key}`, { body: 'v' });
    expect((await ask(edge, 'GET', `/kv/${key}`)).text).toBe('v');
    expect((await ask(edge, 'GET', `/groups/%64efault/kv/${key}`)).text).toBe('v');
    expect((await ask(edge, 'POST', '/groups/default')).outcome).toBe('200');
  });

  test('is founded anew by the next request after its deletion', async () => {
    const { edge } = context;
    await ask(edge, 'PUT', '/kv/gone', { body: 'v' });
    const { groupId } = await edge.cluster();
    expect((await ask(edge, 'DELETE', '/groups/default')).outcome).toBe('200');
    expect((await edge.cluster()).groupId).toBe(null);
    const reply = await ask(edge, 'GET', '/kv/gone');
    expect([reply.outcome, reply.headers['raft-revision']]).toEqual(['404 key_not_found', '0']);
    const anew = await edge.whole();
    expect(anew.groupId).not.toBe(groupId);
    expect((await ask(edge, 'PUT', '/kv/gone', { body: 'v' })).json).toEqual({ revision: 1, version: 1 });
  });
});

describe('a name', () => {
  test.each(['a', 'Z', '0', '_', '-', 'A-z_9', 'x'.repeat(64)])('%s is one', async (group) => {
    const { edge } = context;
    expect((await ask(edge, 'POST', `/groups/${group}`)).outcome).toBe('201');
    expect((await ask(edge, 'PUT', `/groups/${group}/kv/a`, { body: group })).outcome).toBe('201');
    expect((await ask(edge, 'DELETE', `/groups/${group}`)).outcome).toBe('200');
  });

  // (`%2e%2e` is not here: no URL can carry it as a segment.)
  test.each(['', 'x'.repeat(65), 'a.b', 'a%20b', 'a%2Fb', '%FF', '%zz', 'ä', '%C3%A4', 'a%00', 'a,b', '~'])(
    '%j is none: 400 on every route',
    async (group) => {
      const requests: [string, string][] = [
        ['POST', ''],
        ['DELETE', ''],
        ['GET', '/kv/a'],
        ['PUT', '/kv/a'],
        ['GET', '/kv'],
        ['GET', '/cluster'],
        ['GET', '/metrics'],
        ['POST', '/chaos/1'],
      ];
      for (const [method, rest] of requests) {
        const reply = await ask(context.edge, method, `/groups/${group}${rest}`);
        expect(reply.outcome, `${method} ${rest}`).toBe('400 invalid_request');
      }
    },
  );
});

describe('creating', () => {
  test('201, then 200, and one groupId', async () => {
    const { edge } = context;
    const group = fresh('group');
    expect((await ask(edge, 'POST', `/groups/${group}`)).outcome).toBe('201');
    const { groupId } = await edge.cluster(group);
    await ask(edge, 'PUT', `/groups/${group}/kv/a`, { body: 'v' });
    expect((await ask(edge, 'POST', `/groups/${group}`)).outcome).toBe('200');
    expect((await edge.cluster(group)).groupId).toBe(groupId);
    expect((await ask(edge, 'GET', `/groups/${group}/kv/a`)).text).toBe('v');
    await ask(edge, 'DELETE', `/groups/${group}`);
  });

  test('ten at once create one group', async () => {
    const { edge } = context;
    const group = fresh('group');
    const replies = await Promise.all(Array.from({ length: 10 }, () => ask(edge, 'POST', `/groups/${group}`)));
    expect(replies.every(({ status }) => status === 200 || status === 201)).toBe(true);
    expect(replies.some(({ status }) => status === 201)).toBe(true);
    expect(new Set(replies.map(({ json }) => json.groupId)).size).toBe(1);
    await ask(edge, 'DELETE', `/groups/${group}`);
  });
});

describe('deleting', () => {
  test('removes all data; a group of the same name is another one', async () => {
    const { edge } = context;
    const group = fresh('group');
    await ask(edge, 'POST', `/groups/${group}`);
    const { groupId } = await edge.cluster(group);
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => ask(edge, 'PUT', `/groups/${group}/kv/k${i}`, { body: 'v' })),
    );
    expect((await ask(edge, 'DELETE', `/groups/${group}`)).outcome).toBe('200');
    expect((await ask(edge, 'GET', `/groups/${group}/kv/k0`)).outcome).toBe('404 no_such_group');
    expect((await ask(edge, 'DELETE', `/groups/${group}`)).outcome).toBe('200');
    expect((await ask(edge, 'POST', `/groups/${group}`)).outcome).toBe('201');
    expect((await edge.cluster(group)).groupId).not.toBe(groupId);
    expect(await listAll(edge, '', `/groups/${group}`)).toEqual([]);
    expect(await revisionOf(edge, `/groups/${group}`)).toBe(0);
    expect((await ask(edge, 'DELETE', `/groups/${group}`)).outcome).toBe('200');
  });

  test('is 200 for a group that never was, which does not come into being', async () => {
    const { edge } = context;
    const group = fresh('group');
    for (let i = 0; i < 2; i += 1) expect((await ask(edge, 'DELETE', `/groups/${group}`)).outcome).toBe('200');
    expect((await ask(edge, 'GET', `/groups/${group}/cluster`)).outcome).toBe('404 no_such_group');
  });

  test('may be asked for by many at once, with writes under way', async () => {
    const { edge } = context;
    const group = fresh('group');
    await ask(edge, 'POST', `/groups/${group}`);
    const writes = Array.from({ length: 20 }, (_, i) => ask(edge, 'PUT', `/groups/${group}/kv/${i}`, { body: 'v' }));
    const deletes = Array.from({ length: 5 }, () => ask(edge, 'DELETE', `/groups/${group}`));
    for (const { status } of await Promise.all(deletes)) expect(status).toBe(200);
    for (const { status } of await Promise.all(writes)) expect([200, 201, 404, 503, 504]).toContain(status);
    expect((await ask(edge, 'GET', `/groups/${group}/kv`)).outcome).toBe('404 no_such_group');
  });
});

describe('a group that was not created', () => {
  const requests: [string, string, RequestOptions?][] = [
    ['GET', '/kv/a'],
    ['HEAD', '/kv/a'],
    ['GET', '/kv/a?consistency=stale'],
    ['PUT', '/kv/a', { body: 'v' }],
    ['PATCH', '/kv/a', { body: 'v' }],
    ['DELETE', '/kv/a'],
    ['PUT', '/kv/a', { headers: { 'Clerk-Id': 'a', 'Clerk-Seq': '2' } }],
    ['PUT', '/kv/a?peer=1', { body: 'v' }],
    ['GET', '/kv/a?peer=9'],
    ['GET', '/kv/a?consistency=stale&peer=2'],
    ['GET', '/kv'],
    ['GET', '/cluster'],
    ['GET', '/cluster?peer=1'],
    ['GET', '/cluster?peer=9'],
    ['GET', '/metrics'],
    ['POST', '/chaos/1', { body: '{"action":"heal"}' }],
    ['POST', '/chaos/9', { body: '{"action":"heal"}' }],
    // Before 405 …
    ['POST', '/kv/a'],
    ['PUT', '/kv'],
    ['DELETE', '/cluster'],
    ['GET', '/chaos/1'],
    ['GET', ''],
    ['PUT', ''],
    // … and before no_such_route.
    ['GET', '/nothing'],
    ['GET', '/'],
    ['GET', '/healthz'],
    ['POST', '/groups/default'],
  ];

  test.each(requests)('%s %s: 404 no_such_group, and nothing comes into being', async (method, rest, options) => {
    const { edge } = context;
    const group = fresh('group');
    const reply = await ask(edge, method, `/groups/${group}${rest}`, options);
    expect(reply.status).toBe(404);
    if (method !== 'HEAD') expect(reply.json.code).toBe('no_such_group');
    expect((await ask(edge, 'GET', `/groups/${group}/cluster`)).outcome).toBe('404 no_such_group');
    expect((await ask(edge, 'POST', `/groups/${group}`)).outcome).toBe('201');
    await ask(edge, 'DELETE', `/groups/${group}`);
  });
});

describe('a group that was created', () => {
  test('has every route but /healthz', async () => {
    const { edge } = context;
    await withGroup(async (base, group) => {
      expect((await ask(edge, 'PUT', `${base}/kv/a`, { body: 'v' })).json).toEqual({ revision: 1, version: 1 });
      expect((await ask(edge, 'PATCH', `${base}/kv?key=a`, { body: 'w' })).outcome).toBe('200');
      expect((await ask(edge, 'GET', `${base}/kv/a`)).text).toBe('vw');
      expect((await ask(edge, 'GET', `${base}/kv`)).json.items.length).toBe(1);
      expect((await ask(edge, 'GET', `${base}/cluster`)).json.group).toBe(group);
      expect((await ask(edge, 'GET', `${base}/metrics`)).outcome).toBe('200');
      expect((await ask(edge, 'POST', `${base}/chaos/1`, { body: '{"action":"heal"}' })).json).toEqual({ ok: true });
      expect((await ask(edge, 'DELETE', `${base}/kv/a`)).json.deleted).toBe(1);
      expect((await ask(edge, 'GET', `${base}/healthz`)).outcome).toBe('404 no_such_route');
    });
  });

  test('has keys and revisions of its own', async () => {
    const { edge } = context;
    await withGroup(async (one) => {
      await withGroup(async (two) => {
        await ask(edge, 'PUT', `${one}/kv/a`, { body: 'one' });
        await ask(edge, 'PUT', `${two}/kv/a`, { body: 'two' });
        expect((await ask(edge, 'GET', `${one}/kv/a`)).text).toBe('one');
        expect((await ask(edge, 'GET', `${two}/kv/a`)).text).toBe('two');
        expect([await revisionOf(edge, one), await revisionOf(edge, two)]).toEqual([1, 1]);
      });
      expect((await ask(edge, 'GET', `${one}/kv/a`)).text).toBe('one');
    });
  });

  test.each([
    ['GET', '', '405 method_not_allowed'],
    ['PUT', '', '405 method_not_allowed'],
    ['PATCH', '', '405 method_not_allowed'],
    ['GET', '/', '404 no_such_route'],
    ['POST', '/', '404 no_such_route'],
    ['GET', '/nothing', '404 no_such_route'],
    ['GET', '/groups/default/kv', '404 no_such_route'],
  ])('%s %s: %s', async (method, rest, outcome) => {
    await withGroup(async (base) => {
      const reply = await ask(context.edge, method, base + rest);
      expect(reply.outcome).toBe(outcome);
      if (reply.status === 405)
        expect(reply.headers.allow?.split(', ')).toEqual(expect.arrayContaining(['POST', 'DELETE']));
    });
  });
});
