import { afterEach, describe, expect, test } from 'vitest';
import { encodeBody } from '../../src/peer/protocol.ts';
import { Counters } from '../simulation/counter.ts';
import { SimGroup } from '../simulation/sim-group.ts';
import { LonePeer, membersOf, settled } from './lone-peer.ts';
import { ask, found, MEMBERS, post } from './object-client.ts';

let group: SimGroup | null = null;
afterEach(() => {
  group?.close();
  group = null;
});

const add = (amount: number, to = 'x') => ({ type: 'submit' as const, command: { add: amount, to } });

describe('a peer that restarts in front of an entry it does not understand', () => {
  test('leaves its storage so that it can restart again', async () => {
    // A leader that kept a long log (for a slow follower; here: by larger limits), newer than the code that comes next.
    const first = new LonePeer((sql) => new Counters(sql));
    await first.post('found', { members: membersOf(1), nonce: first.peer.nonce });
    await settled();
    for (let i = 0; i < 40; i += 1) await first.post('client', { requests: [add(1)] });
    expect(first.peer.raft?.lastApplied).toBe(41);
    // What a newer leader appended, and nobody here has applied.
    first.sql.exec('INSERT INTO log VALUES (42, 1, ?)', new Uint8Array([0x95, 9, 9, 9, 9, 9]));
    const restarted = () => new LonePeer((sql) => new Counters(sql), { sql: first.sql, limits: { tailEntries: 4 } });
    const second = restarted();
    expect(second.peer.raft?.stopped).toBe(true);
    // An event without a turn, then eviction: what its constructor wrote is on disk by itself.
    await second.post('founding/ask', { depth: 1, from: 1 });
    expect(() => restarted()).not.toThrow();
  });
});

describe('what a leader that is deposed says of a command in its log', () => {
  test('is not "nothing was done"', async () => {
    let onEncode = (): void => {};
    class Slow extends Counters {
      override encodeEntry(commands: readonly unknown[]): Uint8Array {
        onEncode();
        return super.encodeEntry(commands);
      }
    }
    group = new SimGroup({ createStateMachine: (sql) => new Slow(sql) });
    await found(group);
    await group.pass(1000);
    const object = group.object(1);
    group.isolate(1);
    // The local runtime's clock goes on inside a turn.
    onEncode = () => {
      object.clockOffsetMs += 600;
      onEncode = () => {};
    };
    const [reply] = await ask(group, 1, [add(1)]);
    // Without peer 2 it is elected again: nobody else has the longest log.
    group.object(2).downUntilMs = Number.POSITIVE_INFINITY;
    group.heal();
    await group.pass(5000, () => (group?.raft(3)?.lastApplied ?? 0) >= 3);
    const [value] = await ask(group, 3, [{ type: 'query', consistency: 'stale', query: 'x' }]);
    const applied = value?.type === 'result' && value.result === 1;
    expect({ applied, reply: reply?.type }).not.toEqual({ applied: true, reply: 'not_leader' });
  });
});

describe('a group id', () => {
  test('is not given out any more once entry 1 is written: a member that lost everything stays out', async () => {
    const lone = new LonePeer((sql) => new Counters(sql));
    const one = lone.post('found', { members: membersOf(3), nonce: lone.peer.nonce });
    const two = lone.post('found', { members: membersOf(3), nonce: lone.peer.nonce });
    await settled();
    await settled();
    const asks = lone.calls.splice(0);
    expect(asks.map(({ route, to }) => `${route} ${to}`)).toEqual([
      'founding/ask default/2.1',
      'founding/ask default/3.1',
      'founding/ask default/2.1',
      'founding/ask default/3.1',
    ]);
    // The first request's founding is completed ...
    for (const call of asks.slice(0, 2)) call.answer({ nonce: 'n', groupId: null, hasLog: false });
    await settled();
    for (const call of lone.calls.splice(0)) call.answer({ stored: true });
    expect((await one).complete).toBe(true);
    await settled();
    expect(lone.peer.raft?.log.lastIndex).toBe(1);
    lone.calls.splice(0);
    // ... then peer 2 was deleted, and the second request's question reaches it only now.
    asks[2]?.answer({ nonce: 'another', groupId: null, hasLog: false });
    asks[3]?.answer({ nonce: 'n', groupId: lone.peer.identity?.groupId, hasLog: true });
    await settled();
    const stores = lone.calls.filter(({ route }) => route === 'founding/store');
    expect(stores.map(({ body }) => body.nonce)).toEqual([]);
    void two.catch(() => {});
  });
});

describe('a deletion', () => {
  test('is not undone by a late duplicate of the request that founded the group', async () => {
    group = new SimGroup({ createStateMachine: (sql) => new Counters(sql) });
    const { view } = (await post(group, 1, 'status', {})) as { view: { nonce: string } };
    const groupId = await found(group);
    for (const slot of [2, 3, 1]) await post(group, slot, 'delete', { groupId });
    group.invariants.reset();
    await group.pass(500);
    expect(group.raft(1) === null).toBe(true);
    await group
      .until(group.world.request('test', 'default/1.1', 'found', encodeBody({ members: MEMBERS, nonce: view.nonce })))
      .catch(() => {});
    await group.pass(1000);
    expect(group.raft(1) === null).toBe(true);
  });

  test('of a founding that broke off: a peer that was still unfounded takes no group id of it later', async () => {
    group = new SimGroup();
    // Peer 1 begins a founding: it has asked peer 2, whose answer is on its way.
    group.object(3).downUntilMs = Number.POSITIVE_INFINITY;
    group.world.cut.add('default/1.1>default/2.1');
    const { view } = (await post(group, 1, 'status', {})) as { view: { nonce: string } };
    await post(group, 1, 'found', { members: MEMBERS, nonce: view.nonce });
    const groupId = group.object(1).instance?.peer.identity?.groupId ?? '';
    const { nonce } = (await post(group, 2, 'founding/ask', { depth: 1, from: 1 })) as { nonce: string };
    group.object(3).downUntilMs = 0;
    expect(await group.until(group.client.delete('default'))).toMatchObject({ ok: true });
    group.invariants.reset();
    await group.pass(100);
    // The order to store comes after all that.
    await post(group, 2, 'founding/store', { depth: 1, from: 1, groupId, nonce, id: 2 });
    group.heal();
    expect(await group.put('a', '1')).toBe('written');
  });

  test('that the storage refuses leaves no instance behind that refuses everything', async () => {
    const lone = new LonePeer((sql) => new Counters(sql));
    await lone.post('found', { members: membersOf(1), nonce: lone.peer.nonce });
    await settled();
    const groupId = lone.peer.identity?.groupId;
    lone.deleteFails = true;
    await lone.post('delete', { groupId }).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 5));
    // Not even its status, without which the router repeats no deletion.
    const alive = await lone.post('status', {}).then(
      () => true,
      () => false,
    );
    expect({ alive, aborted: lone.aborted !== null }).not.toEqual({ alive: false, aborted: false });
  });
});
