/** Log replication: section 5.3, the commit rule of 5.4.2, check-quorum (dissertation 6.2), flow control. */
import { countOwnVote } from './election.ts';
import { invariant } from './invariant.ts';
import { entryBytes } from './log.ts';
import type { AppendEntries, AppendEntriesReply } from './messages.ts';
import { Progress } from './progress.ts';
import {
  handleQuiesce,
  isOfOldRound,
  isQuiesceDue,
  maybeWake,
  noteQuiesceAnswer,
  noteQuiesceSent,
  noteUse,
  quiesceDueMs,
} from './quiescence.ts';
import { quorumValue } from './quorum.ts';
import type { Raft } from './raft.ts';
import { needsSnapshot, sendDueChunk } from './snapshot.ts';

// ---- follower

export function handleAppendEntries(raft: Raft, message: AppendEntries): void {
  if (message.term < raft.currentTerm) return replyFailure(raft, message, 0, 0);
  followLeader(raft, message.term, message.from, message.quiesceRound);
  if (message.prevLogIndex < raft.log.lastIncludedIndex && message.lastIndex <= raft.log.lastIncludedIndex) {
    // All of it is compacted here, hence committed, hence equal.
    return replySuccess(raft, message, message.lastIndex);
  }
  if (
    message.prevLogIndex >= raft.log.lastIncludedIndex &&
    raft.log.term(message.prevLogIndex) !== message.prevLogTerm
  ) {
    invariant(message.prevLogIndex > raft.commitIndex, 'committed entries are in every later leader’s log (5.4)');
    const conflictIndex = raft.log.findConflict(message.prevLogIndex, message.prevLogTerm);
    const conflictTerm = raft.log.term(conflictIndex);
    invariant(conflictTerm !== undefined, 'a conflict lies within the log, or where it begins');
    return replyFailure(raft, message, conflictIndex, conflictTerm);
  }
  appendMissing(raft, message);
  // Bounded by what this message verified: beyond it, our log may still differ from the leader's.
  raft.commitIndex = Math.max(raft.commitIndex, Math.min(message.leaderCommit, message.lastIndex));
  replySuccess(raft, message, message.lastIndex);
  if (message.quiesce) handleQuiesce(raft, message);
}

/** `quiesceRound` 0: the message says none. */
export function followLeader(raft: Raft, term: number, leaderId: number, quiesceRound: number): void {
  invariant(raft.role !== 'leader' || term > raft.currentTerm, 'one leader a term (5.2)');
  if (isOfOldRound(raft, term, quiesceRound)) return;
  maybeWake(raft);
  noteUse(raft);
  if (term > raft.currentTerm || raft.role !== 'follower') raft.becomeFollower(term, leaderId);
  invariant(raft.leaderId === null || raft.leaderId === leaderId, 'one leader a term (5.2)');
  raft.leaderId = leaderId;
  raft.leaderContactMs = raft.nowMs;
  raft.electionDeadlineMs = raft.nowMs + raft.electionTimeoutMs();
  raft.quiesceRound = Math.max(raft.quiesceRound, quiesceRound);
}

/** Only a conflict truncates: a late message that is shorter than the log leaves the rest alone. */
function appendMissing(raft: Raft, message: AppendEntries): void {
  for (const entry of message.entries) {
    if (entry.index <= raft.log.lastIncludedIndex) continue;
    const term = raft.log.term(entry.index);
    if (term === entry.term) continue;
    if (term !== undefined) {
      invariant(entry.index > raft.commitIndex, 'a committed entry is never truncated');
      raft.log.truncateFrom(entry.index);
      raft.effects.truncateFrom = entry.index;
    }
    raft.log.append(entry);
    raft.effects.append.push(entry);
  }
}

function replySuccess(raft: Raft, message: AppendEntries, matchIndex: number): void {
  raft.effects.reply = { ...replyBase(raft, message), success: true, matchIndex };
}

function replyFailure(raft: Raft, message: AppendEntries, conflictIndex: number, conflictTerm: number): void {
  raft.effects.reply = { ...replyBase(raft, message), success: false, conflictIndex, conflictTerm };
}

function replyBase(raft: Raft, message: AppendEntries) {
  const { currentTerm: term, id: from } = raft;
  const { applyVersion } = raft.options;
  const nothing = { matchIndex: 0, conflictIndex: 0, conflictTerm: 0, quiesced: false };
  return {
    type: 'AppendEntriesReply' as const,
    term,
    from,
    to: message.from,
    seq: message.seq,
    applyVersion,
    ...nothing,
  };
}

// ---- leader

/** Of a leader that begins, or goes on without memory: how far the others are is not known yet. */
export function beginProgress(raft: Raft): void {
  raft.progress.clear();
  for (const { id } of raft.electorate.voters) {
    if (id !== raft.id) raft.progress.set(id, new Progress(id, raft.log.lastIndex + 1, raft.nowMs));
  }
}

export function handlePropose(raft: Raft, data: Uint8Array): void {
  if (raft.role !== 'leader') {
    raft.effects.proposal = { outcome: 'not_leader' };
    return;
  }
  const bytes = entryBytes({ payload: { type: 'command', data } });
  const uncommittedBytes = raft.log.bytesBetween(raft.commitIndex + 1, raft.log.lastIndex);
  // One entry always fits, whatever its size: the limit bounds a queue, not an entry.
  if (uncommittedBytes > 0 && uncommittedBytes + bytes > raft.options.limits.uncommittedBytes) {
    raft.effects.proposal = { outcome: 'overloaded' };
    return;
  }
  const entry = raft.appendEntry({ type: 'command', data }, raft.stamp());
  raft.effects.proposal = { outcome: 'appended', index: entry.index, term: entry.term };
}

/** What this peer itself wrote, its vote or its entries, counts only from here on, and only in the term that wrote it. */
export function handleDurable(raft: Raft, term: number, index: number): void {
  if (term !== raft.currentTerm) return;
  if (raft.role === 'candidate') return countOwnVote(raft);
  if (raft.founder && index >= 1) raft.becomeLeader();
  if (raft.role !== 'leader') return;
  invariant(index <= raft.log.lastIndex, 'what is durable was appended');
  raft.durableIndex = Math.max(raft.durableIndex, index);
}

export function handleAppendEntriesReply(raft: Raft, message: AppendEntriesReply): void {
  const taken = takeReply(raft, message);
  if (taken === null) return;
  const { progress, call } = taken;
  progress.applyVersion = message.applyVersion;
  noteQuiesceAnswer(raft, message.from, message.seq, message.quiesced);
  if (message.success) handleAccepted(raft, progress, message);
  else handleRejected(raft, progress, message, call.prevLogIndex);
}

/** What every reply in the leader's term proves; null for one that answers nothing that is under way. */
export function takeReply(raft: Raft, message: { from: number; term: number; seq: number }) {
  if (raft.role !== 'leader' || message.term !== raft.currentTerm) return null;
  const progress = raft.progress.get(message.from);
  const call = progress?.inFlight.get(message.seq);
  if (progress === undefined || call === undefined) return null;
  progress.inFlight.delete(message.seq);
  progress.silent = false;
  progress.lastContactMs = raft.nowMs;
  progress.lastAnswerMs = raft.nowMs;
  progress.ackedRound = Math.max(progress.ackedRound, call.round);
  return { progress, call };
}

function handleAccepted(raft: Raft, progress: Progress, message: AppendEntriesReply): void {
  invariant(message.matchIndex <= raft.log.lastIndex, 'a follower matches only what was sent');
  progress.matchIndex = Math.max(progress.matchIndex, message.matchIndex);
  progress.nextIndex = Math.max(progress.nextIndex, progress.matchIndex + 1);
  if (progress.state === 'probe') progress.becomeReplicate();
}

function handleRejected(raft: Raft, progress: Progress, message: AppendEntriesReply, prevLogIndex: number): void {
  // An answer to an older question, overtaken by a newer one, moves nothing back.
  if (progress.state === 'snapshot' || prevLogIndex <= progress.matchIndex) return;
  // While probing, only an answer to the question that is open now; which call asked it does not matter, since a heartbeat
  // asks it again before the answer is back when the round trip is long.
  if (progress.state === 'probe' && prevLogIndex !== probeIndex(raft, progress)) return;
  const agreed = raft.log.findConflict(Math.min(message.conflictIndex, prevLogIndex - 1), message.conflictTerm);
  progress.becomeProbe(agreed + 1);
}

export function handleCallFailed(raft: Raft, to: number, seq: number): void {
  const progress = raft.progress.get(to);
  const call = progress?.inFlight.get(seq);
  if (progress === undefined || call === undefined) return;
  progress.inFlight.delete(seq);
  noteQuiesceAnswer(raft, to, seq, false);
  // Unless it has answered something that was sent later.
  progress.silent = progress.lastContactMs <= call.sentMs;
  if (progress.silent) progress.silentSinceMs = raft.nowMs;
  // Whatever round the lost message carried has to be asked again.
  progress.sentRound = progress.ackedRound;
  if (progress.state === 'replicate') progress.becomeProbe(progress.matchIndex + 1);
  else if (progress.probeSeq === seq) progress.probeSeq = null;
}

/** Section 5.4.2: only an entry of the leader's own term is committed by counting; it takes the older ones with it. */
export function maybeCommit(raft: Raft): void {
  if (raft.role !== 'leader') return;
  const index = quorumValue(raft.electorate, (id) =>
    id === raft.id ? raft.durableIndex : raft.progressOf(id).matchIndex,
  );
  if (index > raft.commitIndex && raft.log.term(index) === raft.currentTerm) raft.commitIndex = index;
}

/** When a quorum last answered, or was given time to, ms; the leader itself counts as now. */
export function quorumContactMs(raft: Raft): number {
  return quorumValue(raft.electorate, (id) => (id === raft.id ? raft.nowMs : raft.progressOf(id).lastContactMs));
}

/** When a quorum last answered: what this leader knows is as new as that. −Infinity: not since it was restored. */
export function quorumAnswerMs(raft: Raft): number {
  return quorumValue(raft.electorate, (id) => (id === raft.id ? raft.nowMs : raft.progressOf(id).lastAnswerMs));
}

/** A leader that no quorum answers any more stops: its clients must look elsewhere (dissertation 6.2). */
export function checkQuorumClock(raft: Raft): void {
  if (raft.nowMs - quorumContactMs(raft) >= raft.options.electionTimeoutMs) raft.becomeFollower(raft.currentTerm, null);
}

export function nextLeaderDeadline(raft: Raft): number | null {
  if (raft.progress.size === 0) return quiesceDueMs(raft);
  let deadlineMs = quorumContactMs(raft) + raft.options.electionTimeoutMs;
  for (const progress of raft.progress.values()) {
    const dueMs = heartbeatDueMs(raft, progress);
    if (dueMs !== null) deadlineMs = Math.min(deadlineMs, dueMs);
  }
  return deadlineMs;
}

// ---- sending

export function sendDueAppends(raft: Raft): void {
  for (const progress of raft.progress.values()) {
    if (progress.state !== 'snapshot' && needsSnapshot(raft, progress)) progress.becomeSnapshot();
    if (progress.state === 'snapshot') sendDueChunk(raft, progress);
    while (isAppendDue(raft, progress) && sendAppend(raft, progress));
  }
}

/** The entry before the next one, or the log's beginning: what is compacted cannot be asked for. */
function probeIndex(raft: Raft, progress: Progress): number {
  return Math.max(progress.nextIndex - 1, raft.log.lastIncludedIndex);
}

/** Calls that this follower may hold: live ones share what silent ones (one each) leave. */
function windowOf(raft: Raft): number {
  let live = 0;
  let silent = 0;
  for (const progress of raft.progress.values()) {
    if (progress.silent) silent += 1;
    else live += 1;
  }
  const { callsInFlight, callsPerFollower } = raft.options.limits;
  return Math.max(1, Math.min(callsPerFollower, Math.floor((callsInFlight - silent) / Math.max(1, live))));
}

function isAppendDue(raft: Raft, progress: Progress): boolean {
  if (isQuiesceDue(raft, progress.id)) return true;
  const beatDueMs = heartbeatDueMs(raft, progress);
  if (beatDueMs !== null && raft.nowMs >= beatDueMs) return true;
  // Beside the chunks of a cut only heartbeats: a slow chunk must not look like a lost leader, here or there.
  if (progress.silent || progress.state === 'snapshot' || raft.nowMs < progress.pausedUntilMs) return false;
  if (progress.state === 'probe' && progress.probeSeq !== null) return false;
  const wants = progress.nextIndex <= raft.log.lastIndex || progress.sentRound < raft.reads.round;
  return wants && progress.inFlight.size < windowOf(raft);
}

/** When a heartbeat to this follower is due; null: not before a call under way ends. */
export function heartbeatDueMs(raft: Raft, progress: Progress): number | null {
  const { heartbeatMs } = raft.options;
  const calls = progress.inFlight.size;
  if (progress.silent) return progress.probingSilence ? null : progress.lastSentMs + heartbeatMs;
  if (calls === 0) return progress.lastSentMs + heartbeatMs;
  const window = windowOf(raft);
  if (calls < window) return progress.lastSentMs + heartbeatMs;
  // A full window that does not move: one more, in case a message was lost.
  return calls === window
    ? Math.max(progress.lastSentMs + heartbeatMs, progress.oldestCallSentMs + 2 * heartbeatMs)
    : null;
}

function sendAppend(raft: Raft, progress: Progress): boolean {
  if (!raft.takeCall()) return false;
  const { log } = raft;
  const { messageBytes, messageEntries } = raft.options.limits;
  const prevLogIndex = probeIndex(raft, progress);
  const prevLogTerm = log.term(prevLogIndex);
  invariant(prevLogTerm !== undefined, 'the entry before a message is in the log');
  const { state } = progress;
  const again = state === 'probe' && progress.probeSeq !== null;
  const empty = progress.silent || state === 'snapshot' || again || prevLogIndex === log.lastIndex;
  const lastIndex = empty ? prevLogIndex : log.batchEnd(prevLogIndex + 1, log.lastIndex, messageBytes, messageEntries);
  const seq = raft.nextSeq();
  const quiesce = isQuiesceDue(raft, progress.id);
  if (quiesce) noteQuiesceSent(raft, progress.id, seq);
  raft.effects.requests.push({
    type: 'AppendEntries',
    term: raft.currentTerm,
    from: raft.id,
    to: progress.id,
    seq,
    prevLogIndex,
    prevLogTerm,
    lastIndex,
    leaderCommit: raft.commitIndex,
    quiesceRound: raft.quiesceRound,
    quiesce,
    entries: [],
  });
  noteSent(raft, progress, seq, 'append', prevLogIndex);
  if (state === 'probe') progress.probeSeq = seq;
  if (state === 'replicate') progress.nextIndex = lastIndex + 1;
  return true;
}

export function noteSent(
  raft: Raft,
  progress: Progress,
  seq: number,
  kind: 'append' | 'snapshot',
  prevLogIndex: number,
): void {
  progress.inFlight.set(seq, { sentMs: raft.nowMs, kind, prevLogIndex, round: raft.reads.round });
  progress.lastSentMs = raft.nowMs;
  progress.sentRound = raft.reads.round;
}
