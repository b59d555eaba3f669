/** http-api.md, "The group": POST /chaos/{peer}. */
import { beforeEach, describe, expect, test } from 'vitest';
import { ask, fresh } from './contract.ts';
import { eventually, runtimeForTests } from './edge-runtime.ts';

const post = (body: unknown) => ({ body: typeof body === 'string' ? body : JSON.stringify(body) });

describe('with CHAOS on', () => {
  const context = runtimeForTests();

  const healAll = async (): Promise<void> => {
    const { edge } = context;
    for (const id of ['1', '2', '3']) await edge.fault(id, { action: 'heal' });
    await ask(edge, 'PUT', '/kv/a', { body: 'v' });
    await edge.whole();
  };
  const roles = async (): Promise<[leader: string, one: string, two: string]> => {
    const { leader, peers } = await context.edge.whole();
    const [one, two] = peers.map(({ id }) => id).filter((id) => id !== leader);
    return [leader ?? '', one ?? '', two ?? ''];
  };
  const lastApplied = async (id: string): Promise<number> =>
    (await ask(context.edge, 'GET', `/cluster?peer=${id}`)).json.peers[0].lastApplied;

  test.each([
    { action: 'crash' },
    { action: 'isolate' },
    { action: 'cut', from: '2' },
    { action: 'drop', rate: 0 },
    { action: 'drop', rate: 1 },
    { action: 'drop', rate: 0.5 },
    { action: 'delay', minMs: 0, maxMs: 0 },
    { action: 'delay', minMs: 5, maxMs: 5 },
    { action: 'delay', minMs: 0.5, maxMs: 20.5 },
    { action: 'heal' },
  ])('%j: 200 {"ok":true}', async (fault) => {
    const reply = await ask(context.edge, 'POST', '/chaos/1', post(fault));
    expect([reply.outcome, reply.json]).toEqual(['200', { ok: true }]);
  });

  test.each([
    { action: 'explode' },
    { action: 'Crash' },
    { action: '' },
    { action: 'cut' },
    { action: 'cut', from: '' },
    { action: 'cut', from: '1' },
    { action: 'cut', from: '4' },
    { action: 'cut', from: '0' },
    { action: 'cut', from: '02' },
    { action: 'cut', from: 2 },
    { action: 'cut', from: null },
    { action: 'cut', from: ['2'] },
    { action: 'drop' },
    { action: 'drop', rate: -0.1 },
    { action: 'drop', rate: 1.1 },
    { action: 'drop', rate: '0.5' },
    { action: 'drop', rate: null },
    { action: 'delay' },
    { action: 'delay', minMs: 1 },
    { action: 'delay', maxMs: 1 },
    { action: 'delay', minMs: 2, maxMs: 1 },
    { action: 'delay', minMs: -1, maxMs: 1 },
    { action: 'delay', minMs: '1', maxMs: '2' },
    '{"action":"drop","rate":1e999}',
    '{"action":"drop","rate":NaN}',
    '{"action":"delay","minMs":0,"maxMs":1e999}',
    '',
    'heal',
    '[{"action":"heal"}]',
  ])('%j: 400', async (fault) => {
    const { edge } = context;
    expect((await ask(edge, 'POST', '/chaos/1', post(fault))).outcome).toBe('400 invalid_request');
  });

  test.each(['0', '4', '01', '', 'x', '%FF', '%31x', '1%20'])('peer %j: 404 no_such_peer', async (peer) => {
    const reply = await ask(context.edge, 'POST', `/chaos/${peer}`, post({ action: 'heal' }));
    expect(reply.outcome).toBe('404 no_such_peer');
  });

  describe('a fault does what its name says', () => {
    beforeEach(healAll);

    test('crash: the reply comes before, and the group goes on', async () => {
      const { edge } = context;
      for (const id of ['1', '2', '3']) {
        const { text } = await ask(edge, 'GET', '/metrics');
        const turns = (metrics: string): number =>
          Number(new RegExp(`turns_total\\{.*peer="${id}"\\} (\\d+)`).exec(metrics)?.[1]);
        expect((await ask(edge, 'POST', `/chaos/${id}`, post({ action: 'crash' }))).outcome).toBe('200');
        // Its counters begin anew.
        await eventually('it has restarted', async () =>
          turns((await ask(edge, 'GET', '/metrics')).text) < turns(text) ? true : null,
        );
        expect((await ask(edge, 'PUT', '/kv/a', { body: id })).outcome).toBe('200');
        await edge.whole();
      }
    });

    test('isolate: hears nobody, and clients still reach it', async () => {
      const { edge } = context;
      const [, follower] = await roles();
      await edge.fault(follower, { action: 'isolate' });
      const before = await lastApplied(follower);
      await ask(edge, 'PUT', '/kv/a', { body: 'new' });
      expect((await ask(edge, 'GET', `/kv/a?consistency=stale&peer=${follower}`)).text).toBe('v');
      expect(await lastApplied(follower)).toBe(before);
      await edge.fault(follower, { action: 'heal' });
      await edge.whole();
      expect((await ask(edge, 'GET', `/kv/a?consistency=stale&peer=${follower}`)).text).toBe('new');
    });

    test('cut: what comes from that one peer is lost; others still reach it', async () => {
      const { edge } = context;
      const [leader, one, two] = await roles();
      await edge.fault(one, { action: 'cut', from: two });
      await ask(edge, 'PUT', '/kv/a', { body: 'from the leader' });
      await edge.whole();
      // Each kind replaces itself: now it is the leader that is not heard, and the other one is.
      await edge.fault(one, { action: 'cut', from: leader });
      const before = await lastApplied(one);
      await ask(edge, 'PUT', '/kv/a', { body: 'not heard' });
      expect(await lastApplied(one)).toBe(before);
      await edge.fault(one, { action: 'heal' });
      await edge.whole();
    });

    test('drop: at rate 1 nothing arrives, at rate 0.3 the group still works', { timeout: 60_000 }, async () => {
      const { edge } = context;
      const [, one] = await roles();
      await edge.fault(one, { action: 'drop', rate: 1 });
      const before = await lastApplied(one);
      await ask(edge, 'PUT', '/kv/a', { body: 'lost on the way' });
      expect(await lastApplied(one)).toBe(before);
      for (const id of ['1', '2', '3']) await edge.fault(id, { action: 'drop', rate: 0.3 });
      const key = fresh('key');
      await eventually('a write gets through', async () =>
        (await ask(edge, 'PUT', `/kv/${key}`, { body: 'v' })).status < 300 ? true : null,
      );
      await healAll();
      expect((await ask(edge, 'GET', `/kv/${key}`)).text).toBe('v');
    });

    test('delay: both ways, so a write takes at least twice as long', async () => {
      const { edge } = context;
      const [, one, two] = await roles();
      for (const id of [one, two]) await edge.fault(id, { action: 'delay', minMs: 60, maxMs: 70 });
      const startMs = performance.now();
      expect((await ask(edge, 'PUT', '/kv/a', { body: 'slow' })).outcome).toBe('200');
      expect(performance.now() - startMs).toBeGreaterThan(115);
      for (const id of [one, two]) await edge.fault(id, { action: 'delay', minMs: 0, maxMs: 0 });
      await edge.whole();
    });

    test('faults are stored: they outlive a crash of the peer, and a kill of the runtime', {
      timeout: 60_000,
    }, async () => {
      const { edge } = context;
      const [, follower] = await roles();
      await edge.fault(follower, { action: 'isolate' });
      await ask(edge, 'POST', `/chaos/${follower}`, post({ action: 'crash' }));
      await ask(edge, 'PUT', '/kv/a', { body: 'after the crash' });
      const stale = `/kv/a?consistency=stale&peer=${follower}`;
      expect((await ask(edge, 'GET', stale)).text).toBe('v');
      await edge.kill();
      await edge.restart();
      expect((await ask(edge, 'PUT', '/kv/a', { body: 'after the kill' })).outcome).toBe('200');
      const alone = await ask(edge, 'GET', stale);
      expect([alone.text, alone.headers['raft-age-ms']]).toEqual(['v', 'unknown']);
      await edge.fault(follower, { action: 'heal' });
      await edge.whole();
      expect((await ask(edge, 'GET', stale)).text).toBe('after the kill');
    });

    test('in a group of its own, and of that group only', async () => {
      const { edge } = context;
      const group = fresh('group');
      await ask(edge, 'POST', `/groups/${group}`);
      await ask(edge, 'PUT', `/groups/${group}/kv/a`, { body: 'v' });
      for (const id of ['1', '2', '3']) {
        const reply = await ask(edge, 'POST', `/groups/${group}/chaos/${id}`, post({ action: 'isolate' }));
        expect(reply.outcome).toBe('200');
      }
      expect((await ask(edge, 'PUT', '/kv/a', { body: 'default goes on' })).outcome).toBe('200');
      await ask(edge, 'DELETE', `/groups/${group}`);
    });
  });
});

describe.each([{ CHAOS: null }, { CHAOS: 'off' }, { CHAOS: '' }, { CHAOS: 'true' }])('with %j', (variables) => {
  const context = runtimeForTests({ peers: 1, variables });

  test('the route does not exist', async () => {
    const { edge } = context;
    for (const method of ['POST', 'GET', 'PUT', 'DELETE']) {
      for (const path of ['/chaos/1', '/chaos/9', '/chaos/', '/groups/default/chaos/1']) {
        const options = method === 'GET' ? {} : post({ action: 'crash' });
        expect((await ask(edge, method, path, options)).outcome, `${method} ${path}`).toBe('404 no_such_route');
      }
    }
    expect((await edge.cluster()).groupId).toBe(null);
  });
});
