import { describe, expect, test } from 'vitest';
import type { AppendEntries } from '../../src/raft/messages.ts';
import { isQuorum, quorumValue } from '../../src/raft/quorum.ts';
import { Cluster } from './cluster.ts';
import { CoreHost, diskWith } from './core-host.ts';
import { configurationOf } from './entries.ts';
import { accepted } from './messages.ts';

describe('a quorum', () => {
  test.each([
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
    [7, 4],
  ])('of %i voters is %i', (voters, enough) => {
    const configuration = configurationOf(voters);
    expect(isQuorum(configuration, (id) => id <= enough)).toBe(true);
    expect(isQuorum(configuration, (id) => id < enough)).toBe(false);
    expect(quorumValue(configuration, (id) => (id <= enough ? 9 : 4))).toBe(9);
    expect(quorumValue(configuration, (id) => (id < enough ? 9 : 4))).toBe(4);
  });

  test('counts voters, not whoever answers', () => {
    expect(isQuorum(configurationOf(3), (id) => id > 2)).toBe(false);
  });
});

describe('the commit rule (sections 5.3 and 5.4.2)', () => {
  test('an entry is committed when a quorum has it on disk', () => {
    const group = new Cluster({ peers: 5 });
    const leader = group.elect(1);
    leader.propose('a');
    group.deliver(({ to }) => to === 2);
    group.deliver();
    expect(leader.raft.commitIndex).toBe(2);
    group.settle(({ from, to }) => from === 3 || to === 3);
    expect(leader.raft.commitIndex).toBe(3);
  });

  test('the leader’s own copy counts when it is durable, not before', () => {
    const leader = new CoreHost({ id: 1, flushAtOnce: false }, diskWith(1, [1]));
    leader.stand();
    leader.flush(1);
    leader.propose('a');
    expect(leader.raft.commitIndex).toBe(0);
    leader.flush();
    expect(leader.disk).toMatchObject({ lastApplied: 3, state: ['a'] });
  });

  test('a late word of durability, from a term that is over, counts for nothing', () => {
    const group = new Cluster();
    const leader = group.elect(1);
    leader.input({ type: 'durable', term: 1, index: 2 });
    expect(leader.raft.durableIndex).toBe(2);
    leader.input({ type: 'durable', term: 1, index: 99 });
    expect(leader.raft.durableIndex).toBe(2);
  });

  test('an entry of an older term is not committed by counting, but with the first of the leader’s own', () => {
    const group = new Cluster({ disks: [diskWith(3, [1, 1, 1]), diskWith(3, [1, 1, 1]), diskWith(3, [1, 1, 1])] });
    group.host(1).stand();
    group.settle(({ type }) => type !== 'AppendEntries' && type !== 'AppendEntriesReply');
    const leader = group.host(1);
    const [first] = group.take((message) => message.type === 'AppendEntries' && message.to === 2);
    const message = first!.message as AppendEntries;
    // Peer 2 has all older entries, and says so; that is a quorum for entry 3.
    leader.input({ type: 'reply', message: accepted(message, { matchIndex: 3 }) });
    expect(leader.raft.commitIndex).toBe(0);
    group.advance(200);
    expect(leader.raft.commitIndex).toBe(4);
  });

  test('followers learn of a commit with the next message', () => {
    const group = new Cluster();
    group.elect(1);
    group.commit('a');
    expect(group.host(2).disk.state).toEqual([]);
    group.advance(100);
    expect([2, 3].map((id) => group.host(id).disk.state)).toEqual([['a'], ['a']]);
  });

  test('a new leader commits everything that an earlier one had committed', () => {
    const group = new Cluster();
    group.elect(1);
    group.commit('a', 'b');
    group.crash(1);
    group.advance(5000);
    expect(group.leader?.disk.state).toEqual(['a', 'b']);
  });

  test('a proposal says where it was appended; anybody but the leader refuses it', () => {
    const group = new Cluster();
    const leader = group.elect(1);
    expect(leader.propose('a')).toEqual({ outcome: 'appended', index: 3, term: 2 });
    expect(group.host(2).propose('b')).toEqual({ outcome: 'not_leader' });
  });
});

describe('log time', () => {
  const elapsed = (host: CoreHost) => host.disk.entries.at(-1)?.elapsedMs;

  test('an entry carries what the leader’s clock moved since its last one; the no-op carries nothing', () => {
    const leader = new CoreHost({ id: 1 }, diskWith(1, [1]));
    leader.nowMs = 7000;
    leader.stand();
    expect(elapsed(leader)).toBe(0);
    leader.nowMs += 40;
    leader.propose('a');
    expect(elapsed(leader)).toBe(40);
    leader.propose('b');
    expect(elapsed(leader)).toBe(0);
  });

  test('is bounded by a minute, and what is beyond is dropped, not carried', () => {
    const alone = new CoreHost({ id: 1 }, diskWith(1, [1]));
    alone.stand();
    alone.nowMs += 10_000_000;
    alone.propose('a');
    expect(elapsed(alone)).toBe(60_000);
    alone.nowMs += 5;
    alone.propose('b');
    expect(elapsed(alone)).toBe(5);
  });

  test('fractions of a millisecond add up', () => {
    const alone = new CoreHost({ id: 1 }, diskWith(1, [1]));
    alone.stand();
    let sum = 0;
    for (let i = 0; i < 10; i += 1) {
      alone.nowMs += 0.75;
      alone.propose('a');
      sum += elapsed(alone) ?? 0;
    }
    expect(sum).toBe(7);
  });

  test('an entry says which version of the code may apply it', () => {
    const alone = new CoreHost({ id: 1 }, diskWith(1, [1]));
    alone.stand();
    expect(alone.disk.entries.at(-1)?.applyVersion).toBe(1);
  });
});
