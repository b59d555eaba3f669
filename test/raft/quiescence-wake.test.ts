/** What wakes a sleeping peer and what does not; who is elected where all sleep (src/raft/quiescence.ts, election.ts). */
import { describe, expect, test } from 'vitest';
import type { RequestVoteReply } from '../../src/raft/messages.ts';
import type { Input } from '../../src/raft/types.ts';
import type { Cluster } from './cluster.ts';
import { type CoreHost, ELECTION_TIMEOUT_MS } from './core-host.ts';
import { appendEntries, installSnapshot, preVote, requestVote, voteFor } from './messages.ts';
import {
  ASLEEP_WITHIN_MS,
  cluster,
  QUIESCE_AFTER_MS,
  ROUND,
  sleeper,
  sleeping,
  sleepingGroup,
} from './sleeping-group.ts';

describe('what does not wake', () => {
  const old = appendEntries({ leaderCommit: 1, quiesceRound: ROUND });

  test.each<[string, (host: CoreHost) => void]>([
    ['time, or an alarm that is late', (host) => host.tick()],
    ['a heartbeat that was sent before it fell asleep', (host) => host.receive(old)],
    ['the same a second time', (host) => [1, 2].map(() => host.receive(old))],
    ['a message of an older term', (host) => host.receive(appendEntries({ term: 1, quiesceRound: 9 }))],
    ['a failed call of long ago', (host) => host.input({ type: 'callFailed', to: 2, seq: 1 })],
    [
      'an answer of long ago',
      (host) => host.input({ type: 'reply', message: voteFor(requestVote({ from: 1, to: 3 })) }),
    ],
    ['a write for the leader', (host) => host.propose('a')],
    ['a read for the leader', (host) => host.read(1)],
    ['a pre-vote of somebody who has not asked the leader', (host) => host.receive(preVote({ term: 3, from: 3 }))],
    ['a pre-vote of an older term', (host) => host.receive(preVote({ term: 2, from: 3, unanswered: [2] }))],
    ['the vote of its own term, asked for again', (host) => host.receive(requestVote({ term: 2, from: 2 }))],
    ['its leader’s pre-vote from before that was elected', (host) => host.receive(preVote({ term: 2, from: 2 }))],
    ['a chunk of a snapshot that it has', (host) => host.receive(installSnapshot({ lastIncludedIndex: 1 }))],
  ])('a follower: %s', (_, happen) => {
    const host = sleeper();
    const { quiesceRecord, hardState, entries } = host.durable;
    host.nowMs = 1_000_000;
    happen(host);
    expect(host.durable.quiesceRecord).toBe(quiesceRecord);
    expect(host.durable).toMatchObject({ hardState, entries });
    expect(host.raft).toMatchObject({ leaderId: 2, role: 'follower' });
    expect(host.deadlineMs).toBeNull();
    expect(host.sent.filter(({ message }) => message.from === 1 && !message.type.endsWith('Reply'))).toEqual([]);
  });

  test('the vote of its own term is granted to nobody, not even again', () => {
    const reply = sleeper().receive(requestVote({ term: 2, from: 2 })) as RequestVoteReply;
    expect(reply).toMatchObject({ voteGranted: false, term: 2 });
  });

  test.each<[string, Input]>([
    ['time', { type: 'tick' }],
    ['a client that finds no leader, and asks the very leader to stand', { type: 'stand' }],
    ['a failed call of before', { type: 'callFailed', to: 2, seq: 1 }],
    ['what became durable before', { type: 'durable', term: 2, index: 3 }],
  ])('a leader: %s', (_, input) => {
    const group = sleepingGroup();
    const leader = group.host(1);
    leader.input(input);
    expect(leader.raft.asleep).not.toBeNull();
    expect(leader.deadlineMs).toBeNull();
    group.settle();
    expect(sleeping(group)).toEqual([1, 2, 3]);
  });

  test('a leader: every message of its group that was ever sent, once more', () => {
    const group = cluster();
    const sent: Parameters<Cluster['inject']>[0][] = [];
    group.onSent = (host, message) => {
      if (!message.type.startsWith('RequestVote')) sent.push({ message, asker: host.instance });
    };
    group.elect(1);
    group.commit('a', 'b');
    group.advance(ASLEEP_WITHIN_MS);
    expect(sleeping(group)).toEqual([1, 2, 3]);
    for (const packet of [...sent, ...sent.toReversed()]) group.inject(packet);
    expect(sleeping(group)).toEqual([1, 2, 3]);
    group.take(() => true);
    group.advance(10_000);
    expect(sleeping(group)).toEqual([1, 2, 3]);
  });
});

describe('what wakes', () => {
  test.each<[string, (host: CoreHost) => void]>([
    ['a heartbeat of a newer round', (host) => host.receive(appendEntries({ leaderCommit: 1, quiesceRound: 6 }))],
    ['an entry', (host) => host.receive(appendEntries({ terms: [2], quiesceRound: 6 }))],
    ['a newer leader', (host) => host.receive(appendEntries({ term: 3, from: 3 }))],
    ['a vote for a newer term', (host) => host.receive(requestVote({ term: 3, from: 3 }))],
    ['a newer term’s snapshot', (host) => host.receive(installSnapshot({ term: 3, from: 3, items: ['a'] }))],
    [
      'a snapshot of its own leader, of more than it sleeps with',
      (host) => host.receive(installSnapshot({ from: 2, items: ['a'], lastIncludedTerm: 2 })),
    ],
    ['its leader, restarted without memory', (host) => host.receive(preVote({ term: 3, from: 2 }))],
    ['a client that finds no leader', (host) => host.stand()],
    [
      'a reply that tells of a newer term',
      (host) => host.input({ type: 'reply', message: voteFor(requestVote({ from: 1, to: 3, term: 4 })) }),
    ],
  ])('a follower: %s', (_, happen) => {
    const host = sleeper();
    host.nowMs = 1_000_000;
    happen(host);
    expect(host.raft.asleep).toBeNull();
    expect(host.durable.quiesceRecord).toBeNull();
    expect(host.deadlineMs).toBeGreaterThan(host.nowMs);
  });

  test.each<[string, (host: CoreHost) => void]>([
    ['a write', (host) => host.propose('b')],
    ['a read', (host) => host.read(1)],
    ['somebody who finds no leader', (host) => host.receive(preVote({ term: 3, from: 3, lastLogIndex: 3 }))],
    ['the same from an older term', (host) => host.receive(preVote({ term: 1, from: 3, lastLogIndex: 3 }))],
    ['a vote for a newer term', (host) => host.receive(requestVote({ term: 3, from: 3, lastLogIndex: 3 }))],
    ['a newer leader', (host) => host.receive(appendEntries({ term: 3, from: 3 }))],
  ])('a leader: %s', (_, happen) => {
    const group = sleepingGroup();
    const leader = group.host(1);
    happen(leader);
    expect(leader.raft.asleep).toBeNull();
    expect(leader.durable.quiesceRecord).toBeNull();
    expect(leader.deadlineMs).not.toBeNull();
  });

  test('the leader’s first heartbeats wake the others; a write is committed, a read confirmed by them', () => {
    const group = sleepingGroup();
    const leader = group.host(1);
    leader.propose('b');
    leader.read(7);
    expect(leader.reads.has(7)).toBe(false);
    group.settle();
    expect(sleeping(group)).toEqual([]);
    expect(leader.reads.get(7)).toMatchObject({ outcome: 'ready', state: ['a', 'b'] });
    for (const { raft } of group.hosts.values()) expect(raft.currentTerm).toBe(2);
    group.advance(ASLEEP_WITHIN_MS);
    expect(sleeping(group)).toEqual([1, 2, 3]);
  });

  test('a read alone is confirmed by a round of its own', () => {
    const group = sleepingGroup();
    group.isolate(1);
    group.host(1).read(7);
    group.advance(150);
    expect(group.host(1).reads.has(7)).toBe(false);
    group.heal();
    group.advance(200);
    expect(group.host(1).reads.get(7)?.outcome).toBe('ready');
  });

  test('a leader that wakes alone gives up after an election timeout, as after an election', () => {
    const group = sleepingGroup();
    group.isolate(1);
    group.host(1).read(7);
    group.advance(480);
    expect(group.host(1).raft.role).toBe('leader');
    group.advance(20);
    expect(group.host(1).raft.role).not.toBe('leader');
    expect(group.host(1).reads.get(7)?.outcome).toBe('not_leader');
  });

  test('the record is gone from the disk before anything is sent', () => {
    const group = sleepingGroup();
    const leader = group.host(1);
    leader.flushAtOnce = false;
    leader.propose('b');
    expect(leader.disk.quiesceRecord).toBeNull();
    expect(leader.durable.quiesceRecord).not.toBeNull();
    expect(leader.sent).toEqual([]);
    leader.flush();
    expect(leader.durable.quiesceRecord).toBeNull();
    expect(leader.sent.map(({ message }) => message.type)).toEqual(['AppendEntries', 'AppendEntries']);
  });
});

describe('a sleeping follower that is asked to stand', () => {
  const requests = (host: CoreHost) =>
    host.sent.flatMap(({ message }) => (message.type === 'RequestVote' ? [message] : []));

  test('asks its leader first, and alone, for three heartbeats', () => {
    const host = sleeper();
    host.stand();
    expect(requests(host)).toMatchObject([{ to: 2, preVote: true, term: 3, unanswered: [] }]);
    expect(host.deadlineMs).toBe(300);
    host.nowMs = 299;
    host.tick();
    expect(requests(host).length).toBe(1);
    host.nowMs = 300;
    host.tick();
    expect(requests(host).slice(1)).toMatchObject([{ to: 3, preVote: true, term: 3, unanswered: [2] }]);
  });

  test('a call to the leader that fails at once ends the wait', () => {
    const host = sleeper();
    host.stand();
    host.input({ type: 'callFailed', to: 2, seq: requests(host)[0]!.seq });
    expect(requests(host).slice(1)).toMatchObject([{ to: 3, unanswered: [2] }]);
  });

  test('a second client changes nothing', () => {
    const host = sleeper();
    host.stand();
    host.nowMs = 50;
    host.stand();
    expect(requests(host).length).toBe(1);
    expect(host.deadlineMs).toBe(300);
  });

  test('the leader slept as well: it wakes, and leads on', () => {
    const group = sleepingGroup();
    group.host(2).stand();
    group.settle();
    expect(sleeping(group)).toEqual([]);
    group.advance(1000);
    expect(group.leader?.id).toBe(1);
    for (const { raft } of group.hosts.values()) expect(raft).toMatchObject({ currentTerm: 2, leaderId: 1 });
  });

  test('its answer is lost: the others hear from it, and refuse', () => {
    const group = sleepingGroup();
    group.host(2).stand();
    group.deliver((message) => message.to === 1);
    group.take((message) => message.type === 'RequestVoteReply' && message.to === 2);
    group.settle();
    group.advance(1000);
    for (const { raft } of group.hosts.values()) expect(raft).toMatchObject({ currentTerm: 2, leaderId: 1 });
  });

  test('the leader is gone: another leads within an election timeout', () => {
    const group = sleepingGroup();
    group.isolate(1);
    group.host(2).stand();
    group.advance(ELECTION_TIMEOUT_MS);
    expect(group.leader?.id).toBe(2);
    expect(group.leader?.raft.currentTerm).toBe(3);
    group.commit('b');
    group.advance(200);
    expect(group.host(3).disk.state).toEqual(['a', 'b']);
    group.advance(ASLEEP_WITHIN_MS);
    expect(sleeping(group)).toEqual([1, 2, 3]);
    group.heal();
    group.advance(60_000, { stepMs: 1000 });
    // It has heard of nothing. Nobody is served by it, though.
    expect(group.host(1).raft).toMatchObject({ role: 'leader', currentTerm: 2 });
    group.host(1).read(1);
    group.advance(1000);
    expect(group.host(1).reads.get(1)?.outcome).toBe('not_leader');
    expect(group.host(1).disk.state).toEqual(['a', 'b']);
  });

  test('two wake-ups at once, at the leader and at a follower: one group, the same term', () => {
    const group = sleepingGroup();
    group.host(3).stand();
    group.host(1).propose('b');
    group.advance(1000);
    for (const host of group.hosts.values()) {
      expect(host.raft).toMatchObject({ currentTerm: 2, leaderId: 1 });
      expect(host.disk.state).toEqual(['a', 'b']);
    }
  });

  test('without a majority its campaign leads nowhere', () => {
    const group = sleepingGroup();
    group.crash(1);
    group.crash(2);
    group.host(3).stand();
    group.advance(5000);
    expect(group.host(3).raft).toMatchObject({ role: 'preCandidate', currentTerm: 2 });
  });
});

describe('a sleeping voter that is asked for a pre-vote', () => {
  const asked = (unanswered: readonly number[], message: Parameters<typeof preVote>[0] = {}) =>
    sleeper().receive(preVote({ term: 3, from: 3, unanswered, ...message })) as RequestVoteReply;

  test.each([
    ['refuses', [], false],
    ['refuses if somebody else did not answer', [1, 3], false],
    ['grants it if its leader did not answer', [2], true],
  ])('%s', (_, unanswered, voteGranted) => {
    expect(asked(unanswered).voteGranted).toBe(voteGranted);
  });

  test('refuses who lacks what it has, whatever did not answer', () => {
    expect(asked([2], { lastLogIndex: 0, lastLogTerm: 0 })).toMatchObject({ voteGranted: false, retryAfterMs: null });
  });

  test('says when to ask again, and sleeps on', () => {
    const host = sleeper();
    const reply = host.receive(preVote({ term: 3, from: 3 })) as RequestVoteReply;
    expect(reply.retryAfterMs).toBe(300);
    expect(host.raft.asleep).not.toBeNull();
  });
});

describe('campaigns where nobody can be elected', () => {
  /** Times at which peer 1, of whose group nobody else is there, begins one. */
  function campaigns(group: Cluster, forMs: number): number[] {
    const begun: number[] = [];
    let deadlineMs: number | null = null;
    const endMs = group.nowMs + forMs;
    while (group.nowMs < endMs) {
      group.advance(20);
      const { electionDeadlineMs } = group.host(1).raft;
      if (electionDeadlineMs !== deadlineMs) begun.push(group.nowMs);
      deadlineMs = electionDeadlineMs;
    }
    return begun;
  }

  function alone(): Cluster {
    const group = cluster();
    group.elect(1);
    group.crash(2);
    group.crash(3);
    return group;
  }

  test('become rare: once in 30 to 60 s at last', () => {
    const group = alone();
    expect(campaigns(group, QUIESCE_AFTER_MS).length).toBeGreaterThan(3);
    campaigns(group, 300_000);
    expect(campaigns(group, 600_000).length).toBeLessThanOrEqual(1 + 600 / 30);
  });

  test('and so do the calls', () => {
    const group = alone();
    group.advance(300_000, { stepMs: 50 });
    let calls = 0;
    group.onSent = () => {
      calls += 1;
    };
    group.advance(60_000, { stepMs: 50 });
    expect(calls).toBeLessThanOrEqual(10);
  });

  test('a client in need makes them frequent again, and need not wait for the end of a long one', () => {
    const group = alone();
    group.advance(600_000, { stepMs: 50 });
    group.host(1).stand();
    expect(group.host(1).deadlineMs).toBeLessThanOrEqual(group.nowMs + ELECTION_TIMEOUT_MS);
    group.start(2);
    group.advance(ELECTION_TIMEOUT_MS);
    expect(group.leader).not.toBeNull();
  });
});
