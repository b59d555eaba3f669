/** Who falls asleep, and when (src/raft/quiescence.ts). */
import { describe, expect, test } from 'vitest';
import { Cluster } from './cluster.ts';
import { CoreHost, diskWith, ELECTION_TIMEOUT_MS } from './core-host.ts';
import { appendEntries } from './messages.ts';
import {
  ASLEEP_WITHIN_MS,
  ask,
  cluster,
  follower,
  QUIESCE_AFTER_MS,
  question,
  ROUND,
  sleeper,
  sleeping,
  sleepingGroup,
} from './sleeping-group.ts';

describe('falling asleep', () => {
  test('an idle group sleeps: each peer has its record, no deadline, and nothing is said any more', () => {
    const group = sleepingGroup();
    const record = { term: 2, lastIndex: 3, lastTerm: 2, leaderId: 1, round: 1 };
    for (const host of group.hosts.values()) {
      expect(host.durable.quiesceRecord).toMatchObject(record);
      expect(host.deadlineMs).toBeNull();
    }
    const said = group.delivered.length;
    group.advance(60_000, { stepMs: 1000 });
    expect(group.delivered.length).toBe(said);
    expect(group.inTransit).toEqual([]);
  });

  test.each([1, 5, 7])('so does a group of %i', (peers) => {
    sleepingGroup({ peers });
  });

  test('every write and every read begins the wait anew', () => {
    const group = cluster();
    group.elect(1);
    for (let i = 0; i < 5; i += 1) {
      group.advance(QUIESCE_AFTER_MS - 100);
      if (i % 2 === 0) group.commit('a');
      else group.host(1).read(i);
      expect(sleeping(group)).toEqual([]);
    }
    group.advance(ASLEEP_WITHIN_MS);
    expect(sleeping(group)).toEqual([1, 2, 3]);
  });

  test('a group that was not told when never sleeps', () => {
    const group = new Cluster();
    group.elect(1);
    group.advance(120_000, { stepMs: 100 });
    expect(sleeping(group)).toEqual([]);
  });

  test('a group of one tries again with each heartbeat while it is busy, and needs no other deadline', () => {
    const group = cluster({ peers: 1 });
    const host = group.elect(1);
    host.busy = true;
    expect(host.deadlineMs).toBe(QUIESCE_AFTER_MS);
    group.advance(10_000);
    expect(sleeping(group)).toEqual([]);
    host.busy = false;
    group.advance(100);
    expect(sleeping(group)).toEqual([1]);
  });

  test('a group of one that never sleeps has no deadline at all', () => {
    const group = new Cluster({ peers: 1 });
    expect(group.elect(1).deadlineMs).toBeNull();
  });

  test.each([1, 2])('not while peer %i is busy; it is asked again an election timeout later', (id) => {
    const group = cluster();
    group.elect(1);
    group.commit('a');
    group.host(id).busy = true;
    group.advance(10_000);
    expect(sleeping(group)).not.toContain(1);
    group.host(id).busy = false;
    group.advance(ELECTION_TIMEOUT_MS + 200);
    expect(sleeping(group)).toEqual([1, 2, 3]);
  });

  test('not while a write is under way', () => {
    const group = cluster({ settings: { quiesceAfterMs: 50 } });
    const leader = group.elect(1);
    leader.propose('a');
    group.advance(200, { settle: false });
    expect(leader.raft).toMatchObject({ attempt: null, quiesceRound: 0, commitIndex: 2 });
    group.advance(1200);
    expect(leader.disk.state).toEqual(['a']);
    expect(sleeping(group)).toEqual([1, 2, 3]);
  });

  test('not while a read waits', () => {
    const group = cluster({ settings: { quiesceAfterMs: 50 } });
    const leader = group.elect(1);
    leader.read(1);
    group.advance(200, { settle: false });
    expect(leader.reads.has(1)).toBe(false);
    expect(leader.raft.quiesceRound).toBe(0);
    group.advance(200);
    expect(leader.reads.get(1)?.outcome).toBe('ready');
    expect(sleeping(group)).toEqual([1, 2, 3]);
  });

  test('not while a cut is sent to a follower', () => {
    const limits = { tailEntries: 1, tailBytes: 1 };
    const group = cluster({ settings: { limits } });
    group.elect(1);
    group.crash(3);
    group.advance(600);
    group.commit('a', 'b', 'c', 'd', 'e', 'f');
    group.start(3);
    const chunks = (message: { type: string }): boolean => message.type.startsWith('InstallSnapshot');
    for (let i = 0; i < 60; i += 1) {
      group.advance(10, { settle: false });
      group.settle((message) => !chunks(message));
    }
    expect(group.host(1).cutOpen).toBe(true);
    expect(group.host(1).raft.attempt).toBeNull();
    group.advance(ASLEEP_WITHIN_MS + 1000);
    expect(group.host(3).disk.state).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
    expect(sleeping(group)).toEqual([1, 2, 3]);
  });

  test('not while a follower that was heard of lately is silent; without it once it is known dead', () => {
    const group = cluster();
    group.elect(1);
    group.advance(QUIESCE_AFTER_MS - 400);
    group.crash(3);
    group.advance(450);
    expect(group.host(1).raft.attempt).toBeNull();
    expect(sleeping(group)).toEqual([]);
    group.advance(1000);
    expect(sleeping(group)).toEqual([1, 2]);
  });

  test('no budget for calls: the question is sent with the next event that has one', () => {
    const group = cluster();
    const leader = group.elect(1);
    group.advance(QUIESCE_AFTER_MS - 50);
    leader.callBudget = 0;
    for (let ms = 0; ms < 60; ms += 10) {
      leader.nowMs = group.nowMs + ms;
      leader.tick();
    }
    expect(leader.raft.attempt).not.toBeNull();
    expect(leader.deadlineMs).toBe(leader.nowMs);
    leader.callBudget = 32;
    group.advance(200);
    expect(sleeping(group)).toEqual([1, 2, 3]);
  });
});

describe('a follower that is asked to sleep', () => {
  test('agrees if its log and commit index are what the leader says', () => {
    const host = follower();
    expect(ask(host)).toMatchObject({ success: true, quiesced: true });
    expect(host.durable.quiesceRecord).toMatchObject({ term: 2, lastIndex: 1, lastTerm: 1, leaderId: 2, round: ROUND });
  });

  test('refuses with a tail of its own, which may not be committed', () => {
    expect(ask(follower([1, 2, 2])).quiesced).toBe(false);
  });

  test('refuses while it knows of less that is committed', () => {
    const message = question({ leaderCommit: 1, terms: [2], prevLogIndex: 1 });
    expect(ask(follower(), message)).toMatchObject({ success: true, quiesced: false });
  });

  test('refuses while something is to be applied; agrees once it is', () => {
    const host = new CoreHost({ id: 1, quiesceAfterMs: QUIESCE_AFTER_MS }, diskWith(3, [1]));
    expect(ask(host).quiesced).toBe(false);
    expect(ask(host).quiesced).toBe(true);
  });

  test('agrees though it may not apply: a stopped peer keeps nobody awake', () => {
    const host = new CoreHost({ id: 1, quiesceAfterMs: QUIESCE_AFTER_MS }, diskWith(3, [1]));
    host.input({ type: 'stop' });
    host.receive(appendEntries({ leaderCommit: 1 }));
    expect(ask(host).quiesced).toBe(true);
  });

  test('refuses while it is busy', () => {
    const host = follower();
    host.busy = true;
    expect(ask(host).quiesced).toBe(false);
  });

  test('refuses an older round than it has heard of: that question is late', () => {
    const host = follower();
    host.receive(appendEntries({ leaderCommit: 1, quiesceRound: ROUND + 1 }));
    expect(ask(host).quiesced).toBe(false);
    expect(ask(host, question({ quiesceRound: ROUND + 1 })).quiesced).toBe(true);
  });

  test('asked twice, says yes twice', () => {
    const host = sleeper();
    const { quiesceRecord } = host.durable;
    expect(ask(host).quiesced).toBe(true);
    expect(host.durable.quiesceRecord).toBe(quiesceRecord);
  });

  test('asleep, says no to an older question, and sleeps on', () => {
    const host = sleeper();
    expect(ask(host, question({ quiesceRound: ROUND - 1 }))).toMatchObject({ success: true, quiesced: false });
    expect(host.raft.asleep?.round).toBe(ROUND);
  });
});

describe('an attempt that fails', () => {
  const isQuestion = (message: { type: string }): boolean => 'quiesce' in message && message.quiesce === true;
  const isYes = (message: { type: string }): boolean => 'quiesced' in message && message.quiesced === true;

  /** All sleep but the leader, whose question or answer from 2 is under way. */
  function attempt(which: (message: { type: string; to: number; from: number }) => boolean): Cluster {
    const group = cluster();
    group.elect(1);
    group.commit('a');
    for (let i = 0; i < 250 && group.take(which).length === 0; i += 1) {
      group.advance(10, { settle: false });
      group.settle((message) => !which(message));
    }
    return group;
  }

  test.each([
    ['question', (message: { type: string; to: number }) => isQuestion(message) && message.to === 2],
    ['answer', (message: { type: string; from: number }) => isYes(message) && message.from === 2],
  ])('the %s is lost: the others wake with the next heartbeat, and it is tried again', (_, which) => {
    const group = attempt(which);
    expect(group.host(1).raft.attempt?.waiting.size).toBe(1);
    expect(group.host(3).raft.asleep).not.toBeNull();
    const { currentTerm } = group.host(1).raft;
    group.advance(400);
    expect(sleeping(group)).toEqual([]);
    group.advance(ELECTION_TIMEOUT_MS + 200);
    expect(sleeping(group)).toEqual([1, 2, 3]);
    expect(group.host(1).raft.currentTerm).toBe(currentTerm);
  });

  test('a client comes: the answer that is under way puts nobody to sleep', () => {
    const group = cluster();
    const leader = group.elect(1);
    let late: ReturnType<Cluster['take']> = [];
    while (late.length === 0) {
      group.advance(10, { settle: false });
      group.settle((message) => !isYes(message));
      late = group.take(isYes);
    }
    leader.propose('a');
    for (const packet of late) group.inject(packet);
    expect(leader.raft).toMatchObject({ asleep: null, attempt: null });
    group.settle();
    expect(sleeping(group)).toEqual([]);
    expect(leader.disk.state).toEqual(['a']);
  });

  test('a follower falls silent meanwhile: nobody sleeps before it is back, or known dead', () => {
    const group = cluster();
    group.elect(1);
    for (let i = 0; i < 250 && !group.inTransit.some(({ message }) => isQuestion(message)); i += 1) {
      group.settle();
      group.advance(10, { settle: false });
    }
    group.crash(3);
    group.failCalls(({ to }) => to === 3);
    group.settle();
    expect(group.host(1).raft.attempt).toBeNull();
    group.advance(2000);
    expect(sleeping(group)).toEqual([1, 2]);
  });

  test('something is found unsettled meanwhile: the attempt ends', () => {
    const group = cluster();
    const leader = group.elect(1);
    while (leader.raft.attempt === null) {
      group.settle((message) => !isQuestion(message));
      group.advance(10, { settle: false });
    }
    leader.busy = true;
    leader.tick();
    expect(leader.raft.attempt).toBeNull();
  });

  test('a leader that is deposed meanwhile has none', () => {
    const group = attempt((message) => isYes(message));
    group.host(1).receive(appendEntries({ term: 9, from: 2, to: 1 }));
    expect(group.host(1).raft).toMatchObject({ role: 'follower', attempt: null, asleep: null });
  });
});

describe('a peer that is dead', () => {
  test('keeps nobody awake; on its return it wakes the leader, is caught up, and all sleep, in the same term', () => {
    const group = cluster();
    group.elect(1);
    group.crash(3);
    group.advance(1000);
    group.commit('a', 'b');
    group.advance(ASLEEP_WITHIN_MS);
    expect(sleeping(group)).toEqual([1, 2]);
    group.advance(600_000, { stepMs: 10_000 });
    group.start(3);
    group.advance(2000);
    expect(group.host(3).disk.state).toEqual(['a', 'b']);
    group.advance(ASLEEP_WITHIN_MS);
    expect(sleeping(group)).toEqual([1, 2, 3]);
    expect(group.host(3).raft.currentTerm).toBe(2);
  });

  test('that sleeps on, having missed a wake, is caught up at the next one', () => {
    const group = sleepingGroup();
    group.crash(3);
    group.commit('b');
    group.advance(ASLEEP_WITHIN_MS + 1000);
    expect(sleeping(group)).toEqual([1, 2, 3]);
    group.start(3);
    expect(group.host(3).disk.state).toEqual(['a']);
    group.host(1).read(1);
    group.advance(500);
    expect(group.host(3).disk.state).toEqual(['a', 'b']);
  });
});
