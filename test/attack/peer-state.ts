/** All of a peer that a message could change, as one text. */
import type { Peer } from '../../src/peer/peer.ts';

export function stateOf({ raft, identity, nonce, stateMachine, storage, calls, proposals }: Peer): string {
  if (raft === null) return JSON.stringify({ identity, nonce });
  const { log } = raft;
  const { firstIndex, lastIndex, lastTerm, lastIncludedIndex, totalBytes } = log;
  return JSON.stringify({
    identity,
    nonce,
    term: raft.currentTerm,
    votedFor: raft.votedFor,
    role: raft.role,
    leaderId: raft.leaderId,
    contactMs: raft.leaderContactMs,
    electionMs: raft.electionDeadlineMs,
    log: [firstIndex, lastIndex, lastTerm, lastIncludedIndex, totalBytes],
    commitIndex: raft.commitIndex,
    lastApplied: raft.lastApplied,
    configuration: raft.configuration,
    stateHash: stateMachine.stateHash(),
    staging: storage.staging()?.cutId ?? null,
    faults: calls.faults.active,
    queued: proposals.queued,
  });
}
