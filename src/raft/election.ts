/**
 * Leader election: sections 5.2 and 5.4.1 of the paper, pre-vote (dissertation 9.6), and stickiness: a voter that has
 * heard from a live leader lately refuses pre-votes. Only liveness leans on stickiness; votes and reads never do.
 */
import { invariant } from './invariant.ts';
import type { RequestVote, RequestVoteReply } from './messages.ts';
import { maybeWake, noteUse, wake } from './quiescence.ts';
import { isQuorum } from './quorum.ts';
import type { Raft } from './raft.ts';
import type { PeerId } from './types.ts';

const MAX_HOPELESS_CAMPAIGN_MS = 60_000;

export function handleRequestVote(raft: Raft, message: RequestVote): void {
  // Somebody finds no leader: a sleeping one shows itself. A sleeping follower wakes if its own leader has lost its memory, which
  // then asks for a newer term; what that asked before it was elected may come late, and says nothing.
  const leaderIsBack = raft.leaderId === message.from && message.term > raft.currentTerm;
  if (raft.role === 'leader' || leaderIsBack) maybeWake(raft);
  if (message.preVote) handlePreVote(raft, message);
  else handleVote(raft, message);
}

function handlePreVote(raft: Raft, message: RequestVote): void {
  if (message.term <= raft.currentTerm) return reply(raft, message, false, null);
  if (raft.leaderId === message.from) releaseLeader(raft, message);
  const retryAfterMs = stickyForMs(raft, message.unanswered);
  if (retryAfterMs > 0) return reply(raft, message, false, retryAfterMs);
  reply(raft, message, raft.log.isUpToDate(message.lastLogIndex, message.lastLogTerm), null);
}

/**
 * The very leader that this voter follows asks for a term after its own: its object restarted without memory, and
 * leads no more. (A late pre-vote from before it was elected asks for the term that it leads, not for a newer one.)
 */
function releaseLeader(raft: Raft, message: RequestVote): void {
  raft.leaderId = null;
  raft.leaderContactMs = Number.NEGATIVE_INFINITY;
  if (raft.log.isUpToDate(message.lastLogIndex, message.lastLogTerm)) return;
  // It cannot win our vote: stand ourselves, soon, and not all voters at once.
  const soonMs = raft.nowMs + raft.options.heartbeatMs * raft.random;
  raft.electionDeadlineMs = Math.min(raft.electionDeadlineMs, soonMs);
}

/**
 * For how long there is still evidence of a live leader; 0 if there is none. Who sleeps believes in its leader until it is told
 * that this one did not answer.
 */
function stickyForMs(raft: Raft, unanswered: readonly PeerId[]): number {
  if (raft.role === 'leader') return raft.stickinessMs;
  if (raft.leaderId === null) return 0;
  if (raft.asleep !== null) return unanswered.includes(raft.leaderId) ? 0 : raft.stickinessMs;
  return Math.max(0, raft.leaderContactMs + raft.stickinessMs - raft.nowMs);
}

function handleVote(raft: Raft, message: RequestVote): void {
  if (message.term > raft.currentTerm) raft.becomeFollower(message.term, null);
  // A late request of the term that this peer sleeps in asks for a vote against a leader that is elected.
  const free = raft.asleep === null && (raft.votedFor === null || raft.votedFor === message.from);
  const granted =
    message.term === raft.currentTerm && free && raft.log.isUpToDate(message.lastLogIndex, message.lastLogTerm);
  if (granted) {
    invariant(raft.role !== 'leader', 'a leader has voted for itself');
    if (raft.role !== 'follower') raft.becomeFollower(raft.currentTerm, null);
    raft.votedFor = message.from;
    raft.electionDeadlineMs = raft.nowMs + raft.electionTimeoutMs();
  }
  reply(raft, message, granted, null);
}

function reply(raft: Raft, message: RequestVote, voteGranted: boolean, retryAfterMs: number | null): void {
  raft.effects.reply = {
    type: 'RequestVoteReply',
    term: raft.currentTerm,
    from: raft.id,
    to: message.from,
    seq: message.seq,
    preVote: message.preVote,
    voteGranted,
    retryAfterMs,
  };
}

export function handleRequestVoteReply(raft: Raft, message: RequestVoteReply): void {
  const campaigning = message.preVote ? raft.role === 'preCandidate' : raft.role === 'candidate';
  // `asked` holds this campaign's questions only: an answer to an older one counts for nothing.
  if (!campaigning || raft.asked.get(message.from) !== message.seq) return;
  if (!message.preVote && message.term !== raft.currentTerm) return;
  raft.votes.set(message.from, message.voteGranted);
  if (message.retryAfterMs !== null) {
    const retryMs =
      raft.nowMs + Math.min(message.retryAfterMs, raft.stickinessMs) + raft.options.heartbeatMs * raft.random * 0.5;
    raft.electionDeadlineMs = Math.min(raft.electionDeadlineMs, retryMs);
  }
  maybeWin(raft);
}

function maybeWin(raft: Raft): void {
  if (!isQuorum(raft.electorate, (id) => raft.votes.get(id) === true)) return;
  if (raft.role === 'candidate') raft.becomeLeader();
  else raft.becomeCandidate();
}

/** The candidate's vote for itself is on disk. */
export function countOwnVote(raft: Raft): void {
  raft.votes.set(raft.id, true);
  maybeWin(raft);
}

/** Stands when nobody was heard from for too long, or when a campaign has led nowhere. */
export function checkElectionClock(raft: Raft): void {
  if (raft.verifying !== null && raft.nowMs >= raft.verifying.untilMs) noteUnanswered(raft, raft.verifying.leaderId);
  if (!raft.mayStand || raft.nowMs < raft.electionDeadlineMs) return;
  if (raft.leaderId !== null) noteUnanswered(raft, raft.leaderId);
  raft.becomePreCandidate();
  maybeWin(raft);
}

/** A client finds no leader. Evidence of one is respected; without it the election need not wait for the timeout. */
export function handleStand(raft: Raft): void {
  const hopeless = isHopeless(raft);
  noteUse(raft);
  if (raft.role === 'leader' || !raft.mayStand) return;
  if (raft.role !== 'follower') {
    // A campaign under way has a deadline of its own; to begin it again would lose the answers on their way. But one that
    // nobody needed may last for a minute, and asks each voter once.
    if (hopeless) raft.electionDeadlineMs = raft.nowMs;
    return;
  }
  if (raft.asleep !== null) return standUp(raft);
  raft.electionDeadlineMs = Math.min(raft.electionDeadlineMs, raft.nowMs + stickyForMs(raft, []));
}

/**
 * This peer slept, so it knows nothing of its leader: that one is asked first, and alone, for as long as evidence of a leader
 * counts. It sleeps as well perhaps, or it wakes this very moment, and the end of its sleep is on its way to the disk.
 */
function standUp(raft: Raft): void {
  const { leaderId } = raft;
  invariant(leaderId !== null, 'who sleeps knows its leader');
  wake(raft);
  raft.becomePreCandidate();
  raft.verifying = { leaderId, untilMs: raft.nowMs + raft.stickinessMs };
}

function noteUnanswered(raft: Raft, id: PeerId): void {
  raft.unanswered.add(id);
  if (raft.verifying?.leaderId === id) raft.verifying = null;
}

/**
 * A question that was lost is asked again while the campaign lasts; one that failed within a heartbeat is not, since then
 * nobody is there, and the calls would never end. Nor is any while nobody needs a leader.
 */
export function handleVoteCallFailed(raft: Raft, to: PeerId, seq: number): void {
  if (raft.asked.get(to) !== seq) return;
  const askedMs = raft.askedMs.get(to);
  invariant(askedMs !== undefined, 'who was asked was asked at some time');
  noteUnanswered(raft, to);
  if (raft.nowMs - askedMs >= raft.options.heartbeatMs && !isHopeless(raft)) raft.asked.delete(to);
}

/**
 * How long a campaign may take before the next begins. Shorter than the election timeout: a split vote should not cost a whole
 * one. But where nobody can be elected and nobody asks for it, campaigns become rare, since an idle group must not cost much
 * then either; what is heard from a leader, and a client in need, makes them frequent again.
 */
export function campaignMs(raft: Raft): number {
  const { random, nowMs, lastUseMs } = raft;
  const campaign = raft.options.electionTimeoutMs * (0.3 + 0.7 * random);
  if (!isHopeless(raft)) return campaign;
  return Math.max(campaign, Math.min((nowMs - lastUseMs) / 4, MAX_HOPELESS_CAMPAIGN_MS) * (0.5 + 0.5 * random));
}

/** Nobody has asked for a leader, or heard of one, for so long that the group would sleep if it had one. */
function isHopeless({ options: { quiesceAfterMs }, nowMs, lastUseMs }: Raft): boolean {
  return quiesceAfterMs !== undefined && nowMs - lastUseMs > quiesceAfterMs;
}

/** Asks each voter once a campaign, and again if the question was lost. */
export function sendDueVotes(raft: Raft): void {
  for (const voter of raft.electorate.voters) {
    if (voter.id === raft.id || raft.asked.has(voter.id)) continue;
    if (raft.verifying !== null && voter.id !== raft.verifying.leaderId) continue;
    if (!raft.takeCall()) return;
    const seq = raft.nextSeq();
    raft.asked.set(voter.id, seq);
    raft.askedMs.set(voter.id, raft.nowMs);
    const preVote = raft.role === 'preCandidate';
    raft.effects.requests.push({
      type: 'RequestVote',
      term: preVote ? raft.currentTerm + 1 : raft.currentTerm,
      from: raft.id,
      to: voter.id,
      seq,
      preVote,
      lastLogIndex: raft.log.lastIndex,
      lastLogTerm: raft.log.lastTerm,
      unanswered: [...raft.unanswered],
    });
  }
}
