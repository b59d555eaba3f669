/** What a peer tells of itself: with every reply to the router, in /cluster and in /metrics. */
import type { Raft } from '../raft/raft.ts';
import { quorumAnswerMs, quorumContactMs } from '../raft/replication.ts';
import type { Peer } from './peer.ts';
import type { PeerStatus, PeerView } from './protocol.ts';

/** Since this peer last heard from the leader; on the leader, since a quorum last answered it. Ms; null: never. */
export function contactAgeMs(peer: Peer): number | null {
  return ageMs(peer, quorumAnswerMs);
}

/** The same for status: a leader that has just been woken is not ill because nobody could answer it while all slept. */
function silenceMs(peer: Peer): number | null {
  const isAsleep = peer.raft !== null && peer.raft.asleep !== null;
  return ageMs(peer, isAsleep ? quorumAnswerMs : quorumContactMs);
}

function ageMs({ raft, clock }: Peer, quorumMs: (raft: Raft) => number): number | null {
  if (raft === null) return null;
  // Alone, a leader is its own quorum.
  if (raft.role === 'leader' && raft.progress.size === 0) return 0;
  const contactMs = raft.role === 'leader' ? quorumMs(raft) : raft.leaderContactMs;
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
    lastContactMs: silenceMs(peer),
    quiesced: raft !== null && raft.asleep !== null,
    metrics: raft === null ? {} : metricsOf(peer),
  };
}

/** Of this instance: they begin at 0 with each start. What is billed is among them. */
function metricsOf(peer: Peer): Record<string, number> {
  const { counters, calls, alarm, proposals, queries, stateMachine, platform } = peer;
  const { turns, flushes, appended, entries, commands, elections, clientCalls, clientRequests } = counters;
  const rows = platform.rows();
  return {
    rows_written_total: rows.written,
    rows_read_total: rows.read,
    client_calls_total: clientCalls,
    client_requests_total: clientRequests,
    turns_total: turns,
    flushes_total: flushes,
    appended_entries_total: appended,
    proposed_entries_total: entries,
    applied_commands_total: commands,
    answered_reads_total: queries.answered,
    peer_calls_total: calls.made,
    peer_calls_failed_total: calls.failed,
    peer_calls_answered_total: calls.answered,
    peer_bytes_sent_total: calls.bytesSent,
    peer_bytes_received_total: calls.bytesReceived,
    elections_total: elections,
    alarms_set_total: alarm.sets,
    alarms_fired_total: alarm.fired,
    queued_commands: proposals.queued,
    ...stateMachine.gauges(),
  };
}
