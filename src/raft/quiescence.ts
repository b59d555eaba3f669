/**
 * Quiescence: a group that nobody uses costs nothing. After CockroachDB's idea; the rules are our own.
 *
 *      leader                                 follower
 *        │  idle; all committed, applied,       │
 *        │  and matched by every live follower  │
 *        ├─ AppendEntries{quiesce, round} ─────▶│  equal in all? stores a record, sleeps: no deadline
 *        │◀──────────── reply{quiesced} ────────┤
 *        │  all of them sleep: stores a record  │
 *        ▼  and sleeps                          ▼
 *
 * A record exists exactly while its peer sleeps. Whatever wakes a peer deletes the record in the turn in which it does so, before
 * anything is sent; whatever changes term, vote, log or snapshot wakes. Hence a peer that is restored from a record that names
 * itself may lead that term again: no entry of that term beyond `lastIndex` was ever sent.
 *
 * Each attempt, and each wake of the leader, is a new `round`. A message of an older round than a follower sleeps in was
 * sent before it fell asleep, and does not wake it; a request to sleep of an older round than it has heard of is refused.
 */
import { invariant } from './invariant.ts';
import type { AppendEntries, AppendEntriesReply } from './messages.ts';
import type { Progress } from './progress.ts';
import { isQuorum } from './quorum.ts';
import type { Raft } from './raft.ts';
import { beginProgress } from './replication.ts';
import type { PeerId, QuiesceRecord } from './types.ts';

/** An attempt to put the group to sleep. */
export interface QuiesceAttempt {
  /** Followers that were asked, by the number of the question; null: they are to be. */
  readonly waiting: Map<PeerId, number | null>;
  /** Those that agreed. */
  readonly asleep: Set<PeerId>;
}

// ---- restore

/** What was stored counts only if nothing has changed since: then the peer goes on sleeping. */
export function maybeRestoreAsleep(raft: Raft, record: QuiesceRecord | null): void {
  if (record === null) return;
  const { term, lastIndex, lastTerm, leaderId, round } = record;
  const leads = leaderId === raft.id;
  const valid =
    term === raft.currentTerm &&
    lastIndex === raft.log.lastIndex &&
    lastTerm === raft.log.lastTerm &&
    (!leads || (raft.votedFor === raft.id && lastTerm === term && raft.lastApplied === lastIndex));
  invariant(valid, 'a quiesce record is deleted by whatever changes what it says');
  raft.asleep = record;
  raft.leaderId = leaderId;
  raft.quiesceRound = round;
  if (!leads) return;
  raft.role = 'leader';
  // Any committed index of its term will do: reads ask whether something of the term is committed.
  raft.termStartIndex = lastIndex;
  raft.durableIndex = lastIndex;
  raft.lastStampMs = Math.min(record.stampedMs, raft.nowMs);
  beginProgress(raft);
  // Another may have been elected since: nobody has told this instance that it still leads.
  for (const progress of raft.progress.values()) progress.lastAnswerMs = Number.NEGATIVE_INFINITY;
}

// ---- falling asleep

/** Somebody needs this group: it stays awake from now on for `quiesceAfterMs`. */
export function noteUse(raft: Raft): void {
  raft.lastUseMs = raft.nowMs;
  if (raft.attempt !== null) cancelAttempt(raft);
}

/** When an idle leader tries (again) to put its group to sleep, ms; null: never. */
export function quiesceDueMs(raft: Raft): number | null {
  const { quiesceAfterMs, heartbeatMs } = raft.options;
  if (quiesceAfterMs === undefined) return null;
  const dueMs = raft.lastUseMs + quiesceAfterMs;
  return dueMs > raft.nowMs ? dueMs : raft.nowMs + heartbeatMs;
}

export function maybeQuiesce(raft: Raft): void {
  const { quiesceAfterMs } = raft.options;
  if (raft.role !== 'leader' || raft.asleep !== null || quiesceAfterMs === undefined) return;
  if (raft.attempt === null && raft.nowMs - raft.lastUseMs < quiesceAfterMs) return;
  if (!isSettled(raft)) {
    if (raft.attempt !== null) cancelAttempt(raft);
    return;
  }
  const attempt = raft.attempt ?? beginAttempt(raft);
  if (everybodySleeps(raft, attempt)) fallAsleep(raft, raft.id);
}

/** One that was dead when the attempt began may have come back since: it is asked as well. */
function everybodySleeps(raft: Raft, { waiting, asleep }: QuiesceAttempt): boolean {
  for (const progress of raft.progress.values()) {
    const { id } = progress;
    if (!isDead(raft, progress) && !asleep.has(id) && !waiting.has(id)) waiting.set(id, null);
  }
  return waiting.size === 0;
}

/** Everything is committed, applied, and the same on every live peer; nobody waits for anything. */
function isSettled(raft: Raft): boolean {
  const { log, commitIndex, lastApplied, durableIndex } = raft;
  if (commitIndex !== log.lastIndex || lastApplied !== log.lastIndex || durableIndex !== log.lastIndex) return false;
  if (raft.busy || raft.reads.size > 0 || raft.cut !== null || raft.cutRequested) return false;
  for (const progress of raft.progress.values()) {
    if (isDead(raft, progress)) continue;
    if (progress.silent || progress.matchIndex !== log.lastIndex || progress.state !== 'replicate') return false;
  }
  return isQuorum(raft.electorate, (id) => id === raft.id || !isDead(raft, raft.progressOf(id)));
}

/** It does not keep the others awake; on its return its pre-vote wakes whoever may vote for it, or the leader. */
function isDead(raft: Raft, progress: Progress): boolean {
  return progress.silent && raft.nowMs - progress.lastContactMs >= raft.options.electionTimeoutMs;
}

function beginAttempt(raft: Raft): QuiesceAttempt {
  raft.quiesceRound += 1;
  raft.attempt = { waiting: new Map(), asleep: new Set() };
  return raft.attempt;
}

/** Those that sleep already are woken by the next heartbeat, which is of a newer round. */
function cancelAttempt(raft: Raft): void {
  raft.attempt = null;
  raft.quiesceRound += 1;
}

/** Whether this follower is still to be asked to sleep. */
export function isQuiesceDue(raft: Raft, id: PeerId): boolean {
  return raft.attempt?.waiting.get(id) === null;
}

export function noteQuiesceSent(raft: Raft, id: PeerId, seq: number): void {
  raft.attempt?.waiting.set(id, seq);
}

/** `quiesced` false: it does not agree, or the question was lost. Tried again a little later. */
export function noteQuiesceAnswer(raft: Raft, from: PeerId, seq: number, quiesced: boolean): void {
  const { attempt } = raft;
  if (attempt?.waiting.get(from) !== seq) return;
  if (quiesced) {
    attempt.waiting.delete(from);
    attempt.asleep.add(from);
    return;
  }
  cancelAttempt(raft);
  const { quiesceAfterMs = 0, electionTimeoutMs } = raft.options;
  raft.lastUseMs = raft.nowMs - quiesceAfterMs + electionTimeoutMs;
}

/** A follower is asked to sleep, in a heartbeat that it has accepted. */
export function handleQuiesce(raft: Raft, message: AppendEntries): void {
  const reply = raft.effects.reply as AppendEntriesReply;
  const { lastIndex } = raft.log;
  if (raft.asleep === null) {
    const applied = raft.stopped || raft.lastApplied === lastIndex;
    const equal = message.lastIndex === lastIndex && raft.commitIndex === lastIndex;
    if (message.quiesceRound < raft.quiesceRound || !equal || !applied || raft.busy) return;
    raft.quiesceRound = message.quiesceRound;
    fallAsleep(raft, message.from);
  }
  raft.effects.reply = { ...reply, quiesced: raft.asleep?.round === message.quiesceRound };
}

function fallAsleep(raft: Raft, leaderId: PeerId): void {
  const { currentTerm: term, log, quiesceRound: round } = raft;
  const { lastIndex, lastTerm } = log;
  const stampedMs = raft.role === 'leader' ? raft.lastStampMs : raft.nowMs;
  raft.attempt = null;
  raft.asleep = { term, lastIndex, lastTerm, leaderId, round, stampedMs };
  raft.effects.quiesce = { type: 'sleep', record: raft.asleep };
  // Whatever is answered from now on is no news.
  for (const progress of raft.progress.values()) progress.forgetCalls();
}

// ---- waking up

/** Deletes the record, and gives the peer its deadlines back. */
export function wake(raft: Raft): void {
  raft.asleep = null;
  raft.effects.quiesce = { type: 'wake' };
  raft.lastUseMs = raft.nowMs;
  if (raft.role !== 'leader') {
    raft.electionDeadlineMs = raft.nowMs + raft.electionTimeoutMs();
    return;
  }
  raft.quiesceRound += 1;
  // As after an election: everybody hears from the leader at once, and a quorum has an election timeout to answer; its objects
  // may have to be started first.
  for (const progress of raft.progress.values()) {
    progress.lastContactMs = raft.nowMs;
    progress.lastSentMs = Number.NEGATIVE_INFINITY;
  }
}

/** A message of the leader whom this peer sleeps under: whether it was sent before that, and is no reason to wake. */
export function isOfOldRound(raft: Raft, term: number, quiesceRound: number): boolean {
  return raft.asleep !== null && term === raft.asleep.term && quiesceRound <= raft.asleep.round;
}

export function maybeWake(raft: Raft): void {
  if (raft.asleep !== null) wake(raft);
}
