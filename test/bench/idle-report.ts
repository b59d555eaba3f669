/** What the idle bench makes of two readings of /metrics, and of the first puts after a sleep. */
import type { Metrics } from './metrics.ts';
import { median } from './quantile.ts';
import { judge, type Verdict } from './targets.ts';

interface Counter {
  readonly metric: string;
  /** Of its column. */
  readonly title: string;
  /** A group that has worked may not have had any. */
  readonly mayBeZero?: boolean;
}

/** All that an idle group could be billed for. */
const COUNTERS: Readonly<Record<'alarms' | 'messages' | 'rows', readonly Counter[]>> = {
  alarms: [
    { metric: 'alarms_set_total', title: 'alarms set' },
    { metric: 'alarms_fired_total', title: 'fired' },
  ],
  messages: [
    { metric: 'peer_calls_total', title: 'calls made' },
    { metric: 'peer_calls_failed_total', title: 'failed', mayBeZero: true },
    { metric: 'peer_calls_answered_total', title: 'answered' },
  ],
  rows: [{ metric: 'rows_written_total', title: 'rows written' }],
};
const ALL = Object.values(COUNTERS).flat();
const COLUMN = 16;

/** What the first put took, after a sleep, of each round. */
export interface FirstPuts {
  /** The median of some puts just before the sleep. */
  readonly warmMs: readonly number[];
  readonly leaderThereMs: readonly number[];
  readonly leaderCrashedMs: readonly number[];
  readonly leaderCutOffMs: readonly number[];
  readonly electionTimeoutMs: number;
}

function read(metrics: Metrics, { metric }: Counter): ReadonlyMap<string, number> {
  const family = metrics.get(metric);
  if (family === undefined) throw new Error(`/metrics has no edgeraft_${metric}`);
  return family;
}

/** A counter that stands still because it counts nothing would prove nothing: throws unless each has moved by now. */
export function checkCounting(metrics: Metrics): void {
  for (const counter of ALL) {
    const sum = [...read(metrics, counter).values()].reduce((total, value) => total + value, 0);
    if (sum <= 0 && counter.mayBeZero !== true) throw new Error(`${counter.metric} has counted nothing so far`);
  }
}

/** By peer: what each counter was, and what it has grown by. */
export function idleTable(before: Metrics, after: Metrics): string {
  const peers = [...read(before, COUNTERS.rows[0] as Counter).keys()];
  const head = ['peer', ...ALL.map(({ title }) => title.padStart(COLUMN))].join('');
  const lines = peers.map((peer) => {
    const cells = ALL.map((counter) => {
      const from = read(before, counter).get(peer) ?? Number.NaN;
      return `${from} + ${(read(after, counter).get(peer) ?? Number.NaN) - from}`.padStart(COLUMN);
    });
    return `${peer.padEnd(4)}${cells.join('')}`;
  });
  return [head, ...lines].join('\n');
}

/** Of all peers. One that has lost its memory meanwhile counts anew: less than before is as bad as more. */
export function idleVerdicts(before: Metrics, after: Metrics): Verdict[] {
  return Object.entries(COUNTERS).map(([what, counters]) => {
    const differences = counters.flatMap((counter) => {
      const later = read(after, counter);
      return [...read(before, counter)].map(([peer, value]) => Math.abs((later.get(peer) ?? Number.NaN) - value));
    });
    const value = differences.reduce((sum, difference) => sum + difference, 0);
    return { subject: `${what} while all sleep`, value, isFloor: false, must: 0, aim: 0 };
  });
}

/** With the leader there the median counts, of ratios within each round; without it every put does. */
export function firstPutVerdicts(puts: FirstPuts): Verdict[] {
  const ratios = puts.leaderThereMs.map((ms, i) => ms / (puts.warmMs[i] ?? Number.NaN));
  const worst = (values: readonly number[]): number => Math.max(...values) / puts.electionTimeoutMs;
  const verdict = (subject: string, value: number, must: number): Verdict => ({
    subject,
    value,
    isFloor: false,
    must,
    aim: must,
  });
  return [
    verdict('first put / a warm one', median(ratios), 3),
    verdict('leader crashed: slowest / election timeout', worst(puts.leaderCrashedMs), 1),
    verdict('leader cut off: slowest / election timeout', worst(puts.leaderCutOffMs), 1),
  ];
}

export function firstPutLines(puts: FirstPuts): string {
  const line = (name: string, values: readonly number[]): string =>
    `${name.padEnd(34)}${values.map((value) => value.toFixed(1).padStart(8)).join('')}`;
  return [
    'puts, ms, of each round',
    line('warm (median of many)', puts.warmMs),
    line('first after a sleep', puts.leaderThereMs),
    line('first, the leader has crashed', puts.leaderCrashedMs),
    line('first, the leader is cut off', puts.leaderCutOffMs),
  ].join('\n');
}

/** NaN, of something that was not told, is no success. */
export function allReached(verdicts: readonly Verdict[]): boolean {
  return verdicts.every((verdict) => judge(verdict) !== 'MISSED');
}
