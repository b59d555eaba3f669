/**
 * Log compaction: entries behind lastApplied go, but for a tail that saves slow followers a snapshot. Runs on every
 * peer by itself, in large steps: it begins at twice the tail, so that most turns delete nothing.
 */
import { invariant } from './invariant.ts';
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
  invariant(configuration !== null, 'entry 1, a configuration, is applied before anything is compacted');
  raft.effects.compact = { lastIncludedIndex, lastIncludedTerm, configuration };
}

/** The first index that live followers on their way, or at least a cut, still need; bounded by bytes. */
function retainedFrom(raft: Raft): number {
  const forCut = raft.cut === null ? raft.lastApplied + 1 : raft.cut.lastIncludedIndex + 1;
  let forFollowers = forCut;
  for (const progress of raft.progress.values()) {
    if (progress.silent || progress.state === 'snapshot') continue;
    forFollowers = Math.min(forFollowers, progress.matchIndex + 1);
  }
  const keptBytes = raft.log.bytesBetween(forFollowers, raft.lastApplied);
  // A cut that holds more than that is ended before this: see maybeEndCut.
  return keptBytes <= raft.options.limits.retainedBytes ? forFollowers : forCut;
}
