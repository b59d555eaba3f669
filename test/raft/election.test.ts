import { describe, expect, test } from 'vitest';
import type { RequestVote, RequestVoteReply } from '../../src/raft/messages.ts';
import { Cluster } from './cluster.ts';
import { CoreHost, diskWith, ELECTION_TIMEOUT_MS, HEARTBEAT_MS, isReply } from './core-host.ts';
import { appendEntries, preVote, requestVote, voteFor } from './messages.ts';

/** Peer 1 of 3, alone with its log. */
function peer(terms: readonly number[] = [1], hardState = {}, random = 0.5): CoreHost {
  return new CoreHost({ id: 1, random: () => random }, diskWith(3, terms, hardState));
}

function at(host: CoreHost, nowMs: number): CoreHost {
  host.nowMs = nowMs;
  host.tick();
  return host;
}

const vote = (host: CoreHost, message: RequestVote) => host.receive(message) as RequestVoteReply;
const questions = (host: CoreHost) =>
  host.sent.map(({ message }) => message).filter((message) => message.type === 'RequestVote');

describe('leader election (section 5.2)', () => {
  test('a follower stands when one to two election timeouts pass without a leader', () => {
    expect(at(peer([1], {}, 0), ELECTION_TIMEOUT_MS - 1).raft.role).toBe('follower');
    expect(at(peer([1], {}, 0), ELECTION_TIMEOUT_MS).raft.role).toBe('preCandidate');
    expect(at(peer([1], {}, 0.99), 1.98 * ELECTION_TIMEOUT_MS).raft.role).toBe('follower');
    expect(at(peer([1], {}, 0.99), 1.99 * ELECTION_TIMEOUT_MS).raft.role).toBe('preCandidate');
  });

  test('every AppendEntries of the leader begins the wait anew', () => {
    const follower = peer();
    for (let nowMs = 0; nowMs <= 5000; nowMs += 400) {
      at(follower, nowMs).receive(appendEntries({ term: 2 }));
      expect(follower.raft.role).toBe('follower');
    }
    expect(follower.raft.leaderId).toBe(2);
  });

  test('a majority of votes makes a leader; it tells everybody at once', () => {
    const group = new Cluster({ peers: 5 });
    for (const id of [4, 5]) group.crash(id);
    group.elect(1);
    expect(group.host(1).raft.currentTerm).toBe(2);
    expect([2, 3].map((id) => group.host(id).raft.leaderId)).toEqual([1, 1]);
  });

  test('without a majority nobody leads', () => {
    const group = new Cluster({ peers: 5 });
    for (const id of [3, 4, 5]) group.crash(id);
    group.advance(10_000);
    expect(group.leader).toBeNull();
  });

  test('one vote a term: the first who asks gets it, and gets it again when the question is doubled', () => {
    const voter = peer();
    const first = requestVote({ term: 2, from: 2 });
    expect(vote(voter, first).voteGranted).toBe(true);
    expect(vote(voter, requestVote({ term: 2, from: 3 })).voteGranted).toBe(false);
    expect(vote(voter, first).voteGranted).toBe(true);
    expect(voter.durable.hardState).toEqual({ currentTerm: 2, votedFor: 2 });
  });

  test('the vote is remembered through a restart', () => {
    const voter = peer();
    vote(voter, requestVote({ term: 2, from: 2 }));
    voter.restart();
    expect(vote(voter, requestVote({ term: 2, from: 3 })).voteGranted).toBe(false);
  });

  test('a vote for an older term is refused, and the answer says which term it is', () => {
    const voter = peer([1], { currentTerm: 7 });
    expect(vote(voter, requestVote({ term: 6 }))).toMatchObject({ voteGranted: false, term: 7 });
    expect(voter.raft.currentTerm).toBe(7);
  });

  test('a newer term ends a leader’s and a candidate’s office', () => {
    const group = new Cluster();
    const leader = group.elect(1);
    leader.receive(requestVote({ term: 9, from: 3, lastLogIndex: 9, lastLogTerm: 8 }));
    expect(leader.raft).toMatchObject({ role: 'follower', currentTerm: 9, votedFor: 3, leaderId: null });
  });

  test('a candidate that hears the leader of its term follows it', () => {
    const candidate = peer();
    candidate.stand();
    const [question] = questions(candidate);
    candidate.input({ type: 'reply', message: voteFor(question!) });
    expect(candidate.raft).toMatchObject({ role: 'candidate', currentTerm: 2 });
    candidate.receive(appendEntries({ term: 2, from: 3 }));
    expect(candidate.raft).toMatchObject({ role: 'follower', leaderId: 3, currentTerm: 2, votedFor: 1 });
  });

  test('a split vote is tried again, after a random share of the timeout', () => {
    const group = new Cluster({ peers: 4, host: (id) => ({ random: () => id / 8 }) });
    for (const id of [1, 2]) group.host(id).stand();
    group.settle((message) => 'preVote' in message && message.preVote);
    // Peer 3 hears candidate 1 first, and peer 4 candidate 2.
    group.deliver(({ from, to }) => from === to - 2);
    group.settle();
    expect(group.leader).toBeNull();
    group.advance(3 * ELECTION_TIMEOUT_MS);
    expect(group.leader).not.toBeNull();
  });

  test('a vote counts once, however often its answer comes', () => {
    const candidate = new CoreHost({ id: 1 }, diskWith(5, [1]));
    candidate.stand();
    const [question] = questions(candidate);
    for (let i = 0; i < 3; i += 1) candidate.input({ type: 'reply', message: voteFor(question!) });
    expect(candidate.raft.role).toBe('preCandidate');
  });

  test('an answer to an earlier campaign counts for nothing', () => {
    const candidate = peer();
    candidate.stand();
    const [late] = questions(candidate);
    candidate.sent = [];
    at(candidate, 2 * ELECTION_TIMEOUT_MS);
    expect(questions(candidate)).toHaveLength(2);
    candidate.input({ type: 'reply', message: voteFor(late!) });
    expect(candidate.raft.role).toBe('preCandidate');
  });

  test('a question that is lost is asked again within the campaign, and the vote counts', () => {
    const candidate = peer();
    candidate.stand();
    const [lost] = questions(candidate);
    candidate.sent = [];
    candidate.nowMs = ELECTION_TIMEOUT_MS / 2;
    candidate.input({ type: 'callFailed', to: lost!.to, seq: lost!.seq });
    const again = questions(candidate);
    expect(again).toMatchObject([{ ...lost, seq: expect.any(Number), unanswered: [lost!.to] }]);
    expect(again[0]!.seq).not.toBe(lost!.seq);
    candidate.input({ type: 'reply', message: voteFor(again[0]!) });
    expect(candidate.raft.role).toBe('candidate');
  });

  test('a question that fails at once is not repeated: nobody is there, and the calls would never end', () => {
    const candidate = peer();
    candidate.stand();
    const [failed] = questions(candidate);
    candidate.sent = [];
    candidate.nowMs = HEARTBEAT_MS - 1;
    candidate.input({ type: 'callFailed', to: failed!.to, seq: failed!.seq });
    expect(questions(candidate)).toEqual([]);
  });

  test('a question of an earlier campaign that fails is not repeated: the voter was asked anew', () => {
    const candidate = peer();
    candidate.stand();
    const [late] = questions(candidate);
    at(candidate, 2 * ELECTION_TIMEOUT_MS);
    candidate.sent = [];
    candidate.input({ type: 'callFailed', to: late!.to, seq: late!.seq });
    expect(questions(candidate)).toEqual([]);
  });

  test('the candidate’s own vote counts when it is on disk, not before', () => {
    const alone = new CoreHost({ id: 1, flushAtOnce: false }, diskWith(1, [1]));
    alone.stand();
    expect(alone.raft.role).toBe('candidate');
    alone.flush(1);
    expect(alone.raft.role).toBe('leader');
  });

  test('with its own vote still unflushed, one other vote of three is not enough', () => {
    const candidate = new CoreHost({ id: 1 }, diskWith(3, [1]));
    candidate.stand();
    const [question] = questions(candidate);
    candidate.flushAtOnce = false;
    candidate.input({ type: 'reply', message: voteFor(question!) });
    // Its host would not have sent this question yet; the core does not lean on that.
    const asked = requestVote({ term: 2, from: 1, to: 2, seq: candidate.raft.asked.get(2)! });
    candidate.input({ type: 'reply', message: voteFor(asked) });
    expect(candidate.raft.role).toBe('candidate');
    candidate.flush();
    expect(candidate.raft.role).toBe('leader');
  });

  test('a vote of an earlier term counts for nothing, though it bears the number of a question of this campaign', () => {
    const candidate = new CoreHost({ id: 1 }, diskWith(3, [1]));
    candidate.stand();
    const [question] = questions(candidate);
    candidate.input({ type: 'reply', message: voteFor(question!) });
    expect(candidate.raft).toMatchObject({ role: 'candidate', currentTerm: 2 });
    const asked = requestVote({ term: 2, from: 1, to: 2, seq: candidate.raft.asked.get(2)! });
    candidate.input({ type: 'reply', message: voteFor(asked, { term: 1 }) });
    expect(candidate.raft.role).toBe('candidate');
    candidate.input({ type: 'reply', message: voteFor(asked) });
    expect(candidate.raft.role).toBe('leader');
  });
});

describe('election restriction (section 5.4.1)', () => {
  const own = [1, 2, 2];
  test.each([
    ['a later last term wins, though the log is shorter', 1, 3, true],
    ['an earlier last term loses, though the log is longer', 9, 1, false],
    ['the same term and a longer log', 4, 2, true],
    ['the same term and the same length', 3, 2, true],
    ['the same term and a shorter log', 2, 2, false],
  ])('%s', (_, lastLogIndex, lastLogTerm, granted) => {
    expect(vote(peer(own), requestVote({ term: 5, lastLogIndex, lastLogTerm })).voteGranted).toBe(granted);
    expect(vote(peer(own), preVote({ term: 5, lastLogIndex, lastLogTerm })).voteGranted).toBe(granted);
  });

  test('a refused vote is not spent: another candidate may have it', () => {
    const voter = peer(own);
    vote(voter, requestVote({ term: 5, from: 2, lastLogIndex: 1, lastLogTerm: 1 }));
    expect(vote(voter, requestVote({ term: 5, from: 3, lastLogIndex: 3, lastLogTerm: 2 })).voteGranted).toBe(true);
  });
});

describe('pre-vote (dissertation 9.6)', () => {
  test('asking for pre-votes and giving them changes neither term nor vote', () => {
    const candidate = peer();
    candidate.stand();
    expect(questions(candidate)).toMatchObject([
      { preVote: true, term: 2 },
      { preVote: true, term: 2 },
    ]);
    const voter = peer();
    expect(vote(voter, preVote({ term: 2, from: 3 }))).toMatchObject({ voteGranted: true, term: 1 });
    for (const host of [candidate, voter]) expect(host.disk.hardState).toEqual({ currentTerm: 1, votedFor: null });
  });

  test('a pre-vote may go to several, a vote may not', () => {
    const voter = peer();
    for (const from of [2, 3]) expect(vote(voter, preVote({ term: 2, from })).voteGranted).toBe(true);
  });

  test('a pre-vote for a term that is already here is refused, and the candidate learns the term', () => {
    const voter = peer([1], { currentTerm: 5 });
    const question = preVote({ term: 4, from: 2 });
    const answer = vote(voter, question);
    expect(answer).toMatchObject({ voteGranted: false, term: 5 });
    const candidate = peer([1], { currentTerm: 3 });
    candidate.stand();
    candidate.input({ type: 'reply', message: { ...answer, from: 2, to: 1 } });
    expect(candidate.raft).toMatchObject({ role: 'follower', currentTerm: 5 });
  });

  test('a partitioned peer returns without disturbing anybody', () => {
    const group = new Cluster();
    const leader = group.elect(1);
    group.isolate(3);
    group.advance(10_000);
    expect(group.host(3).raft).toMatchObject({ role: 'preCandidate', currentTerm: 2 });
    group.heal();
    group.advance(2000);
    expect(leader.raft).toMatchObject({ role: 'leader', currentTerm: 2 });
    expect(group.host(3).raft).toMatchObject({ role: 'follower', leaderId: 1 });
  });
});

describe('stickiness', () => {
  const windowMs = 3 * HEARTBEAT_MS;
  const following = () => {
    const follower = peer([1], { currentTerm: 2 });
    follower.receive(appendEntries({ term: 2, from: 2 }));
    return follower;
  };

  test('a voter that heard from a leader within 3 heartbeats refuses pre-votes, and says for how long', () => {
    const voter = at(following(), 100);
    const answer = vote(voter, preVote({ term: 3, from: 3, lastLogIndex: 9, lastLogTerm: 2 }));
    expect(answer).toMatchObject({ voteGranted: false, retryAfterMs: windowMs - 100 });
  });

  test('after 3 heartbeats it grants them, long before its own election timeout', () => {
    const voter = at(following(), windowMs);
    expect(windowMs).toBeLessThan(ELECTION_TIMEOUT_MS);
    expect(vote(voter, preVote({ term: 3, from: 3 })).voteGranted).toBe(true);
  });

  test('a leader refuses pre-votes', () => {
    const group = new Cluster();
    const leader = group.elect(1);
    const question = preVote({ term: 3, from: 2, lastLogIndex: 9, lastLogTerm: 2 });
    expect(vote(leader, question)).toMatchObject({ voteGranted: false, retryAfterMs: windowMs });
  });

  test('a vote (not a pre-vote) is never refused for it', () => {
    expect(vote(following(), requestVote({ term: 3, from: 3 })).voteGranted).toBe(true);
  });

  test('a refused candidate comes again when the evidence is too old', () => {
    const group = new Cluster();
    const candidate = group.host(3);
    group.elect(1);
    group.crash(1);
    candidate.stand();
    group.advance(windowMs + HEARTBEAT_MS);
    expect(group.leader?.id).toBe(3);
  });

  test('and not much later: its next campaign begins within half a heartbeat of that', () => {
    const candidate = peer([1], {}, 0.9);
    candidate.stand();
    const [question] = questions(candidate);
    candidate.input({ type: 'reply', message: voteFor(question!, { voteGranted: false, retryAfterMs: 50 }) });
    expect(candidate.deadlineMs).toBe(50 + 0.9 * 0.5 * HEARTBEAT_MS);
  });

  test('the exception: the very leader that is followed has restarted, and is let go at once', () => {
    const voter = following();
    expect(vote(voter, preVote({ term: 3, from: 2 })).voteGranted).toBe(true);
    expect(voter.raft.leaderId).toBeNull();
  });

  test('a late pre-vote from before the leader’s election is no sign of a restart', () => {
    const voter = following();
    expect(vote(voter, preVote({ term: 2, from: 2 })).voteGranted).toBe(false);
    expect(voter.raft.leaderId).toBe(2);
  });

  test('a voter with a newer log than the restarted leader’s stands itself, after less than a heartbeat', () => {
    const voter = new CoreHost({ id: 1, random: () => 0.5 }, diskWith(3, [1, 1]));
    voter.receive(appendEntries({ term: 2, from: 2, prevLogIndex: 2, terms: [2] }));
    expect(vote(voter, preVote({ term: 3, from: 2, lastLogIndex: 2, lastLogTerm: 1 })).voteGranted).toBe(false);
    expect(at(voter, HEARTBEAT_MS - 1).raft.role).toBe('preCandidate');
  });

  test('a leader that restarts leads again within a heartbeat', () => {
    const group = new Cluster();
    group.elect(1);
    group.crash(1);
    group.start(1);
    group.advance(HEARTBEAT_MS);
    expect(group.host(1).raft).toMatchObject({ role: 'leader', currentTerm: 3 });
  });
});

describe('check-quorum (dissertation 6.2)', () => {
  test('a leader that no quorum answers for an election timeout steps down, and beats no more', () => {
    const group = new Cluster();
    const leader = group.elect(1);
    group.isolate(1);
    group.advance(ELECTION_TIMEOUT_MS - 10);
    expect(leader.raft.role).toBe('leader');
    group.advance(10);
    expect(leader.raft.role).toBe('follower');
    const beats = () => group.take((message) => message.from === 1 && message.type === 'AppendEntries');
    beats();
    group.advance(5 * ELECTION_TIMEOUT_MS, { settle: false });
    expect(beats()).toEqual([]);
  });

  test('one follower that answers is a quorum of three', () => {
    const group = new Cluster();
    const leader = group.elect(1);
    group.cut(1, 3);
    group.advance(10_000);
    expect(leader.raft).toMatchObject({ role: 'leader', currentTerm: 2 });
  });

  test('a leader whose messages arrive but are not answered steps down', () => {
    const group = new Cluster();
    const leader = group.elect(1);
    for (const id of [2, 3]) group.cutOneWay(id, 1);
    group.advance(ELECTION_TIMEOUT_MS);
    expect(leader.raft.role).not.toBe('leader');
  });

  test('who has just been elected has a whole timeout to be answered', () => {
    const group = new Cluster();
    group.host(1).stand();
    group.settle((message) => message.type !== 'AppendEntries');
    group.advance(ELECTION_TIMEOUT_MS - 10, { settle: false });
    expect(group.host(1).raft.role).toBe('leader');
  });
});

describe('clients ask a peer to stand', () => {
  test('with fresh evidence of a leader it waits out the window, and no longer', () => {
    const follower = peer();
    follower.receive(appendEntries({ term: 2, from: 2 }));
    follower.stand();
    expect(follower.raft.role).toBe('follower');
    expect(follower.deadlineMs).toBe(3 * HEARTBEAT_MS);
  });

  test('without evidence it stands at once', () => {
    const follower = peer();
    follower.stand();
    expect(follower.raft.role).toBe('preCandidate');
  });

  test('asked again during a young campaign it lets it go on', () => {
    const follower = peer();
    follower.stand();
    const asked = questions(follower);
    follower.stand();
    expect(questions(follower)).toEqual(asked);
  });
});

describe('a budget of calls', () => {
  test('a campaign without calls left asks for a step at once, and then goes on', () => {
    const candidate = peer();
    candidate.callBudget = 1;
    candidate.stand();
    expect(questions(candidate)).toHaveLength(1);
    expect(candidate.deadlineMs).toBe(0);
    candidate.tick();
    expect(questions(candidate).map(({ to }) => to)).toEqual([2, 3]);
  });

  test('a handler of a message calls nobody', () => {
    const follower = at(peer([1], {}, 0), 0);
    follower.nowMs = 10 * ELECTION_TIMEOUT_MS;
    follower.receive(preVote({ term: 9, from: 2 }));
    expect(follower.raft.role).toBe('preCandidate');
    expect(follower.sent.filter(({ message }) => !isReply(message))).toEqual([]);
    expect(follower.deadlineMs).toBe(follower.nowMs);
  });
});

describe('who never stands', () => {
  test('a peer without a configuration: no deadline either, though it votes', () => {
    const empty = new CoreHost({ id: 1 }, diskWith(3, []));
    empty.tick();
    expect(empty.deadlineMs).toBeNull();
    empty.stand();
    expect(empty.raft.role).toBe('follower');
    expect(vote(empty, requestVote({ term: 2 })).voteGranted).toBe(true);
  });

  test('a stopped peer, which does not understand an entry: it votes and appends', () => {
    const stopped = peer();
    stopped.input({ type: 'stop' });
    expect(at(stopped, 10_000).raft.role).toBe('follower');
    expect(stopped.deadlineMs).toBeNull();
    expect(stopped.receive(appendEntries({ term: 2, terms: [2] }))).toMatchObject({ success: true });
    expect(vote(stopped, requestVote({ term: 3, lastLogIndex: 9, lastLogTerm: 2 })).voteGranted).toBe(true);
  });

  test('a leader that is stopped steps down', () => {
    const group = new Cluster();
    const leader = group.elect(1);
    leader.input({ type: 'stop' });
    expect(leader.raft.role).toBe('follower');
  });
});
