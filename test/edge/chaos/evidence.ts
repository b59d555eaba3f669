/** What is kept of a run in which something was wrong: enough to find the cause without running it again. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Violation } from '../../linearizability/check-result.ts';
import type { Operation } from '../../linearizability/history.ts';
import { writeTimeline } from '../../linearizability/timeline.ts';
import type { ClusterJson } from '../edge-runtime.ts';
import type { FaultSpan } from './nemesis.ts';
import type { Report } from './report.ts';
import type { Finding, RunRecord } from './run-record.ts';

export interface Evidence {
  readonly directory: string;
  readonly report: Report;
  readonly record: RunRecord;
  readonly spans: readonly FaultSpan[];
  readonly findings: readonly Finding[];
  /** As the checker found it. */
  readonly violation: Violation | null;
  /** Of the runtime. */
  readonly log: string;
  /** What the peers said of themselves at the end; null: nothing. */
  readonly cluster: ClusterJson | null;
}

/** What is shown around the place that matters. */
const AROUND_MS = 5000;

/** Returns the paths of the files. */
export async function writeEvidence(evidence: Evidence): Promise<string[]> {
  const { directory, record, log, cluster } = evidence;
  const clusterPath = join(directory, 'cluster.json');
  const history = join(directory, 'history.jsonl');
  const runtimeLog = join(directory, 'runtime.log');
  const timeline = join(directory, 'timeline.html');
  await writeFile(history, lines(record));
  await writeFile(runtimeLog, log);
  await writeFile(clusterPath, `${JSON.stringify(cluster, null, 2)}\n`);
  await writeShown(timeline, evidence);
  return [timeline, history, runtimeLog, clusterPath];
}

function* lines({ operations, listings, staleReads }: RunRecord): Generator<string> {
  for (const operation of operations) yield `${JSON.stringify({ operation })}\n`;
  for (const listing of listings) yield `${JSON.stringify({ listing })}\n`;
  for (const staleRead of staleReads) yield `${JSON.stringify({ staleRead })}\n`;
}

/** A page with the whole history would be too large to open: it shows the time around the first finding. */
async function writeShown(path: string, { report, record, spans, findings, violation }: Evidence): Promise<void> {
  const [fromMs, toMs] = span(record, findings, violation);
  const overlaps = (call: number, returned: number | null): boolean =>
    call <= toMs && (returned ?? Number.POSITIVE_INFINITY) >= fromMs;
  writeTimeline(path, {
    title: `chaos, ${report.peers} peers, seed ${report.seed}: ${report.violations[0]?.split('\n')[0] ?? ''}`,
    operations: record.operations.filter((operation) => overlaps(operation.call, operation.return)),
    listings: record.listings.filter((listing) => overlaps(listing.callMs, listing.returnMs)),
    faults: spans
      .filter(({ beginMs, endMs }) => overlaps(beginMs, endMs))
      .map(({ kind, detail, beginMs, endMs }) => ({ fromMs: beginMs, toMs: endMs, name: kind, target: detail })),
    violation,
  });
}

function span(record: RunRecord, findings: readonly Finding[], violation: Violation | null): [number, number] {
  const [first] = findings;
  const shown = violation?.window ?? record.operations.filter(({ key }) => key === first?.key);
  const calls = shown.map(({ call }) => call);
  const returns = shown.map((operation: Operation) => operation.return ?? operation.call);
  const atMs = first?.atMs ?? null;
  if (violation === null && atMs !== null) return [atMs - AROUND_MS, atMs + AROUND_MS];
  if (shown.length === 0) return [record.now() - 2 * AROUND_MS, record.now()];
  const around = violation === null ? 0 : AROUND_MS;
  return [Math.min(...calls) - around, Math.max(...returns) + around];
}
