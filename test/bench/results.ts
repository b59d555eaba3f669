/** What the bench measures, and the sums done with it. */
import { median } from './quantile.ts';

export const SYSTEMS = ['plain-object', 'etcd', 'edgeraft'] as const;
export type System = (typeof SYSTEMS)[number];

export const OPERATIONS = ['put', 'get', 'get-stale', 'append', 'mix'] as const;
export type Operation = (typeof OPERATIONS)[number];

export interface Cell {
  readonly operation: Operation;
  readonly valueBytes: number;
  readonly connections: number;
}

/** Of one run of the load generator. */
export interface Measurement {
  /** Those that succeeded. */
  readonly requestsPerSecond: number;
  /** Of all requests. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers that are no success, and requests without an answer. */
  readonly errors: number;
}

/** A round in which nothing at all was answered: every connection's request failed, and took the whole round. */
export function unanswered(load: { connections: number; seconds: number }, errors = 0): Measurement {
  const roundMs = load.seconds * 1000;
  return { requestsPerSecond: 0, p50Ms: roundMs, p99Ms: roundMs, errors: Math.max(errors, load.connections) };
}

/** A line of bench-results.json. */
export interface ResultRow extends Cell, Measurement {
  readonly system: System;
}

/** One cell, all systems: `rounds[system][i]` were measured one right after the other, for each i. */
export interface CellResult {
  readonly cell: Cell;
  readonly rounds: ReadonlyMap<System, readonly Measurement[]>;
}

export function rowsOf({ cell, rounds }: CellResult): ResultRow[] {
  return [...rounds].map(([system, measurements]) => {
    const middle = (of: (measurement: Measurement) => number): number => median(measurements.map(of));
    return {
      system,
      ...cell,
      requestsPerSecond: rounded(middle((measurement) => measurement.requestsPerSecond)),
      p50Ms: rounded(middle((measurement) => measurement.p50Ms)),
      p99Ms: rounded(middle((measurement) => measurement.p99Ms)),
      errors: measurements.reduce((sum, { errors }) => sum + errors, 0),
    };
  });
}

export const rounded = (value: number): number => Math.round(value * 1000) / 1000;

/**
 * The median over the rounds of one system's figure divided by the other's, or null if either was not measured. A noisy machine is
 * noisy for both of a round.
 */
export function ratio(
  { rounds }: CellResult,
  of: System,
  to: System,
  figure: 'requestsPerSecond' | 'p99Ms',
): number | null {
  const ours = rounds.get(of) ?? [];
  const theirs = rounds.get(to) ?? [];
  const ratios = ours.flatMap((measurement, i) => {
    const other = theirs[i];
    return other === undefined ? [] : [measurement[figure] / other[figure]];
  });
  return ratios.length === 0 ? null : median(ratios);
}
