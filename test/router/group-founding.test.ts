import { describe, expect, test } from 'vitest';
import { members } from './fake-peers.ts';
import { get, HINTS_OF_THREE, put, SimulatedRouter } from './simulated-router.ts';

const HINTS_OF_FIVE = ['weur', 'enam', 'wnam', 'apac', 'oc'];
const MISSING = { ok: true, answer: { type: 'missing', revision: 0 } };
const failure = (type: string) => ({ ok: false, failure: { type } });

describe('the group default', () => {
  test('is founded by its first read, by peer 1, with the members of PEERS', async () => {
    const router = new SimulatedRouter();
    expect(await router.run(router.groups.read('default', get('a')))).toMatchObject(MISSING);
    const [found] = router.peers.callsOf('found');
    expect(found).toMatchObject({ object: 'default/1.1', request: { members: members(...HINTS_OF_THREE) } });
    expect(router.peers.callsOf('found').length).toBe(1);
  });

  test('is founded by its first write', async () => {
    const router = new SimulatedRouter();
    expect((await router.run(router.groups.write('default', put('a', '1')))).ok).toBe(true);
  });

  test('is founded by its first stale read', async () => {
    const router = new SimulatedRouter();
    expect(await router.run(router.groups.read('default', get('a', 'stale')))).toMatchObject(MISSING);
  });

  test('is founded once by many first requests at a time', async () => {
    const router = new SimulatedRouter();
    const writes = Array.from({ length: 20 }, (_, i) => router.groups.write('default', put(`${i}`, '1')));
    const reads = Array.from({ length: 20 }, () => router.another().read('default', get('a')));
    expect((await router.run(Promise.all(writes))).every(({ ok }) => ok)).toBe(true);
    expect((await router.run(Promise.all(reads))).every(({ ok }) => ok)).toBe(true);
    const groups = new Set(['1.1', '2.1', '3.1'].map((slot) => router.peers.objects.get(`default/${slot}`)));
    expect(groups.size).toBe(1);
  });

  test('waits for every peer, and is founded as soon as all answer', async () => {
    const router = new SimulatedRouter();
    router.peers.down('default/3.1');
    const work = router.groups.write('default', put('a', '1'));
    await router.clock.advance(3000);
    router.peers.fate = () => 'pass';
    expect((await router.run(work)).ok).toBe(true);
  });

  test('with a peer that cannot be reached is not founded, and nothing was done', async () => {
    const router = new SimulatedRouter();
    router.peers.silent('default/3.1');
    const { result, tookMs } = await router.timed(router.groups.write('default', put('a', '1')));
    expect(result).toEqual(failure('no_leader'));
    expect(tookMs).toBeLessThanOrEqual(8500);
    expect(router.peers.callsOf('found')).toEqual([]);
  });

  test('a founding that broke off is taken up by the next request', async () => {
    const router = new SimulatedRouter();
    router.peers.fate = ({ object, route }) => (route === 'founding' && object === 'default/2.1' ? 'reject' : 'pass');
    expect(await router.run(router.groups.read('default', get('a')))).toEqual(failure('no_leader'));
    const begun = router.peers.objects.get('default/1.1');
    expect(begun?.founding).toBe(true);
    router.peers.fate = () => 'pass';
    expect(await router.run(router.another().read('default', get('a')))).toMatchObject(MISSING);
    expect(router.peers.objects.get('default/2.1')).toBe(begun);
  });

  test('a founding whose reply was lost is found complete', async () => {
    const router = new SimulatedRouter();
    let founds = 0;
    router.peers.fate = ({ route }) => (route === 'found' && founds++ === 0 ? 'late' : 'pass');
    expect(await router.run(router.groups.read('default', get('a')))).toMatchObject(MISSING);
  });

  test('is founded anew after it was deleted behind the back of this isolate', async () => {
    const router = new SimulatedRouter();
    await router.run(router.groups.write('default', put('a', '1')));
    expect(await router.run(router.another().delete('default'))).toEqual({ ok: true, deleted: true });
    expect(await router.run(router.groups.read('default', get('a')))).toMatchObject(MISSING);
    expect((await router.run(router.groups.write('default', put('a', '1')))).ok).toBe(true);
  });
});

describe('other groups', () => {
  test('do not come into being by being used', async () => {
    const router = new SimulatedRouter();
    expect(await router.run(router.groups.read('g', get('a')))).toEqual(failure('no_such_group'));
    expect(await router.run(router.groups.read('g', get('a', 'stale')))).toEqual(failure('no_such_group'));
    expect(await router.run(router.groups.write('g', put('a', '1')))).toEqual(failure('no_such_group'));
    expect(await router.run(router.groups.existence('g'))).toBe('missing');
    expect(router.peers.callsOf('found')).toEqual([]);
  });

  test('do not exist while peer 1 says so and nobody who answers knows better', async () => {
    const router = new SimulatedRouter();
    router.peers.silent('g/2.1', 'g/3.1');
    expect(await router.run(router.groups.read('g', get('a')))).toEqual(failure('no_such_group'));
  });

  test('may exist while peer 1 cannot be reached', async () => {
    const router = new SimulatedRouter();
    router.peers.down('g/1.1');
    expect(await router.run(router.groups.existence('g'))).toBe('unknown');
    const { result, tookMs } = await router.timed(router.groups.read('g', get('a')));
    expect(result).toEqual(failure('no_leader'));
    expect(tookMs).toBeLessThanOrEqual(8500);
  });

  test('are created once', async () => {
    const router = new SimulatedRouter();
    expect(await router.run(router.groups.create('g'))).toMatchObject({ ok: true, created: true });
    expect(await router.run(router.groups.create('g'))).toMatchObject({ ok: true, created: false });
    expect(await router.run(router.another().create('g'))).toMatchObject({ ok: true, created: false });
    expect((await router.run(router.another().write('g', put('a', '1')))).ok).toBe(true);
  });

  test('whose creation lost its reply count as created by it', async () => {
    const router = new SimulatedRouter();
    let founds = 0;
    router.peers.fate = ({ route }) => (route === 'found' && founds++ === 0 ? 'late' : 'pass');
    expect(await router.run(router.groups.create('g'))).toMatchObject({ ok: true, created: true });
  });

  test('are not created while a peer cannot be reached', async () => {
    const router = new SimulatedRouter();
    router.peers.down('g/2.1');
    expect(await router.run(router.groups.create('g'))).toEqual(failure('peer_unreachable'));
    expect(router.peers.callsOf('found')).toEqual([]);
  });

  test('deleted behind the back of this isolate are gone for it too', async () => {
    const router = new SimulatedRouter();
    await router.run(router.groups.create('g'));
    await router.run(router.groups.write('g', put('a', '1')));
    await router.run(router.another().delete('g'));
    expect(await router.run(router.groups.write('g', put('a', '1')))).toEqual(failure('no_such_group'));
    expect(await router.run(router.groups.read('g', get('a', 'stale')))).toEqual(failure('no_such_group'));
    expect(await router.run(router.groups.read('g', get('a', 'stale', '2')))).toEqual(failure('no_such_group'));
    expect(await router.run(router.groups.status('g', '2'))).toEqual(failure('no_such_group'));
  });
});

describe('a wiped peer 1', () => {
  function wiped() {
    const router = new SimulatedRouter();
    const group = router.peers.found('default', members(...HINTS_OF_THREE));
    group.leader = 2;
    router.peers.objects.delete('default/1.1');
    return { router, group };
  }

  test('founds no second group: the others are asked', async () => {
    const { router, group } = wiped();
    expect((await router.run(router.groups.write('default', put('a', '1')))).ok).toBe(true);
    expect(group.index).toBe(1);
    expect((await router.run(router.groups.read('default', get('a', 'stale')))).ok).toBe(true);
    expect(router.peers.callsOf('found')).toEqual([]);
  });

  test('founds no second group while the others cannot be reached', async () => {
    const { router } = wiped();
    router.peers.down('default/2.1', 'default/3.1');
    expect(await router.run(router.groups.write('default', put('a', '1')))).toEqual(failure('no_leader'));
    expect(router.peers.callsOf('found')).toEqual([]);
  });

  test('founds no second group even if PEERS was cut down to it, for an isolate that knows the members', async () => {
    const router = new SimulatedRouter(['weur']);
    const group = router.peers.found('default', members(...HINTS_OF_THREE));
    await router.run(router.groups.read('default', get('a')));
    router.peers.objects.delete('default/1.1');
    group.leader = 2;
    expect((await router.run(router.groups.write('default', put('a', '1')))).ok).toBe(true);
    expect(router.peers.callsOf('found')).toEqual([]);
  });

  test('whose group never got past storing the groupId is left alone', async () => {
    const router = new SimulatedRouter();
    const half = router.peers.found('default', members(...HINTS_OF_THREE));
    half.founding = true;
    router.peers.objects.delete('default/1.1');
    expect(await router.run(router.groups.read('default', get('a')))).toEqual(failure('no_leader'));
    expect(router.peers.callsOf('found')).toEqual([]);
  });

  test('does not slow the group down for long', async () => {
    const { router } = wiped();
    const { tookMs } = await router.timed(router.groups.write('default', put('a', '1')));
    expect(tookMs).toBeLessThan(100);
  });
});

describe('PEERS edited on a living group changes nothing', () => {
  test.each([
    ['1 to 3', ['weur'], HINTS_OF_THREE],
    ['3 to 5', HINTS_OF_THREE, HINTS_OF_FIVE],
    ['5 to 3', HINTS_OF_FIVE, HINTS_OF_THREE],
    ['5 to 1', HINTS_OF_FIVE, ['weur']],
    ['other hints', HINTS_OF_THREE, ['oc', 'apac', 'me']],
  ])('%s', async (_, before, after) => {
    const router = new SimulatedRouter(before);
    await router.run(router.groups.write('default', put('a', '1')));
    const group = router.peers.objects.get('default/1.1');
    if (group === undefined) throw new Error('not founded');
    for (let leader = 1; leader <= before.length; leader += 1) {
      group.leader = leader;
      const isolate = router.another(after);
      expect((await router.run(isolate.write('default', put('a', '1')))).ok).toBe(true);
      for (let i = 0; i < 5; i += 1) {
        expect((await router.run(router.another(after).read('default', get('a', 'stale')))).ok).toBe(true);
      }
    }
    const { members: seen, existence } = await router.run(router.another(after).survey('default'));
    expect(existence).toBe('founded');
    expect(seen).toEqual(members(...before));
    expect(router.peers.callsOf('found').length).toBe(1);
    expect(group.members).toEqual(members(...before));
  });

  test('and its peers are found by what PEERS still names, when peer 1 is down', async () => {
    const router = new SimulatedRouter(HINTS_OF_FIVE);
    await router.run(router.groups.write('default', put('a', '1')));
    const group = router.peers.objects.get('default/1.1');
    if (group === undefined) throw new Error('not founded');
    group.leader = 5;
    router.peers.down('default/1.1');
    expect((await router.run(router.another().write('default', put('a', '1')))).ok).toBe(true);
    expect((await router.run(router.another().read('default', get('a')))).ok).toBe(true);
  });
});

describe('deletion', () => {
  test('removes every object of the group, and may be repeated', async () => {
    const router = new SimulatedRouter();
    await router.run(router.groups.create('g'));
    expect(await router.run(router.groups.delete('g'))).toEqual({ ok: true, deleted: true });
    expect(router.peers.objects.size).toBe(0);
    expect(await router.run(router.groups.delete('g'))).toEqual({ ok: true, deleted: false });
    expect(await router.run(router.groups.create('g'))).toMatchObject({ created: true });
  });

  test('of a group that never was changes nothing', async () => {
    const router = new SimulatedRouter();
    expect(await router.run(router.groups.delete('g'))).toEqual({ ok: true, deleted: false });
    expect(router.peers.callsOf('delete')).toEqual([]);
  });

  test('removes members that PEERS does not name any more, and peer 1 last', async () => {
    const router = new SimulatedRouter(HINTS_OF_FIVE);
    await router.run(router.groups.create('g'));
    expect(await router.run(router.another().delete('g'))).toEqual({ ok: true, deleted: true });
    expect(router.peers.objects.size).toBe(0);
    const order = router.peers.callsOf('delete').map(({ object }) => object);
    expect(order.slice(0, 2).sort()).toEqual(['g/4.1', 'g/5.1']);
    expect(order[4]).toBe('g/1.1');
    // And all once more: none may take a groupId that is still on its way to it.
    expect(order.slice(5).sort()).toEqual(['g/1.1', 'g/2.1', 'g/3.1', 'g/4.1', 'g/5.1']);
  });

  test('is not finished while a peer cannot be reached, and is found again later', async () => {
    const router = new SimulatedRouter(HINTS_OF_FIVE);
    await router.run(router.groups.create('g'));
    router.peers.down('g/5.1');
    const { result, tookMs } = await router.timed(router.another().delete('g'));
    expect(result).toEqual(failure('peer_unreachable'));
    expect(tookMs).toBeLessThanOrEqual(8500);
    expect(router.peers.objects.has('g/1.1')).toBe(true);
    router.peers.fate = () => 'pass';
    expect(await router.run(router.another().delete('g'))).toEqual({ ok: true, deleted: true });
    expect(router.peers.objects.size).toBe(0);
  });

  test('names the groupId that was read, so a group founded anew meanwhile is left alone', async () => {
    const router = new SimulatedRouter();
    await router.run(router.groups.write('default', put('a', '1')));
    const { peers } = router;
    let refounded = false;
    peers.fate = ({ route, object }) => {
      const gone = !['1.1', '2.1', '3.1'].some((slot) => peers.objects.has(`default/${slot}`));
      if (gone && !refounded && route === 'status' && object !== '') {
        refounded = true;
        peers.found('default', members(...HINTS_OF_THREE));
      }
      return 'pass';
    };
    expect(await router.run(router.groups.delete('default'))).toEqual({ ok: true, deleted: true });
    expect(refounded).toBe(true);
    expect(peers.objects.size).toBe(3);
  });

  test('waits until an object that was ordered to go is gone', async () => {
    const router = new SimulatedRouter();
    await router.run(router.groups.create('g'));
    const group = router.peers.objects.get('g/2.1');
    let deletions = 0;
    router.peers.fate = ({ object, route }) => {
      // The instance that was deleted still answers for a moment, with what it remembers.
      if (object === 'g/2.1' && route === 'status' && group !== undefined && deletions++ === 1) {
        router.peers.objects.set('g/2.1', group);
      }
      return 'pass';
    };
    expect(await router.run(router.groups.delete('g'))).toEqual({ ok: true, deleted: true });
    expect(router.peers.objects.size).toBe(0);
  });
});

describe('surveys', () => {
  test('wake nobody and found nothing', async () => {
    const router = new SimulatedRouter();
    expect(await router.run(router.groups.survey('default'))).toMatchObject({ existence: 'missing', groupId: null });
    expect(new Set(router.peers.calls.map(({ route }) => route))).toEqual(new Set(['status']));
    expect(router.peers.objects.size).toBe(0);
  });

  test('list members that cannot be reached', async () => {
    const router = new SimulatedRouter();
    await router.run(router.groups.create('g'));
    router.peers.silent('g/2.1');
    const { result, tookMs } = await router.timed(router.another().survey('g'));
    expect(result.reports.map(({ reply }) => reply !== null)).toEqual([true, false, true]);
    expect(tookMs).toBeLessThan(1000);
  });
});

describe('faults', () => {
  test('go to the object of that member, and a bad one goes nowhere', async () => {
    const router = new SimulatedRouter();
    await router.run(router.groups.create('g'));
    const isolate = () => ({ action: 'isolate' as const });
    expect(await router.run(router.groups.fault('g', '2', isolate))).toEqual({ ok: true });
    expect(router.peers.faults).toEqual([{ object: 'g/2.1', fault: { action: 'isolate' } }]);
    expect(await router.run(router.groups.fault('g', '4', isolate))).toEqual(failure('no_such_peer'));
    expect(await router.run(router.groups.fault('h', '1', isolate))).toEqual(failure('no_such_group'));
    expect(await router.run(router.groups.fault('g', '2', () => null))).toBe('bad_fault');
    expect(router.peers.faults.length).toBe(1);
  });

  test('can be healed even where they keep the group from being founded', async () => {
    const router = new SimulatedRouter();
    router.peers.fate = ({ route }) => (route === 'founding' ? 'reject' : 'pass');
    expect(await router.run(router.groups.fault('default', '2', () => ({ action: 'heal' })))).toEqual({ ok: true });
  });
});
