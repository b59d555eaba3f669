/** `/metrics`: Prometheus text exposition format 0.0.4. https://prometheus.io/docs/instrumenting/exposition_formats/ */
import { surveyOf } from './cluster-routes.ts';
import type { RouterRequest } from './service.ts';
import type { PeerReport } from './survey.ts';

const PREFIX = 'edgeraft_';
const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

interface Family {
  readonly help: string;
  readonly samples: { readonly peer: string; readonly value: number }[];
}

const HELP: Readonly<Record<string, string>> = {
  peer_reachable: 'Whether the peer answered (1) or not (0).',
  peer_leads: 'Whether the peer leads its group (1) or not (0).',
  peer_quiesced: 'Whether the peer sleeps (1) or not (0).',
  term: 'Current Raft term.',
  commit_index: 'Index of the newest log entry known to be committed.',
  last_applied: 'Index of the newest log entry applied to the state machine.',
  first_index: 'Index of the oldest log entry that is kept.',
  last_index: 'Index of the newest log entry.',
  snapshot_index: 'Index of the last log entry that was compacted away.',
  log_bytes: 'Bytes of the log that is kept.',
  rows_written_total: 'Rows written by SQL statements, as billed; an alarm that is set is one more.',
  rows_read_total: 'Rows read by SQL statements, as billed.',
  alarms_set_total: 'Alarms set: each is billed as a row written.',
  alarms_fired_total: 'Alarms fired: each is billed as a request.',
  client_calls_total: 'Calls of routers that carried requests of clients.',
  client_requests_total: 'Requests of clients in these calls.',
  peer_calls_total: 'Calls made to other peers.',
  peer_calls_failed_total: 'Calls to other peers that brought no answer.',
  peer_calls_answered_total: 'Calls of other peers that were answered.',
  peer_bytes_sent_total: 'Bytes of bodies sent to other peers.',
  peer_bytes_received_total: 'Bytes of bodies received from other peers.',
  turns_total: 'Turns: an event handled, without a pause; all it writes commits together.',
  flushes_total: 'Turns that wrote rows: each is one flush, or shares one. What only an alarm causes is not counted.',
  appended_entries_total: 'Entries written to the log, as leader or as follower.',
  proposed_entries_total: 'Entries that this peer wrote as leader.',
  applied_commands_total: 'Commands applied to the state machine.',
  answered_reads_total: 'Reads that this peer answered.',
  elections_total: 'Terms in which this peer stood for election.',
  queued_commands: 'Commands that wait for an entry of the leader.',
  revision: 'Revision of the newest write.',
  compacted_revision: 'Newest revision whose history is gone.',
  keys: 'Live keys.',
  live_bytes: 'Bytes of live keys and values, as the storage limit counts them.',
  history_versions: 'Superseded versions that are kept.',
  history_bytes: 'Bytes of superseded versions that are kept.',
  clerk_sessions: 'Sessions of clerks.',
  router_sessions: 'Sessions of routers.',
  log_time_ms: 'Time of the log: ms since its first entry, as leaders counted them.',
  storage_limit_bytes: 'Live bytes beyond which a write that grows the state is refused.',
  last_contact_ms: 'Ms since the peer heard from the leader; on the leader, since a quorum answered it.',
};

export async function getMetrics(c: RouterRequest): Promise<Response> {
  const { reports } = await surveyOf(c);
  return new Response(metricsText(c.get('target').group, reports), { headers: { 'Content-Type': CONTENT_TYPE } });
}

export function metricsText(group: string, reports: readonly PeerReport[]): string {
  const families = new Map<string, Family>();
  for (const report of reports) {
    const peer = String(report.member.id);
    for (const [name, value] of samplesOf(report)) {
      const family = families.get(name) ?? { help: HELP[name] ?? 'Reported by the peer.', samples: [] };
      family.samples.push({ peer, value });
      families.set(name, family);
    }
  }
  return [...families].map(([name, family]) => familyText(name, family, group)).join('');
}

function samplesOf({ reply }: PeerReport): Map<string, number> {
  const samples = new Map<string, number>([['peer_reachable', reply === null ? 0 : 1]]);
  if (reply === null) return samples;
  const { view, status } = reply;
  samples.set('peer_leads', status.role === 'leader' ? 1 : 0);
  samples.set('peer_quiesced', status.quiesced ? 1 : 0);
  samples.set('term', view.term);
  samples.set('commit_index', status.commitIndex);
  samples.set('last_applied', status.lastApplied);
  samples.set('first_index', status.firstIndex);
  samples.set('last_index', status.lastIndex);
  samples.set('snapshot_index', status.snapshotIndex);
  samples.set('log_bytes', status.logBytes);
  if (status.lastContactMs !== null) samples.set('last_contact_ms', status.lastContactMs);
  for (const [name, value] of Object.entries(status.metrics)) {
    const safeName = name.replaceAll(/[^A-Za-z0-9_]/g, '_');
    if (!samples.has(safeName)) samples.set(safeName, value);
  }
  return samples;
}

function familyText(name: string, { help, samples }: Family, group: string): string {
  const metric = PREFIX + name;
  const type = name.endsWith('_total') ? 'counter' : 'gauge';
  const lines = samples.map(
    ({ peer, value }) => `${metric}{group="${escaped(group)}",peer="${escaped(peer)}"} ${value}`,
  );
  return `# HELP ${metric} ${help}\n# TYPE ${metric} ${type}\n${lines.join('\n')}\n`;
}

function escaped(label: string): string {
  return label.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
