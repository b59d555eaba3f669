import { describe, expect, test } from 'vitest';
import { InvariantViolation } from '../../src/raft/invariant.ts';
import { Cluster } from './cluster.ts';
import { CoreHost, diskWith, ELECTION_TIMEOUT_MS } from './core-host.ts';
import { appendEntries, requestVote } from './messages.ts';

describe('restart from what is stored', () => {
  test('term, vote, log and applied state come back; leadership does not', () => {
    const group = new Cluster();
    const leader = group.elect(1);
    group.commit('a', 'b');
    const { durable } = leader;
    group.crash(1);
    expect(leader.disk).toBe(durable);
    expect(leader.raft).toMatchObject({
      role: 'follower',
      currentTerm: 2,
      votedFor: 1,
      lastApplied: 4,
      commitIndex: 4,
    });
    expect(leader.raft.log.lastIndex).toBe(4);
  });

  test('what was committed, but not applied here, is applied once it is known to be committed again', () => {
    const group = new Cluster();
    group.elect(1);
    group.commit('a');
    expect(group.host(2).disk.state).toEqual([]);
    group.crash(2);
    group.start(2);
    group.advance(200);
    expect(group.host(2).disk.state).toEqual(['a']);
  });

  test('unflushed writes are gone, and with them everything that waited for them', () => {
    const host = new CoreHost({ id: 1, flushAtOnce: false }, diskWith(3, [1]));
    host.receive(appendEntries({ terms: [2, 2] }));
    host.receive(requestVote({ term: 5, lastLogIndex: 9, lastLogTerm: 4 }));
    expect(host.sent).toEqual([]);
    host.restart();
    expect(host.raft).toMatchObject({ currentTerm: 1, votedFor: null });
    expect(host.raft.log.lastIndex).toBe(1);
  });

  test('a crash between two flushes keeps the first', () => {
    const host = new CoreHost({ id: 1, flushAtOnce: false }, diskWith(3, [1]));
    host.receive(appendEntries({ terms: [2] }));
    host.receive(appendEntries({ prevLogIndex: 2, prevLogTerm: 2, terms: [2] }));
    host.flush(1);
    host.restart();
    expect(host.raft.log.lastIndex).toBe(2);
    const reply = host.receive(appendEntries({ prevLogIndex: 3, prevLogTerm: 2 }));
    expect(reply).toMatchObject({ success: false, conflictIndex: 2 });
  });

  test('a peer that voted for itself last stands at its first event', () => {
    const host = new CoreHost({ id: 1 }, diskWith(3, [1], { currentTerm: 4, votedFor: 1 }));
    host.tick();
    expect(host.raft.role).toBe('preCandidate');
  });

  test('a peer that voted for another, or for nobody, waits for its timeout', () => {
    for (const votedFor of [2, null]) {
      const host = new CoreHost({ id: 1 }, diskWith(3, [1], { currentTerm: 4, votedFor }));
      host.tick();
      expect(host.raft.role).toBe('follower');
      expect(host.deadlineMs).toBeGreaterThanOrEqual(ELECTION_TIMEOUT_MS);
    }
  });

  test('all crash at once and come back: nothing is lost', () => {
    const group = new Cluster({ peers: 5 });
    group.elect(1);
    group.commit('a', 'b', 'c');
    for (const id of group.hosts.keys()) group.crash(id);
    for (const id of group.hosts.keys()) group.start(id);
    group.advance(2000);
    for (const host of group.hosts.values()) expect(host.disk.state).toEqual(['a', 'b', 'c']);
  });

  test('a leader’s entry that nobody has may be lost, an acknowledged one never', () => {
    const group = new Cluster();
    group.elect(1);
    group.commit('kept');
    group.isolate(1);
    group.host(1).propose('lost');
    group.crash(1);
    group.heal();
    group.advance(2000);
    group.leader?.propose('later');
    group.settle();
    group.start(1);
    group.advance(1000);
    for (const host of group.hosts.values()) expect(host.disk.state).toEqual(['kept', 'later']);
  });

  test('storage that contradicts itself is a broken rule, before anything happens', () => {
    const applied = { ...diskWith(3, [1]), lastApplied: 2 };
    expect(() => new CoreHost({ id: 1 }, applied)).toThrow(InvariantViolation);
    const newer = diskWith(3, [1, 5], { currentTerm: 4 });
    expect(() => new CoreHost({ id: 1 }, newer)).toThrow(InvariantViolation);
    const { entries, ...gap } = diskWith(3, [1, 1, 1]);
    expect(() => new CoreHost({ id: 1 }, { ...gap, entries: entries.filter(({ index }) => index !== 2) })).toThrow(
      InvariantViolation,
    );
  });

  test('times that do not fit together, and a clock that goes back, are broken rules', () => {
    expect(() => new CoreHost({ id: 1, heartbeatMs: 300, electionTimeoutMs: 800 }, diskWith(3, [1]))).toThrow(
      InvariantViolation,
    );
    const host = new CoreHost({ id: 1 }, diskWith(3, [1]));
    host.nowMs = 10;
    host.tick();
    host.nowMs = 9;
    expect(() => host.tick()).toThrow(InvariantViolation);
  });

  test('a message for somebody else is a broken rule of the host', () => {
    const host = new CoreHost({ id: 1 }, diskWith(3, [1]));
    expect(() => host.receive(appendEntries({ to: 3 }))).toThrow(InvariantViolation);
  });
});
