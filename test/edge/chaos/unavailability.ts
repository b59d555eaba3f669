/** For how long nobody could write: the gaps between successive successful writes around each fault. */

import { median } from '../../bench/quantile.ts';
import { FAULT_KINDS } from './fault-schedule.ts';
import type { FaultSpan } from './nemesis.ts';

export interface Outage {
  /** A kind of fault, or `calm`: the longest gap of each pause, to compare with. */
  readonly kind: string;
  readonly count: number;
  readonly medianMs: number;
  readonly worstMs: number;
  /** Median time that the runtime itself took to start, which the gaps hold too; 0: it was not killed. */
  readonly startMs: number;
}

/**
 * `acks`: when writes were acknowledged, ascending. A fault's gap is the longest one that reaches into the time from its
 * begin to when writing had recovered from its end.
 */
export function outages(spans: readonly FaultSpan[], acks: readonly number[]): Outage[] {
  const rows: Outage[] = [];
  for (const kind of FAULT_KINDS) {
    const own = spans.filter((span) => span.kind === kind);
    const gaps = own.map((span) => longestGap(acks, span.beginMs, span.recoveredMs ?? acks.at(-1) ?? 0));
    if (gaps.length > 0) rows.push(row(kind, gaps, median(own.map(({ startMs }) => startMs))));
  }
  const pauses = spans.flatMap(({ recoveredMs }, i) => {
    const next = spans[i + 1];
    if (recoveredMs === null || next === undefined) return [];
    // Only what lies within: the gap that the next fault tears begins before it.
    return [
      longestGap(
        acks.filter((ms) => ms >= recoveredMs && ms <= next.beginMs),
        recoveredMs,
        next.beginMs,
      ),
    ];
  });
  if (pauses.length > 0) rows.push(row('calm', pauses, 0));
  return rows;
}

function row(kind: string, gaps: readonly number[], startMs: number): Outage {
  return { kind, count: gaps.length, medianMs: median(gaps), worstMs: Math.max(...gaps), startMs };
}

/** The longest time between neighbours that has some part in `fromMs` to `toMs`. */
export function longestGap(acks: readonly number[], fromMs: number, toMs: number): number {
  let longest = 0;
  for (let i = 1; i < acks.length; i += 1) {
    const [before = 0, after = 0] = [acks[i - 1], acks[i]];
    if (after > fromMs && before < toMs) longest = Math.max(longest, after - before);
  }
  return longest;
}
