import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Command } from '../../src/kv/commands.ts';
import { IdentityPool, type Lease, type LeaseEnd, MAX_IDENTITIES, MAX_WAITING } from '../../src/router/identity.ts';
import { FakeClock } from './fake-clock.ts';
import { FakePeers, members } from './fake-peers.ts';
import { append, HINTS_OF_THREE, put, SimulatedRouter, simulatedPlatform } from './simulated-router.ts';

function pool() {
  const clock = new FakeClock();
  const identities = new IdentityPool(simulatedPlatform(clock, new FakePeers()));
  const acquire = () => identities.acquire(clock.nowMs + 9500);
  const take = async (): Promise<Lease> => {
    const lease = await acquire();
    if (typeof lease === 'string') throw new Error(lease);
    return lease;
  };
  return { clock, identities, acquire, take };
}

async function settled<T>(clock: FakeClock, promise: Promise<T>): Promise<T | 'pending'> {
  let result: T | 'pending' = 'pending';
  promise.then((value) => {
    result = value;
  });
  await clock.advance(0);
  return result;
}

describe('the first request of an identity', () => {
  test('has seq 1, and is alone until it has a kept reply', async () => {
    const { clock, take } = pool();
    const first = await take();
    expect([first.seq, first.acked]).toEqual([1, 0]);
    const waiting = [take(), take()];
    expect(await settled(clock, Promise.race(waiting))).toBe('pending');
    first.end('kept');
    const [second, third] = await Promise.all(waiting);
    expect([second?.id, third?.id]).toEqual([first.id, first.id]);
    expect([second?.seq, third?.seq]).toEqual([2, 3]);
    expect([second?.acked, third?.acked]).toEqual([1, 1]);
  });

  test('of which nothing was done leaves seq 1 to the next', async () => {
    const { take } = pool();
    const first = await take();
    const waiting = take();
    first.end('unused');
    const next = await waiting;
    expect([next.id, next.seq]).toEqual([first.id, 1]);
  });

  test.each(['unknown', 'expired'] as const)('that ended %s takes the identity with it', async (end) => {
    const { take } = pool();
    const first = await take();
    const waiting = take();
    first.end(end);
    const next = await waiting;
    expect(next.id).not.toBe(first.id);
    expect(next.seq).toBe(1);
  });

  test('whose handler was cut off is given up after its deadline', async () => {
    const { clock, take } = pool();
    const lost = await take();
    await clock.advance(12_000);
    const next = await take();
    expect(next.id).not.toBe(lost.id);
    expect(next.seq).toBe(1);
  });
});

describe('later requests', () => {
  async function established() {
    const made = pool();
    const first = await made.take();
    first.end('kept');
    return made;
  }

  test('acknowledge what lies below the lowest unresolved', async () => {
    const { take } = await established();
    const [two, three, four] = [await take(), await take(), await take()];
    three.end('kept');
    expect(four.acked).toBe(1);
    two.end('kept');
    expect(four.acked).toBe(3);
    expect((await take()).acked).toBe(3);
  });

  test.each(['unknown', 'unused'] as const)('that ended %s are given up: their seq is acknowledged', async (end) => {
    const { take } = await established();
    const two = await take();
    two.end(end);
    const three = await take();
    expect([three.seq, three.acked]).toEqual([3, 2]);
  });

  test('never have a seq more than 255 above the lowest unresolved; then another identity takes over', async () => {
    const { clock, take } = await established();
    const leases = await Promise.all(Array.from({ length: 256 }, take));
    expect(new Set(leases.map(({ id }) => id)).size).toBe(1);
    expect(leases.at(-1)?.seq).toBe((leases[0]?.seq ?? 0) + 255);
    const next = await take();
    expect(next.id).not.toBe(leases[0]?.id);
    // The new one is not established yet, and the old one is full.
    const waiting = take();
    expect(await settled(clock, waiting)).toBe('pending');
    leases[1]?.end('kept');
    expect(await settled(clock, waiting)).toBe('pending');
    leases[0]?.end('kept');
    expect((await waiting).id).toBe(leases[0]?.id);
  });

  test('wait in a bounded queue when every identity is full', async () => {
    const { clock, acquire, take } = pool();
    for (let i = 0; i < MAX_IDENTITIES; i += 1) {
      const first = await take();
      first.end('kept');
      await Promise.all(Array.from({ length: 256 }, take));
    }
    const queue = Array.from({ length: MAX_WAITING }, acquire);
    expect(await acquire()).toBe('full');
    const results = await clock.until(Promise.all(queue));
    expect(results.every((result) => result === 'late')).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  test('after session_expired go to a new identity; those under way end as they end', async () => {
    const { take } = await established();
    const [two, three] = [await take(), await take()];
    two.end('expired');
    const next = await take();
    expect([next.id === two.id, next.seq]).toEqual([false, 1]);
    three.end('kept');
  });
});

test('whatever happens, the rules of sessions hold (property)', async () => {
  const ends = fc.constantFrom<LeaseEnd>('kept', 'kept', 'kept', 'unused', 'unknown', 'expired');
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.constant('acquire' as const) },
    { weight: 3, arbitrary: fc.record({ pick: fc.nat(1000), end: ends }) },
    { weight: 1, arbitrary: fc.record({ waitMs: fc.nat(4000) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 300 }), async (steps) => {
      const { clock, acquire } = pool();
      const held: Lease[] = [];
      const kept = new Map<string, number>();
      const issued = new Set<string>();
      for (const action of steps) {
        if (action === 'acquire') {
          acquire().then((lease) => {
            if (typeof lease !== 'string') {
              const mine = held.filter(({ id }) => id === lease.id).map(({ seq }) => seq);
              if (lease.seq === 1) expect(mine).toEqual([]);
              else expect(kept.get(lease.id)).toBe(1);
              expect(lease.seq - Math.min(lease.seq, ...mine)).toBeLessThanOrEqual(255);
              expect(lease.acked).toBeLessThan(Math.min(lease.seq, ...mine));
              if (lease.seq > 1) expect(issued.has(`${lease.id} ${lease.seq}`)).toBe(false);
              issued.add(`${lease.id} ${lease.seq}`);
              held.push(lease);
            }
          });
          await clock.advance(0);
        } else if ('waitMs' in action) {
          // Short of what counts as lost: handlers here are never cut off.
          await clock.advance(action.waitMs % 20);
        } else if (held.length > 0) {
          const [lease] = held.splice(action.pick % held.length, 1);
          if (lease === undefined) continue;
          if (lease.seq === 1 && action.end === 'kept') kept.set(lease.id, 1);
          lease.end(action.end);
          await clock.advance(0);
        }
      }
    }),
    { numRuns: 100 },
  );
});

describe('writes under the identities of the router', () => {
  function foundedRouter() {
    const router = new SimulatedRouter();
    const group = router.peers.found('default', members(...HINTS_OF_THREE));
    const commands: Command[] = [];
    router.peers.onCommand = (command) => commands.push(command);
    return { router, group, peers: router.peers, commands };
  }

  test('belong to the router pool, one identity for each isolate and group', async () => {
    const { router, commands } = foundedRouter();
    router.peers.found('other', members(...HINTS_OF_THREE));
    await router.run(router.groups.write('default', put('a', '1')));
    await router.run(router.groups.write('default', put('b', '1')));
    await router.run(router.groups.write('other', put('b', '1')));
    const sessions = commands.map(({ session }) => session);
    expect(sessions.map(({ pool: name, seq, acked }) => [name, seq, acked])).toEqual([
      ['router', 1, 0],
      ['router', 2, 1],
      ['router', 1, 0],
    ]);
    expect(new Set(sessions.map(({ id }) => id)).size).toBe(2);
  });

  test('a thousand at a time are all applied once', async () => {
    const { router, group } = foundedRouter();
    const writes = Array.from({ length: 1000 }, (_, i) => router.groups.write('default', append('a', `${i},`)));
    const outcomes = await router.run(Promise.all(writes));
    expect(outcomes.every(({ ok }) => ok)).toBe(true);
    expect(group.index).toBe(1000);
  });

  test('an expired session is replaced, and the write is done under the new one', async () => {
    const { router, peers, commands } = foundedRouter();
    await router.run(router.groups.write('default', put('a', '1')));
    // The group is another one now, which does not know the identity.
    peers.found('default', members(...HINTS_OF_THREE));
    expect((await router.run(router.groups.write('default', put('b', '1')))).ok).toBe(true);
    const [, refused, done] = commands.map(({ session }) => session);
    expect(refused?.seq).toBe(2);
    expect(done?.seq).toBe(1);
    expect(done?.id).not.toBe(refused?.id);
  });

  test('an expired session on a repeat is an unknown outcome, and is replaced', async () => {
    const { router, peers, commands } = foundedRouter();
    await router.run(router.groups.write('default', put('a', '1')));
    let tries = 0;
    peers.fate = ({ route }) => (route === 'client' && tries++ === 0 ? 'late' : 'pass');
    const work = router.groups.write('default', put('b', '1'));
    await router.clock.advance(100);
    peers.found('default', members(...HINTS_OF_THREE));
    expect(await router.run(work)).toEqual({ ok: false, failure: { type: 'outcome_unknown' } });
    await router.run(router.groups.write('default', put('c', '1')));
    expect(commands.at(-1)?.session.seq).toBe(1);
  });

  test('after an unknown outcome of seq 1 the next write has a new identity', async () => {
    const { router, peers, commands } = foundedRouter();
    peers.fate = ({ route }) => (route === 'client' ? 'late' : 'pass');
    const unknown = await router.run(router.groups.write('default', put('a', '1')));
    expect(unknown).toEqual({ ok: false, failure: { type: 'outcome_unknown' } });
    const [first] = commands;
    peers.fate = () => 'pass';
    expect((await router.run(router.groups.write('default', put('b', '1')))).ok).toBe(true);
    expect(commands.at(-1)?.session).toMatchObject({ seq: 1 });
    expect(commands.at(-1)?.session.id).not.toBe(first?.session.id);
  });

  test('those that waited for seq 1 in vain were never sent: nothing was done', async () => {
    const { router, peers } = foundedRouter();
    peers.fate = ({ route }) => (route === 'client' ? 'hang' : 'pass');
    const first = router.groups.write('default', put('a', '1'));
    const others = Array.from({ length: 10 }, (_, i) => router.groups.write('default', put(`${i}`, '1')));
    expect(await router.run(first)).toEqual({ ok: false, failure: { type: 'outcome_unknown' } });
    for (const outcome of await router.run(Promise.all(others))) {
      expect(outcome).toEqual({ ok: false, failure: { type: 'no_leader' } });
    }
  });

  test('of a group that was created anew are all done, though every identity of a thousand at once is unknown there', async () => {
    const { router, peers } = foundedRouter();
    const atOnce = (count: number) =>
      router.run(
        Promise.all(Array.from({ length: count }, (_, i) => router.groups.write('default', put(`${i}`, 'v')))),
      );
    await atOnce(1000);
    peers.found('default', members(...HINTS_OF_THREE));
    expect((await atOnce(300)).filter(({ ok }) => !ok)).toEqual([]);
  });

  test('that ask one peer, which is dead, hold up no others', async () => {
    const { router, peers } = foundedRouter();
    peers.fate = ({ object }) => (object === 'default/3.1' ? 'hang' : 'pass');
    const asked = Array.from({ length: 8 }, () => router.groups.write('default', put('a', 'v', { peer: '3' })));
    const { result, tookMs } = await router.timed(router.groups.write('default', put('b', 'v')));
    expect(result.ok).toBe(true);
    expect(tookMs).toBeLessThan(100);
    const outcomes = await router.run(Promise.all(asked));
    expect(outcomes.some(({ ok }) => ok)).toBe(false);
  });

  test('no room for new sessions is overload', async () => {
    const { router, peers } = foundedRouter();
    const reply = { type: 'result' as const, result: { type: 'sessions_full' }, ageMs: null };
    peers.fate = ({ route }) => (route === 'client' ? { replies: [reply] } : 'pass');
    const outcome = await router.run(router.groups.write('default', put('a', '1')));
    expect(outcome).toEqual({ ok: false, failure: { type: 'overloaded' } });
  });
});
