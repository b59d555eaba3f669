/** http-api.md, "The group": ?peer= on key routes; and who answers when peers are cut off. */
import { beforeEach, describe, expect, test } from 'vitest';
import { ask, clerk, fresh } from './contract.ts';
import { eventually, runtimeForTests } from './edge-runtime.ts';

const context = runtimeForTests();
const ANSWER_LIMIT_MS = 10_000;
/** For the way there and back on a busy machine. */
const MARGIN_MS = 1000;

/** Who leads, and who does not. */
async function roles(): Promise<{ leader: string; followers: string[] }> {
  const { leader, peers } = await context.edge.whole();
  return { leader: leader ?? '', followers: peers.map(({ id }) => id).filter((id) => id !== leader) };
}

beforeEach(async () => {
  const { edge } = context;
  for (const id of ['1', '2', '3']) await edge.fault(id, { action: 'heal' });
  await ask(edge, 'PUT', '/kv/a', { body: 'v' });
  await edge.whole();
});

describe('a whole group', () => {
  test('the leader answers as without ?peer=', async () => {
    const { edge } = context;
    const { leader } = await roles();
    const path = `/kv/${fresh('key')}?peer=${leader}`;
    expect((await ask(edge, 'PUT', path, { body: 'one' })).outcome).toBe('201');
    expect((await ask(edge, 'PATCH', path, { body: 'two' })).outcome).toBe('200');
    const read = await ask(edge, 'GET', path);
    expect([read.text, read.headers['raft-age-ms']]).toEqual(['onetwo', undefined]);
    expect((await ask(edge, 'GET', `/kv?peer=${leader}`)).outcome).toBe('200');
    expect((await ask(edge, 'GET', `${path}&consistency=stale`)).headers['raft-age-ms']).toMatch(/^[0-9]+$/);
    expect((await ask(edge, 'DELETE', path)).json.deleted).toBe(1);
  });

  test('a follower answers 409 not_leader to writes and linearizable reads, and names the leader', async () => {
    const { edge } = context;
    const { leader, followers } = await roles();
    for (const id of followers) {
      for (const [method, path] of [
        ['PUT', '/kv/follower'],
        ['PATCH', '/kv/follower'],
        ['DELETE', '/kv/a'],
        ['GET', '/kv/a'],
        ['GET', '/kv'],
        ['GET', '/kv/missing'],
      ] as const) {
        const reply = await ask(edge, method, `${path}?peer=${id}`, method === 'GET' ? {} : { body: 'v' });
        expect([reply.outcome, reply.json.leader], `${method} ${path}`).toEqual(['409 not_leader', leader]);
      }
      expect((await ask(edge, 'HEAD', `/kv/a?peer=${id}`)).status).toBe(409);
    }
    expect((await ask(edge, 'GET', '/kv/follower')).outcome).toBe('404 key_not_found');
    expect((await ask(edge, 'GET', '/kv/a')).text).toBe('v');
  });

  test('not_leader does not use up the seq', async () => {
    const { edge } = context;
    const { followers } = await roles();
    const id = fresh('clerk');
    const path = `/kv/${fresh('key')}`;
    const options = { headers: clerk(id, 1), body: 'v' };
    expect((await ask(edge, 'PATCH', `${path}?peer=${followers[0]}`, options)).outcome).toBe('409 not_leader');
    const reply = await ask(edge, 'PATCH', path, options);
    expect([reply.outcome, reply.headers['clerk-replayed']]).toEqual(['201', undefined]);
  });

  test('every peer answers stale reads, with its age', async () => {
    const { edge } = context;
    for (const id of ['1', '2', '3']) {
      const value = await ask(edge, 'GET', `/kv/a?consistency=stale&peer=${id}`);
      expect([value.text, value.headers['raft-age-ms']]).toEqual(['v', expect.stringMatching(/^[0-9]+$/)]);
      const listing = await ask(edge, 'GET', `/kv?consistency=stale&peer=${id}&prefix=a`);
      expect([listing.outcome, listing.headers['raft-age-ms']]).toEqual(['200', expect.stringMatching(/^[0-9]+$/)]);
      expect(listing.json.items.length).toBe(1);
      const missing = await ask(edge, 'GET', `/kv/missing?consistency=stale&peer=${id}`);
      expect([missing.outcome, missing.headers['raft-revision']]).toEqual([
        '404 key_not_found',
        value.headers['raft-revision'],
      ]);
    }
  });
});

describe('a peer that is cut off', () => {
  test('a follower shows what it had, and its age grows as time passes', async () => {
    const { edge } = context;
    const [follower] = (await roles()).followers;
    await edge.fault(follower ?? '', { action: 'isolate' });
    const startMs = performance.now();
    await ask(edge, 'PUT', '/kv/a', { body: 'new' });
    const path = `/kv/a?consistency=stale&peer=${follower}`;
    const age = async (): Promise<number> => Number((await ask(edge, 'GET', path)).headers['raft-age-ms']);
    expect((await ask(edge, 'GET', path)).text).toBe('v');
    // At every moment, not only after the peer has looked at its clock for a reason of its own.
    while (performance.now() - startMs < 2500) {
      const silentMs = performance.now() - startMs;
      expect(await age()).toBeGreaterThanOrEqual(silentMs - 50);
    }
    const { lastContactMs } = (await ask(edge, 'GET', `/cluster?peer=${follower}`)).json.peers[0];
    expect(lastContactMs).toBeGreaterThanOrEqual(2450);
    expect((await ask(edge, 'GET', '/kv/a')).text).toBe('new');
    await edge.fault(follower ?? '', { action: 'heal' });
    await eventually('it catches up', async () => ((await ask(edge, 'GET', path)).text === 'new' ? true : null));
  });

  test('an old leader confirms no read and no write', { timeout: 60_000 }, async () => {
    const { edge } = context;
    const { leader: old } = await roles();
    await edge.fault(old, { action: 'isolate' });
    expect((await ask(edge, 'PUT', '/kv/a', { body: 'new' })).status).toBe(200);
    const startMs = performance.now();
    const replies = await Promise.all([
      ask(edge, 'GET', `/kv/a?peer=${old}`),
      ask(edge, 'GET', `/kv?peer=${old}`),
      ask(edge, 'PUT', `/kv/a?peer=${old}`, { body: 'old' }),
    ]);
    expect(performance.now() - startMs).toBeLessThan(ANSWER_LIMIT_MS + MARGIN_MS);
    for (const { outcome } of replies) {
      expect(['409 not_leader', '503 peer_unreachable', '503 no_leader', '504 outcome_unknown']).toContain(outcome);
    }
    await edge.fault(old, { action: 'heal' });
    await edge.whole();
    expect((await ask(edge, 'GET', '/kv/a')).text).toBe('new');
  });
});

describe('a minority that is cut off', () => {
  test('does not matter', async () => {
    const { edge } = context;
    const [follower] = (await roles()).followers;
    await edge.fault(follower ?? '', { action: 'isolate' });
    for (let i = 0; i < 5; i += 1) {
      expect((await ask(edge, 'PUT', '/kv/a', { body: `${i}` })).outcome).toBe('200');
      expect((await ask(edge, 'GET', '/kv/a')).text).toBe(`${i}`);
    }
  });
});
