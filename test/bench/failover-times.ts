/** What the failover bench makes of the moments at which writes were acknowledged. All times in ms. */

/** An outage begins no later than this after the fault: what was under way may still be acknowledged. */
const LAST_ACKS_MS = 50;

export interface FailoverTimes {
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly n: number;
  /** Sorted. */
  readonly allMs: readonly number[];
}

/**
 * When the outage that a fault at `startMs` led to was over: the end of the longest time without an acknowledgement, of those
 * that begin soon after the fault. Null: nothing was acknowledged since. `ackedMs` is in order.
 */
export function outageEndMs(startMs: number, ackedMs: readonly number[]): number | null {
  let longest: { readonly lengthMs: number; readonly endMs: number } | null = null;
  let beginMs = startMs;
  for (const ms of ackedMs) {
    if (ms <= startMs) continue;
    if (beginMs - startMs > LAST_ACKS_MS) break;
    if (longest === null || ms - beginMs > longest.lengthMs) longest = { lengthMs: ms - beginMs, endMs: ms };
    beginMs = ms;
  }
  return longest?.endMs ?? null;
}

export function timesOf(values: readonly number[]): FailoverTimes {
  const allMs = values.toSorted((a, b) => a - b);
  const quantile = (q: number): number => allMs[Math.max(0, Math.ceil(q * allMs.length) - 1)] ?? Number.NaN;
  return { medianMs: quantile(0.5), p99Ms: quantile(0.99), n: allMs.length, allMs };
}
