import { describe, expect, test } from 'vitest';
import { Cluster } from './cluster.ts';
import { CoreHost, diskWith, ELECTION_TIMEOUT_MS, HEARTBEAT_MS } from './core-host.ts';

function led(peers = 3, options: ConstructorParameters<typeof Cluster>[0] = {}): Cluster {
  const group = new Cluster({ peers, ...options });
  group.elect(1);
  return group;
}

describe('linearizable reads by ReadIndex (dissertation 6.4)', () => {
  test('a read is ready when a quorum has answered a message sent after it came', () => {
    const group = led();
    group.commit('a');
    const leader = group.host(1);
    leader.read(1);
    expect(leader.reads.get(1)).toBeUndefined();
    group.deliver();
    expect(leader.reads.get(1)).toBeUndefined();
    group.deliver(({ from }) => from === 2);
    expect(leader.reads.get(1)).toEqual({ outcome: 'ready', state: ['a'] });
  });

  test('nothing is written for it', () => {
    const group = led();
    const before = group.host(1).disk;
    group.host(1).read(1);
    group.settle();
    expect(group.host(1).reads.get(1)?.outcome).toBe('ready');
    expect(group.host(1).disk).toBe(before);
  });

  test('an answer to a message from before it came does not count', () => {
    const group = led();
    const leader = group.host(1);
    group.advance(HEARTBEAT_MS, { settle: false });
    const beats = group.take(({ type }) => type === 'AppendEntries');
    leader.read(1);
    group.take(() => true);
    for (const beat of beats) group.inject(beat);
    group.settle(({ type }) => type === 'AppendEntriesReply');
    expect(leader.reads.get(1)).toBeUndefined();
  });

  test('waits until something of the leader’s own term is committed (section 8)', () => {
    const group = new Cluster();
    group.host(1).stand();
    group.settle(({ type }) => type.startsWith('RequestVote'));
    const leader = group.host(1);
    leader.read(1);
    const [append] = group.take(({ type, to }) => type === 'AppendEntries' && to === 2);
    expect(leader.reads.get(1)).toBeUndefined();
    group.inject(append!);
    group.deliver(({ to }) => to === 1);
    expect(leader.raft.commitIndex).toBe(2);
    expect(leader.reads.get(1)).toBeUndefined();
    group.settle();
    expect(leader.reads.get(1)?.outcome).toBe('ready');
  });

  test('one round serves all that waited when it began; who comes meanwhile waits for the next', () => {
    const group = led();
    const leader = group.host(1);
    leader.read(1);
    for (const id of [2, 3, 4]) leader.read(id);
    const first = group.take(({ type }) => type === 'AppendEntries');
    for (const packet of first) group.inject(packet);
    group.deliver(({ to }) => to === 1);
    expect([1, 2, 3, 4].map((id) => leader.reads.get(id)?.outcome)).toEqual(['ready', undefined, undefined, undefined]);
    const second = group.deliver(({ type }) => type === 'AppendEntries');
    expect(second).toBe(2);
    group.deliver(({ to }) => to === 1);
    expect([2, 3, 4].map((id) => leader.reads.get(id)?.outcome)).toEqual(['ready', 'ready', 'ready']);
  });

  test('sees what was committed before it came, once that is applied', () => {
    const group = led();
    group.commit('a');
    group.host(1).read(1);
    group.commit('b');
    expect(group.host(1).reads.get(1)?.state.slice(0, 1)).toEqual(['a']);
  });

  test('anybody but the leader refuses it at once', () => {
    const group = led();
    group.host(2).read(1);
    expect(group.host(2).reads.get(1)?.outcome).toBe('not_leader');
  });

  test('a deposed leader answers none: what waits fails when it learns of it', () => {
    const group = led();
    const old = group.host(1);
    group.isolate(1);
    old.read(1);
    group.advance(ELECTION_TIMEOUT_MS - 10);
    expect(old.reads.get(1)).toBeUndefined();
    group.advance(10);
    expect(old.reads.get(1)?.outcome).toBe('not_leader');
  });

  test('a leader that others have left, and does not know it, confirms nothing', () => {
    const group = led(5);
    const old = group.host(1);
    for (const id of [3, 4, 5]) group.cut(1, id);
    group.advance(350);
    for (const id of [3, 4, 5]) group.host(id).raft.leaderContactMs = Number.NEGATIVE_INFINITY;
    group.host(3).stand();
    old.read(1);
    group.settle(({ from, to }) => ![from, to].includes(2));
    expect(group.host(3).raft.role).toBe('leader');
    group.host(3).propose('newer');
    group.settle(({ from, to }) => ![from, to].includes(2));
    group.settle(({ from, to }) => [from, to].includes(1));
    expect(old.reads.get(1)?.outcome).not.toBe('ready');
  });

  test('a lost round is asked again with the next heartbeat', () => {
    const group = led();
    group.host(1).read(1);
    group.failCalls(() => true);
    group.advance(2 * HEARTBEAT_MS);
    expect(group.host(1).reads.get(1)?.outcome).toBe('ready');
  });

  test('a lost round whose loss nobody notices is asked again too', () => {
    const group = led();
    group.host(1).read(1);
    group.take(() => true);
    group.advance(2 * HEARTBEAT_MS);
    expect(group.host(1).reads.get(1)?.outcome).toBe('ready');
  });

  test('a leader alone needs nobody', () => {
    const alone = new CoreHost({ id: 1 }, diskWith(1, [1]));
    alone.stand();
    alone.read(1);
    expect(alone.reads.get(1)?.outcome).toBe('ready');
  });

  test('is not answered before what it must see is applied', () => {
    const { raft } = new CoreHost({ id: 1 }, diskWith(1, [1]));
    const context = { nowMs: 0, random: 0.5, callBudget: 9 };
    raft.step({ type: 'stand' }, context);
    raft.step({ type: 'durable', term: 2, index: 1 }, context);
    // A host that is slow to apply: entries 1 and 2 are committed and handed out, and that is all.
    expect(raft.step({ type: 'durable', term: 2, index: 2 }, context).committed).toEqual({ fromIndex: 1, toIndex: 2 });
    expect(raft.step({ type: 'read', id: 7 }, context).reads).toEqual([]);
    expect(raft.step({ type: 'applied', index: 1 }, context).reads).toEqual([]);
    expect(raft.step({ type: 'applied', index: 2 }, context).reads).toEqual([{ id: 7, outcome: 'ready' }]);
  });

  test('more reads than may wait are refused as overloaded', () => {
    const group = led(3, { host: () => ({ limits: { pendingReads: 2 } }) });
    const leader = group.host(1);
    for (const id of [1, 2, 3]) leader.read(id);
    expect(leader.reads.get(3)?.outcome).toBe('overloaded');
    group.settle();
    expect([1, 2].map((id) => leader.reads.get(id)?.outcome)).toEqual(['ready', 'ready']);
  });
});
