/**
 * Snapshots: section 7, in chunks of a *cut*. Nothing is made in advance (tables and applied index are one, so compaction
 * needs no snapshot): a follower that needs what is compacted makes the leader fix a cut at lastApplied, which all followers
 * that need one share. The log behind the cut is kept until it has been sent.
 */
import { invariant } from './invariant.ts';
import type { InstallSnapshot, InstallSnapshotReply } from './messages.ts';
import type { Progress } from './progress.ts';
import { maybeWake } from './quiescence.ts';
import type { Raft } from './raft.ts';
import { followLeader, noteSent, takeReply } from './replication.ts';

// ---- leader

/** Only of a follower that answers: one that is silent is asked first, with an empty AppendEntries. */
export function needsSnapshot(raft: Raft, progress: Progress): boolean {
  if (progress.silent || raft.nowMs < progress.pausedUntilMs) return false;
  return progress.nextIndex <= raft.log.lastIncludedIndex;
}

export function sendDueChunk(raft: Raft, progress: Progress): void {
  for (const call of progress.inFlight.values()) if (call.kind === 'snapshot') return;
  if (progress.silent && raft.nowMs < progress.lastSentMs + raft.options.heartbeatMs) return;
  const { cut } = raft;
  if (cut === null) {
    // Entry 1 at least is applied before anybody can need a snapshot.
    if (!raft.cutRequested && raft.lastApplied > 0) {
      raft.cutRequested = true;
      raft.effects.beginCut = true;
    }
    return;
  }
  if (!raft.takeCall()) return;
  const seq = raft.nextSeq();
  raft.effects.requests.push({
    type: 'InstallSnapshot',
    term: raft.currentTerm,
    from: raft.id,
    to: progress.id,
    seq,
    cutId: cut.id,
    lastIncludedIndex: cut.lastIncludedIndex,
    lastIncludedTerm: cut.lastIncludedTerm,
    configuration: cut.configuration,
    chunk: progress.chunk,
    cursor: progress.cursor,
    page: null,
  });
  noteSent(raft, progress, seq, 'snapshot', cut.lastIncludedIndex);
}

export function handleCutBegun(raft: Raft, cutId: string): void {
  raft.cutRequested = false;
  const term = raft.log.term(raft.lastApplied);
  const configuration = raft.log.configurationAt(raft.lastApplied);
  invariant(term !== undefined && configuration !== null, 'what is applied is in the log, or its last included entry');
  raft.cut = { id: cutId, lastIncludedIndex: raft.lastApplied, lastIncludedTerm: term, configuration };
}

export function endCut(raft: Raft): void {
  raft.cut = null;
  raft.effects.endCut = true;
  for (const progress of raft.progress.values()) if (progress.state === 'snapshot') progress.becomeSnapshot();
}

/** A cut ends when nobody is being sent it, or when what must be kept behind it has grown too large. */
export function maybeEndCut(raft: Raft): void {
  const { cut } = raft;
  if (cut === null) return;
  let receivers = 0;
  for (const progress of raft.progress.values()) {
    if (progress.state !== 'snapshot') continue;
    // A receiver that is gone must not keep the log from being compacted: it begins anew when it is back.
    const goneMs = progress.silent ? raft.nowMs - progress.lastContactMs : 0;
    if (goneMs > 2 * raft.options.electionTimeoutMs) progress.becomeProbe(progress.matchIndex + 1);
    else receivers += 1;
  }
  const keptBytes = raft.log.bytesBetween(cut.lastIncludedIndex + 1, raft.lastApplied);
  // Useless once the log no longer reaches back to it.
  const cutOff = cut.lastIncludedIndex < raft.log.lastIncludedIndex;
  if (receivers === 0 || cutOff || keptBytes > raft.options.limits.retainedBytes) endCut(raft);
}

export function handleInstallSnapshotReply(raft: Raft, message: InstallSnapshotReply): void {
  const taken = takeReply(raft, message);
  if (taken === null) return;
  const { progress } = taken;
  const { cut } = raft;
  if (progress.state !== 'snapshot' || cut === null || message.cutId !== cut.id) return;
  if (message.outcome === 'installed') {
    progress.matchIndex = Math.max(progress.matchIndex, cut.lastIncludedIndex);
    progress.becomeProbe(progress.matchIndex + 1);
  } else if (message.outcome === 'refused') {
    // Again with a new cut, unless others are being sent this one; and not at once: it may be of an older version.
    progress.becomeProbe(progress.matchIndex + 1);
    progress.pausedUntilMs = raft.nowMs + raft.options.electionTimeoutMs;
  } else {
    progress.chunk = message.chunk;
    progress.cursor = message.cursor;
  }
}

// ---- follower

export function handleInstallSnapshot(raft: Raft, message: InstallSnapshot): void {
  if (message.term < raft.currentTerm) return reply(raft, message, 'staged', message.chunk, message.cursor);
  const { lastIncludedIndex, lastIncludedTerm } = message;
  // Of more than this peer sleeps with: its leader has been woken since.
  if (lastIncludedIndex > raft.log.lastIndex) maybeWake(raft);
  followLeader(raft, message.term, message.from, 0);
  if (lastIncludedIndex <= raft.commitIndex) return reply(raft, message, 'installed', 0, null);
  if (raft.log.term(lastIncludedIndex) === lastIncludedTerm) {
    // The log reaches that far and agrees: applying it is the same as installing the state (section 7, step 6).
    raft.commitIndex = lastIncludedIndex;
    return reply(raft, message, 'installed', 0, null);
  }
  // A stopped peer may not understand it: it stays where it is, and the leader tries again now and then.
  if (raft.stopped) return reply(raft, message, 'refused', 0, null);
  raft.effects.stage = message;
}

export function handleStaged(
  raft: Raft,
  message: InstallSnapshot,
  outcome: InstallSnapshotReply['outcome'],
  chunk: number,
  cursor: Uint8Array | null,
): void {
  if (outcome === 'installed') {
    const { lastIncludedIndex, lastIncludedTerm, configuration } = message;
    invariant(lastIncludedIndex > raft.commitIndex, 'an older snapshot never replaces newer state');
    raft.log.reset(lastIncludedIndex, lastIncludedTerm, configuration);
    raft.commitIndex = lastIncludedIndex;
    raft.lastApplied = lastIncludedIndex;
    raft.handedOut = lastIncludedIndex;
    raft.effects.reset = { lastIncludedIndex, lastIncludedTerm, configuration };
  }
  reply(raft, message, outcome, chunk, cursor);
}

function reply(
  raft: Raft,
  message: InstallSnapshot,
  outcome: InstallSnapshotReply['outcome'],
  chunk: number,
  cursor: Uint8Array | null,
): void {
  raft.effects.reply = {
    type: 'InstallSnapshotReply',
    term: raft.currentTerm,
    from: raft.id,
    to: message.from,
    seq: message.seq,
    cutId: message.cutId,
    outcome,
    chunk,
    cursor,
  };
}
