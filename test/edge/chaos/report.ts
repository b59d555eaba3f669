/** What a run came to: as a table for people, and as JSON. */
import type { AppendCount } from './append-count.ts';
import type { FaultSpan } from './nemesis.ts';
import { type Counts, OPERATION_TYPES, type OperationType } from './run-record.ts';
import type { Outage } from './unavailability.ts';

export interface Report {
  readonly seed: number;
  readonly peers: number;
  readonly loadMs: number;
  /** Empty: all is well. Several lines each. */
  readonly violations: readonly string[];
  readonly operations: readonly { readonly type: OperationType | 'total'; readonly counts: Counts }[];
  /** That were answered, of the whole load. */
  readonly operationsPerSecond: number;
  readonly writesPerSecond: number;
  readonly slowestReplyMs: number;
  readonly brokenConnections: number;
  readonly faults: readonly FaultSpan[];
  readonly outages: readonly Outage[];
  readonly appends: Omit<AppendCount, 'violations'>;
  readonly checks: {
    /** Linearizable operations and listings that went to the checker. */
    readonly operations: number;
    readonly listings: number;
    readonly keys: number;
    readonly steps: number;
    readonly tookMs: number;
    readonly staleReads: number;
    /** State hashes of different peers that were compared at one index. */
    readonly stateHashes: number;
    readonly terms: number;
    readonly leftBehind: number;
  };
}

const TYPE_WIDTH = 24;
const NUMBER_WIDTH = 10;

export function countsOf(counts: ReadonlyMap<OperationType, Counts>): Report['operations'] {
  const rows = OPERATION_TYPES.map((type) => ({ type, counts: counts.get(type) ?? { ok: 0, failed: 0, unknown: 0 } }));
  const sum = (which: keyof Counts): number => rows.reduce((total, row) => total + row.counts[which], 0);
  return [...rows, { type: 'total', counts: { ok: sum('ok'), failed: sum('failed'), unknown: sum('unknown') } }];
}

const line = (name: string, ...cells: readonly (string | number)[]): string =>
  name.padEnd(TYPE_WIDTH) + cells.map((cell) => String(cell).padStart(NUMBER_WIDTH)).join('');

const seconds = (ms: number): string => (ms / 1000).toFixed(1);

export function reportTable(report: Report): string {
  const { appends, checks } = report;
  const rows = [
    line('operations', 'ok', 'failed', 'unknown'),
    ...report.operations.map(({ type, counts }) => line(type, counts.ok, counts.failed, counts.unknown)),
    '',
    line('no writes, in ms', 'count', 'median', 'worst', 'start'),
    ...report.outages.map(({ kind, count, medianMs, worstMs, startMs }) =>
      line(kind, count, Math.round(medianMs), Math.round(worstMs), startMs === 0 ? '' : Math.round(startMs)),
    ),
    '',
    `${report.peers} peers, seed ${report.seed}, ${seconds(report.loadMs)} s of load: ${Math.round(report.operationsPerSecond)} operations a second, ${Math.round(report.writesPerSecond)} of them writes; slowest reply ${Math.round(report.slowestReplyMs)} ms`,
    `faults: ${report.faults.length}; ${checks.terms} terms; ${checks.leftBehind} times a peer needed a snapshot; ${report.brokenConnections} broken connections`,
    `appends counted: ${appends.acknowledged} acknowledged${report.violations.length === 0 ? ', each there once' : ''}; ${appends.unknown} of unknown outcome, ${appends.unknownDone} of them there`,
    `checked: ${checks.operations} operations and ${checks.listings} listings on ${checks.keys} keys, ${checks.steps} steps, ${seconds(checks.tookMs)} s; ${checks.staleReads} stale reads; ${checks.stateHashes} state hashes compared`,
  ];
  return rows.join('\n');
}
