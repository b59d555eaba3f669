/** What a peer tells of itself: with every reply to the router, in /cluster and in /metrics. */
import { quorumContactMs } from '../raft/replication.ts';
import type { Peer } from './peer.ts';
import type { PeerStatus, PeerView } from './protocol.ts';

/** Since this peer last heard from the leader; on the leader, since a quorum last answered it. Ms; null: never. */
export function contactAgeMs({ raft, clock }: Peer): number | null {
  if (raft === null) return null;
  // Alone, a leader is its own quorum.
  if (raft.role === 'leader' && raft.progress.size === 0) return 0;
  const contactMs = raft.role === 'leader' ? quorumContactMs(raft) : raft.leaderContactMs;
  return Number.isFinite(contactMs) ? Math.max(0, Math.round(clock.now() - contactMs)) : null;
}

export function viewOf({ raft, identity, nonce }: Peer): PeerView {
  if (raft === null || identity === null) {
    return { groupId: null, nonce, founding: false, id: null, term: 0, leader: null, members: [] };
  }
  return {
    groupId: identity.groupId,
    nonce,
    founding: raft.configuration === null,
    id: identity.id,
    term: raft.currentTerm,
    leader: raft.leaderId,
    members: raft.configuration?.voters ?? [],
  };
}

export function statusOf(peer: Peer): PeerStatus {
  const { raft } = peer;
  const { log } = raft ?? {};
  return {
    role: raft === null ? 'unfounded' : raft.role === 'preCandidate' ? 'candidate' : raft.role,
    commitIndex: raft?.commitIndex ?? 0,
    lastApplied: raft?.lastApplied ?? 0,
    firstIndex: log?.firstIndex ?? 0,
    lastIndex: log?.lastIndex ?? 0,
    snapshotIndex: log?.lastIncludedIndex ?? 0,
    logBytes: log?.totalBytes ?? 0,
    stateHash: raft === null ? '' : peer.stateMachine.stateHash(),
    lastContactMs: contactAgeMs(peer),
    quiesced: false,
    metrics: raft === null ? {} : metricsOf(peer),
  };
}

function metricsOf({ counters, calls, alarm, proposals, queries, stateMachine }: Peer): Record<string, number> {
  const { turns, flushes, entries, commands, messagesReceived, elections } = counters;
  return {
    turns_total: turns,
    flushes_total: flushes,
    proposed_entries_total: entries,
    applied_commands_total: commands,
    answered_reads_total: queries.answered,
    peer_messages_received_total: messagesReceived,
    peer_calls_total: calls.made,
    peer_calls_failed_total: calls.failed,
    elections_total: elections,
    alarms_set_total: alarm.sets,
    alarms_fired_total: alarm.fired,
    queued_commands: proposals.queued,
    ...stateMachine.gauges(),
  };
}
