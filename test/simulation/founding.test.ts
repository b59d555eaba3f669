import { afterEach, describe, expect, test } from 'vitest';
import { decodeBody, encodeBody } from '../../src/peer/protocol.ts';
import { statusOf } from '../../src/peer/report.ts';
import { SimGroup } from './sim-group.ts';

const members = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ id: i + 1, slot: i + 1, incarnation: 1, locationHint: 'weur' }));

const bytes = new TextEncoder().encode('one');
const firstWrite = {
  operation: { op: 'put' as const, key: bytes, condition: null, value: bytes, valueDigest: new Uint8Array(16) },
  requestDigest: new Uint8Array(16),
  clerk: null,
  peer: null,
};

let group: SimGroup;
afterEach(() => group.close());

describe('founding', () => {
  test('the first write founds the group: peer 1 leads term 1, and entry 1 is the configuration', async () => {
    group = new SimGroup();
    expect(await group.put('a', '1')).toBe('written');
    expect(group.leader()).toBe(1);
    expect(group.raft(1)?.currentTerm).toBe(1);
    expect(group.raft(3)?.configuration?.voters).toEqual(members(3));
  });

  test('an object that nobody founded has no tables, whatever it is told', async () => {
    group = new SimGroup();
    await group.put('a', '1');
    const groupId = group.object(1).instance?.peer.identity?.groupId;
    const vote = {
      type: 'RequestVote',
      term: 9,
      from: 1,
      to: 4,
      seq: 1,
      preVote: false,
      lastLogIndex: 9,
      lastLogTerm: 9,
      unanswered: [],
    };
    const body = encodeBody({ version: 1, groupId, from: 1, depth: 1, messages: [vote] });
    const answer = await group.until(group.world.request('test', 'default/4.1', 'raft', body));
    expect(decodeBody(answer)).toEqual({ version: 1, groupId: null, replies: [] });
    await group.until(group.world.request('test', 'default/4.1', 'stand', encodeBody({})));
    expect(group.object(4).disk.inspect('SELECT count(*) FROM sqlite_master')[0]?.[0]).toBe(0);
  });

  test('messages of another group are refused, and change nothing', async () => {
    group = new SimGroup();
    await group.put('a', '1');
    const before = statusOf(group.object(2).instance!.peer);
    const vote = {
      type: 'RequestVote',
      term: 99,
      from: 1,
      to: 2,
      seq: 1,
      preVote: false,
      lastLogIndex: 99,
      lastLogTerm: 99,
      unanswered: [],
    };
    const body = encodeBody({ version: 1, groupId: 'f'.repeat(32), from: 1, depth: 1, messages: [vote] });
    await expect(group.until(group.world.request('test', 'default/2.1', 'raft', body))).rejects.toThrow(
      'another group',
    );
    expect(statusOf(group.object(2).instance!.peer).stateHash).toBe(before.stateHash);
    expect(group.raft(2)?.currentTerm).toBe(1);
  });

  test('a founding that is interrupted by a crash of any peer after any event goes on, or starts clean', async () => {
    let interrupted = 0;
    for (let victim = 1; victim <= 3; victim += 1) {
      for (let events = 1; events <= 60; events += 1) {
        group = new SimGroup({ seed: events });
        const first = group.client.write('default', firstWrite);
        await new Promise((resolve) => setImmediate(resolve));
        await group.step(events);
        if (group.object(victim).instance !== null) interrupted += 1;
        group.world.crash(group.object(victim));
        const outcome = await group.until(first);
        const said = outcome.ok ? outcome.result.type : outcome.failure.type;
        expect(['written', 'outcome_unknown', 'no_leader', 'peer_unreachable']).toContain(said);
        expect(await group.put('a', 'two'), `victim ${victim}, event ${events}`).toBe('written');
        expect(await group.get('a')).toBe('two');
        if (events < 60 || victim < 3) group.close();
      }
    }
    expect(interrupted).toBeGreaterThan(100);
  });

  test('a peer that cannot be reached delays the founding, and nothing is written meanwhile', async () => {
    group = new SimGroup();
    group.object(3).downUntilMs = Number.POSITIVE_INFINITY;
    expect(['peer_unreachable', 'no_leader']).toContain(await group.put('a', '1'));
    expect(group.raft(1)?.log.lastIndex ?? 0).toBe(0);
    group.object(3).downUntilMs = 0;
    expect(await group.put('a', '1')).toBe('written');
  });

  test('a request to store a groupId that quotes another instance’s nonce founds nothing', async () => {
    group = new SimGroup();
    const store = encodeBody({ depth: 1, from: 1, groupId: 'a'.repeat(32), nonce: 'b'.repeat(32), id: 2 });
    const answer = await group.until(group.world.request('test', 'default/2.1', 'founding/store', store));
    expect(decodeBody(answer)).toEqual({ stored: false });
    expect(group.raft(2)).toBeNull();
  });

  test('a duplicate of a founding that comes after the deletion founds nothing', async () => {
    group = new SimGroup();
    const ask = decodeBody(
      await group.until(group.world.request('test', 'default/2.1', 'founding/ask', encodeBody({ depth: 1, from: 1 }))),
    );
    const { nonce } = ask as { nonce: string };
    const groupId = 'a'.repeat(32);
    const store = encodeBody({ depth: 1, from: 1, groupId, nonce, id: 2 });
    await group.until(group.world.request('test', 'default/2.1', 'founding/store', store));
    expect(group.object(2).instance?.peer.identity?.groupId).toBe(groupId);
    await group.until(group.world.request('test', 'default/2.1', 'delete', encodeBody({ groupId })));
    await group.pass(100);
    const late = await group.until(group.world.request('test', 'default/2.1', 'founding/store', store));
    expect(decodeBody(late)).toEqual({ stored: false });
    expect(group.raft(2)).toBeNull();
  });

  test('a duplicate of a deletion that comes after the group was founded anew deletes nothing', async () => {
    group = new SimGroup();
    await group.put('a', '1');
    const groupId = group.object(2).instance?.peer.identity?.groupId ?? '';
    expect(await group.until(group.client.delete('default'))).toMatchObject({ ok: true });
    expect(await group.put('a', '2')).toBe('written');
    await group.until(group.world.request('test', 'default/2.1', 'delete', encodeBody({ groupId })));
    await group.pass(1000);
    expect(group.raft(2)?.log.lastIndex).toBeGreaterThan(0);
    expect(await group.get('a')).toBe('2');
  });
});

describe('PEERS edited and redeployed on a living group changes nothing and loses nothing', () => {
  test.each([
    [1, 3],
    [3, 5],
    [5, 3],
    [3, 1],
  ])('%i to %i', async (from, to) => {
    group = new SimGroup({ peers: from });
    expect(await group.put('a', 'before')).toBe('written');
    // A deploy resets every object, and the routers are new.
    for (const object of group.world.objects.values()) group.world.crash(object);
    const router = group.routerWith(to);
    expect(await group.get('a', router)).toBe('before');
    expect(await group.put('b', 'after', router)).toBe('written');
    const survey = await group.until(router.client.survey('default'));
    expect(survey.members).toHaveLength(from);
    for (let slot = from + 1; slot <= to; slot += 1) expect(group.raft(slot) ?? null).toBeNull();
    expect(await group.get('b', group.routerWith(from))).toBe('after');
    expect(group.world.lines.some((line) => line.includes('peers_differ_from_configuration'))).toBe(true);
  });

  test('and with peer 1 gone, the others are found by the new PEERS too', async () => {
    group = new SimGroup({ peers: 5 });
    expect(await group.put('a', 'before')).toBe('written');
    group.world.crash(group.object(1));
    group.object(1).downUntilMs = Number.POSITIVE_INFINITY;
    expect(await group.get('a', group.routerWith(3))).toBe('before');
  });
});

describe('a wiped peer', () => {
  test('is unfounded: it neither votes nor accepts entries, and the others go on', async () => {
    group = new SimGroup();
    await group.put('a', '1');
    group.world.wipe(group.object(2));
    expect(await group.put('b', '2')).toBe('written');
    await group.pass(5000);
    expect(group.raft(2)).toBeNull();
  });

  test('peer 1 wiped does not found the group again: the others still hold it', async () => {
    group = new SimGroup();
    await group.put('a', 'kept');
    await group.pass(1000);
    group.world.wipe(group.object(1));
    const router = group.routerWith(3);
    expect(await group.get('a', router)).toBe('kept');
    expect(await group.put('b', '2', router)).toBe('written');
    expect(group.raft(1)).toBeNull();
  });

  test('cannot help to elect anybody: with another peer gone there is no leader', async () => {
    group = new SimGroup();
    await group.put('a', '1');
    await group.pass(1000);
    group.world.wipe(group.object(1));
    group.object(2).downUntilMs = Number.POSITIVE_INFINITY;
    group.world.crash(group.object(2));
    expect(await group.put('b', '2')).toBe('no_leader');
    expect(group.leader()).toBeNull();
    group.object(2).downUntilMs = 0;
    expect(await group.put('b', '2')).toBe('written');
    expect(await group.get('a')).toBe('1');
  });
});
