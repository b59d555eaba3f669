/**
 * Log compaction: entries behind lastApplied go, but for a tail that saves slow followers a snapshot. Runs on every
 * peer by itself, in large steps: it begins at twice the tail, so that most turns delete nothing.
 */
import type { Raft } from './raft.ts';

export function maybeCompact(raft: Raft): void {
  const { log, lastApplied } = raft;
  const { tailBytes, tailEntries } = raft.options.limits;
  const appliedBytes = log.bytesBetween(log.firstIndex, lastApplied);
  const appliedEntries = lastApplied - log.lastIncludedIndex;
  if (appliedBytes <= 2 * tailBytes && appliedEntries <= 2 * tailEntries) return;
  const target = Math.min(log.tailStart(lastApplied, tailBytes, tailEntries), retainedFrom(raft)) - 1;
  if (target <= log.lastIncludedIndex) return;
  log.compactTo(target);
  const { lastIncludedIndex, lastIncludedTerm } = log;
  const configuration = log.configurationAt(lastIncludedIndex);
  if (configuration !== null) raft.effects.compact = { lastIncludedIndex, lastIncludedTerm, configuration };
}

/** The first index that a cut, or a live follower on its way, still needs; bounded by bytes. */
function retainedFrom(raft: Raft): number {
  let needed = raft.lastApplied + 1;
  if (raft.cut !== null) needed = raft.cut.lastIncludedIndex + 1;
  for (const progress of raft.progress.values()) {
    if (progress.silent || progress.state === 'snapshot') continue;
    needed = Math.min(needed, progress.matchIndex + 1);
  }
  const retainedBytes = raft.log.bytesBetween(needed, raft.lastApplied);
  return retainedBytes <= raft.options.limits.retainedBytes ? needed : raft.lastApplied + 1;
}
