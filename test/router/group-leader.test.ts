import { describe, expect, test } from 'vitest';
import type { Command } from '../../src/kv/commands.ts';
import { members } from './fake-peers.ts';
import { get, HINTS_OF_THREE, put, SimulatedRouter } from './simulated-router.ts';

const WRITTEN = { ok: true, result: { type: 'written', created: true, revision: 1, version: 1, replayed: false } };
const REQUEST_MS = 8500;

function foundedRouter() {
  const router = new SimulatedRouter();
  const group = router.peers.found('default', members(...HINTS_OF_THREE));
  return { router, group, peers: router.peers };
}

function submitted(calls: { request: Record<string, unknown> }[]): Command[] {
  return calls.flatMap(({ request }) => (request.requests as { command: Command }[]).map(({ command }) => command));
}

describe('the leader is found', () => {
  test('by following not_leader, and is remembered', async () => {
    const { router, group, peers } = foundedRouter();
    group.leader = 3;
    expect(await router.run(router.groups.write('default', put('a', '1')))).toEqual(WRITTEN);
    expect(peers.calls.map(({ object }) => object)).toEqual(['default/1.1', 'default/3.1']);
    await router.run(router.groups.read('default', get('a')));
    expect(peers.calls.map(({ object }) => object)).toEqual(['default/1.1', 'default/3.1', 'default/3.1']);
  });

  test('with the location hint of each object', async () => {
    const { router, group, peers } = foundedRouter();
    group.leader = 3;
    await router.run(router.groups.write('default', put('a', '1')));
    expect(peers.calls.map(({ locationHint }) => locationHint)).toEqual(['weur', 'wnam']);
  });

  test('after it moved', async () => {
    const { router, group, peers } = foundedRouter();
    await router.run(router.groups.write('default', put('a', '1')));
    group.leader = 2;
    group.term = 2;
    const { result, tookMs } = await router.timed(router.groups.write('default', put('b', '1')));
    expect(result.ok).toBe(true);
    expect(tookMs).toBeLessThan(50);
    expect(peers.calls.length).toBe(3);
  });

  test.each(['down', 'silent'] as const)('after it went %s: the next peer is asked to stand', async (how) => {
    const { router, group, peers } = foundedRouter();
    await router.run(router.groups.write('default', put('a', '1')));
    peers[how]('default/1.1');
    const { result, tookMs } = await router.timed(router.groups.write('default', put('b', '1')));
    expect(result.ok).toBe(true);
    expect(tookMs).toBeLessThan(how === 'down' ? 100 : 1700);
    expect(group.leader).toBe(2);
    expect(peers.callsOf('stand').map(({ object }) => object)).toEqual(['default/2.1']);
  });

  test('while it is silent, another request has heard of a new one: that one is asked, long before the try is over', async () => {
    const { router, group, peers } = foundedRouter();
    await router.run(router.groups.write('default', put('a', '1')));
    // Nobody is asked to stand with success, which would make a newer term still.
    peers.fate = ({ object, route }) => {
      if (route === 'stand') return 'reject';
      return object === 'default/1.1' && route === 'client' ? 'hang' : 'pass';
    };
    const writing = router.timed(router.groups.write('default', put('b', '1')));
    await router.clock.advance(100);
    Object.assign(group, { leader: 2, term: 2 });
    await router.run(router.groups.read('default', get('a', 'stale', '2')));
    const { result, tookMs } = await writing;
    expect(result.ok).toBe(true);
    expect(tookMs).toBeLessThan(400);
  });

  test('when the peer after the leader is gone too: the one after that stands', async () => {
    const router = new SimulatedRouter(['weur', 'enam', 'wnam', 'apac', 'oc']);
    const group = router.peers.found('default', members('weur', 'enam', 'wnam', 'apac', 'oc'));
    await router.run(router.groups.write('default', put('a', '1')));
    router.peers.down('default/1.1', 'default/2.1');
    const { result, tookMs } = await router.timed(router.groups.write('default', put('b', '1')));
    expect(result.ok).toBe(true);
    expect(group.leader).toBe(3);
    expect(tookMs).toBeLessThan(300);
  });

  test('when followers still name one that is silent: it is not asked again at once, and in the end it is', async () => {
    const { router, peers } = foundedRouter();
    await router.run(router.groups.write('default', put('a', '1')));
    const goneUntilMs = router.clock.nowMs + 4000;
    // Nobody is elected: those who are asked to stand do nothing.
    peers.fate = ({ object, route }) => {
      if (route === '') return 'pass';
      return object === 'default/1.1' && router.clock.nowMs < goneUntilMs ? 'hang' : 'pass';
    };
    const { result, tookMs } = await router.timed(router.groups.write('default', put('b', '1')));
    expect(result.ok).toBe(true);
    expect(tookMs).toBeLessThan(7500);
    const steps = peers.calls
      .slice(1)
      .map(({ route }) => (route === 'client' ? 'A' : 'p'))
      .join('');
    // Each try of the silent one is followed by three probes of others, in which they could have elected.
    expect(steps).toMatch(/^(Appp+)+A$/);
  });

  test('whose object was reset, and is there again: it is asked again after one other was heard', async () => {
    const { router, peers } = foundedRouter();
    await router.run(router.groups.write('default', put('a', '1')));
    let resets = 0;
    peers.fate = ({ route }) => (route === 'client' && resets++ === 0 ? 'reject' : 'pass');
    const { result, tookMs } = await router.timed(router.groups.write('default', put('b', '1')));
    expect(result.ok).toBe(true);
    expect(peers.calls.slice(1).map(({ route, object }) => `${route} ${object}`)).toEqual([
      'client default/1.1',
      'stand default/2.1',
      'client default/1.1',
    ]);
    expect(tookMs).toBeLessThan(50);
  });

  test('after a long search: a new leader whose first answer is lost is asked again soon', async () => {
    const { router, group, peers } = foundedRouter();
    await router.run(router.groups.write('default', put('a', '1')));
    const electedAtMs = router.clock.nowMs + 5000;
    let lost = 0;
    peers.fate = ({ route }) => {
      if (router.clock.nowMs < electedAtMs) return 'reject';
      if (group.term === 1) Object.assign(group, { leader: 2, term: 2 });
      return route === 'client' && lost++ === 0 ? 'reject' : 'pass';
    };
    expect((await router.run(router.groups.write('default', put('b', '1')))).ok).toBe(true);
    expect(lost).toBe(2);
    // The pause under way when it was elected (800 ms at most), then three probes that begin with short ones again.
    expect(router.clock.nowMs - electedAtMs).toBeLessThan(800 + 400);
  });

  test('in a group of one that comes back', async () => {
    const router = new SimulatedRouter(['weur']);
    router.peers.found('default', members('weur'));
    await router.run(router.groups.write('default', put('a', '1')));
    const goneUntilMs = router.clock.nowMs + 3000;
    router.peers.fate = () => (router.clock.nowMs < goneUntilMs ? 'reject' : 'pass');
    const { result, tookMs } = await router.timed(router.groups.write('default', put('b', '1')));
    expect(result.ok).toBe(true);
    expect(tookMs).toBeLessThan(4500);
  });
});

describe('a repeated write is applied once', () => {
  test('when its reply was lost', async () => {
    const { router, group, peers } = foundedRouter();
    let lost = 0;
    peers.fate = ({ route }) => (route === 'client' && lost++ === 0 ? 'late' : 'pass');
    const outcome = await router.run(router.groups.write('default', put('a', '1')));
    expect(outcome).toEqual({ ok: true, result: { ...WRITTEN.result, replayed: true } });
    expect(group.store.gauges()).toBeDefined();
    const [first, second] = submitted(peers.callsOf('client'));
    expect(second?.session).toEqual(first?.session);
  });

  test('when leadership was lost after it had been written', async () => {
    const { router, peers } = foundedRouter();
    let tries = 0;
    peers.fate = ({ route }) => (route === 'client' && tries++ === 0 ? { replies: [{ type: 'unknown' }] } : 'pass');
    expect((await router.run(router.groups.write('default', put('a', '1')))).ok).toBe(true);
    const [first, second] = submitted(peers.callsOf('client'));
    expect(second?.session).toEqual(first?.session);
  });
});

describe('the deadline', () => {
  test.each(['down', 'silent'] as const)('with every peer %s: a write is unknown, a read failed', async (how) => {
    const { router, peers } = foundedRouter();
    await router.run(router.groups.read('default', get('a')));
    peers[how]('default/1.1', 'default/2.1', 'default/3.1');
    const write = await router.timed(router.groups.write('default', put('a', '1')));
    expect(write.result).toEqual({ ok: false, failure: { type: 'outcome_unknown' } });
    expect(write.tookMs).toBeLessThanOrEqual(REQUEST_MS);
    const read = await router.timed(router.groups.read('default', get('a')));
    expect(read.result).toEqual({ ok: false, failure: { type: 'no_leader' } });
    expect(read.tookMs).toBeLessThanOrEqual(REQUEST_MS);
    expect(read.tookMs).toBeGreaterThan(8000);
  });

  test('when nobody leads and nothing was sent to a leader: nothing was done', async () => {
    const { router, group, peers } = foundedRouter();
    group.leader = null;
    peers.fate = ({ route }) => (route === 'stand' ? 'reject' : 'pass');
    const { result, tookMs } = await router.timed(router.groups.write('default', put('a', '1')));
    expect(result).toEqual({ ok: false, failure: { type: 'no_leader' } });
    expect(tookMs).toBeGreaterThan(8000);
    expect(tookMs).toBeLessThanOrEqual(REQUEST_MS);
  });

  test('one try that may have arrived makes the whole unknown, whatever is said later', async () => {
    const { router, group, peers } = foundedRouter();
    await router.run(router.groups.read('default', get('a')));
    let tries = 0;
    peers.fate = ({ route }) => {
      if (route === 'stand') return 'reject';
      return route === 'client' && tries++ === 0 ? 'hang' : 'pass';
    };
    const work = router.groups.write('default', put('a', '1'));
    group.leader = null;
    expect(await router.run(work)).toEqual({ ok: false, failure: { type: 'outcome_unknown' } });
  });

  test('no request makes more than 50 calls', async () => {
    const { router, group, peers } = foundedRouter();
    group.leader = null;
    peers.fate = ({ route }) => (route === 'stand' || route === 'status' ? 'reject' : 'pass');
    await router.run(router.groups.write('default', put('a', '1')));
    expect(peers.calls.length).toBeLessThan(50);
  });

  test('an overloaded leader is not pressed for long', async () => {
    const { router, peers } = foundedRouter();
    peers.fate = ({ route }) => (route === 'client' ? { replies: [{ type: 'overloaded' }] } : 'pass');
    const { result, tookMs } = await router.timed(router.groups.write('default', put('a', '1')));
    expect(result).toEqual({ ok: false, failure: { type: 'overloaded' } });
    expect(tookMs).toBeLessThan(1000);
    expect(peers.callsOf('client').length).toBe(3);
  });

  test('overloaded after a try that may have arrived is unknown', async () => {
    const { router, peers } = foundedRouter();
    let tries = 0;
    peers.fate = ({ route }) => {
      if (route !== 'client') return 'pass';
      return tries++ === 0 ? 'hang' : { replies: [{ type: 'overloaded' }] };
    };
    const outcome = await router.run(router.groups.write('default', put('a', '1')));
    expect(outcome).toEqual({ ok: false, failure: { type: 'outcome_unknown' } });
  });

  test('what the peers do not understand was not done', async () => {
    const { router, peers } = foundedRouter();
    peers.fate = ({ route }) => (route === 'client' ? { replies: [{ type: 'refused' }] } : 'pass');
    const outcome = await router.run(router.groups.write('default', put('a', '1')));
    expect(outcome).toEqual({ ok: false, failure: { type: 'not_understood' } });
  });

  test.each([
    ['a result of another version', { type: 'result', result: { type: 'transmuted' }, ageMs: null }],
    ['no reply in the batch', undefined],
  ] as const)('%s may have been applied', async (_, reply) => {
    const { router, peers } = foundedRouter();
    peers.fate = ({ route }) => (route === 'client' ? { replies: reply === undefined ? [] : [reply] } : 'pass');
    const outcome = await router.run(router.groups.write('default', put('a', '1')));
    expect(outcome).toEqual({ ok: false, failure: { type: 'outcome_unknown' } });
  });

  test('no timer is left behind', async () => {
    const { router } = foundedRouter();
    await router.run(router.groups.write('default', put('a', '1')));
    await router.run(router.groups.read('default', get('a')));
    expect(router.clock.pendingTimers).toBe(0);
  });
});

describe('clerks of users', () => {
  const clerk = { id: 'clerk', seq: 1, acked: 0 };

  test('have their own words carried to the store, and its refusals back', async () => {
    const { router, peers } = foundedRouter();
    const refused = await router.run(router.groups.write('default', put('a', '1', { clerk: { ...clerk, seq: 5 } })));
    expect(refused).toEqual({ ok: true, result: { type: 'session_expired' } });
    expect(await router.run(router.groups.write('default', put('a', '1', { clerk })))).toEqual(WRITTEN);
    const again = await router.run(router.groups.write('default', put('a', '1', { clerk })));
    expect(again).toEqual({ ok: true, result: { ...WRITTEN.result, replayed: true } });
    expect(submitted(peers.callsOf('client')).at(-1)?.session).toMatchObject({ pool: 'clerk', ...clerk });
  });

  test('session_expired after a try that may have been applied is an unknown outcome', async () => {
    const { router, peers } = foundedRouter();
    let tries = 0;
    peers.fate = ({ route }) => (route === 'client' && tries++ === 0 ? 'hang' : 'pass');
    const outcome = await router.run(router.groups.write('default', put('a', '1', { clerk: { ...clerk, seq: 5 } })));
    expect(outcome).toEqual({ ok: false, failure: { type: 'outcome_unknown' } });
  });
});

describe('stale reads', () => {
  test('are answered by any peer, with its age, and the one that answered is asked again', async () => {
    const { router, group, peers } = foundedRouter();
    group.leader = 1;
    const outcome = await router.run(router.groups.read('default', get('a', 'stale')));
    const { groupId } = group;
    expect(outcome).toEqual({ ok: true, answer: { type: 'missing', revision: 0 }, ageMs: 7, groupId });
    await router.run(router.groups.read('default', get('a', 'stale')));
    const [first, second] = peers.calls;
    expect(second?.object).toBe(first?.object);
  });

  test('need no leader, and wake nobody', async () => {
    const { router, group, peers } = foundedRouter();
    group.leader = null;
    expect((await router.run(router.groups.read('default', get('a', 'stale')))).ok).toBe(true);
    expect(peers.callsOf('stand')).toEqual([]);
  });

  test('go on to the next peer soon when one is silent', async () => {
    const { router, peers } = foundedRouter();
    peers.silent('default/1.1', 'default/2.1');
    const { result, tookMs } = await router.timed(router.groups.read('default', get('a', 'stale')));
    expect(result.ok).toBe(true);
    expect(tookMs).toBeLessThan(1500);
  });

  test('at a revision that no peer has reached fail in the end', async () => {
    const { router } = foundedRouter();
    const query = { type: 'list' as const, prefix: new Uint8Array(), after: null, limit: 10, revision: 99 };
    const { result, tookMs } = await router.timed(
      router.groups.read('default', { query, consistency: 'stale', peer: null }),
    );
    expect(result).toEqual({ ok: false, failure: { type: 'no_leader' } });
    expect(tookMs).toBeLessThan(2000);
  });
});

describe('?peer=', () => {
  const failure = (type: string, more = {}) => ({ ok: false, failure: { type, ...more } });

  test('asks that peer alone', async () => {
    const { router, group, peers } = foundedRouter();
    group.leader = 2;
    expect((await router.run(router.groups.write('default', put('a', '1', { peer: '2' })))).ok).toBe(true);
    const writes = await router.run(router.groups.write('default', put('a', '1', { peer: '3' })));
    expect(writes).toEqual(failure('not_leader', { leader: 2 }));
    const read = await router.run(router.groups.read('default', get('a', 'linearizable', '1')));
    expect(read).toEqual(failure('not_leader', { leader: 2 }));
    expect((await router.run(router.groups.read('default', get('a', 'stale', '3')))).ok).toBe(true);
    expect(peers.callsOf('stand')).toEqual([]);
  });

  test.each(['', '0', '4', '01', 'x', '1 '])('%j is no peer', async (peer) => {
    const { router } = foundedRouter();
    const outcome = await router.run(router.groups.read('default', get('a', 'linearizable', peer)));
    expect(outcome).toEqual(failure('no_such_peer'));
  });

  test('a write to one that does not answer was never sent', async () => {
    const { router, peers } = foundedRouter();
    peers.down('default/2.1');
    const { result, tookMs } = await router.timed(router.groups.write('default', put('a', '1', { peer: '2' })));
    expect(result).toEqual(failure('peer_unreachable'));
    expect(tookMs).toBeLessThan(5000);
    expect(peers.callsOf('client')).toEqual([]);
  });

  test('a write to one that fell silent with it is unknown', async () => {
    const { router, peers } = foundedRouter();
    peers.fate = ({ route }) => (route === 'client' ? 'hang' : 'pass');
    const outcome = await router.run(router.groups.write('default', put('a', '1', { peer: '1' })));
    expect(outcome).toEqual(failure('outcome_unknown'));
  });

  test('a write to one that lost its leadership meanwhile is unknown, not refused', async () => {
    const { router, group, peers } = foundedRouter();
    let tries = 0;
    peers.fate = ({ route }) => (route === 'client' && tries++ === 0 ? { replies: [{ type: 'unknown' }] } : 'pass');
    const work = router.groups.write('default', put('a', '1', { peer: '1' }));
    await router.clock.advance(30);
    group.leader = 2;
    expect(await router.run(work)).toEqual(failure('outcome_unknown'));
  });

  test('founds the group default, and no other', async () => {
    const router = new SimulatedRouter();
    expect((await router.run(router.groups.write('default', put('a', '1', { peer: '1' })))).ok).toBe(true);
    const other = await router.run(router.groups.write('other', put('a', '1', { peer: '1' })));
    expect(other).toEqual(failure('no_such_group'));
    expect(router.peers.objects.has('other/1.1')).toBe(false);
  });
});
