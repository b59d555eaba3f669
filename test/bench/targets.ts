/** What the project demands of itself: ratios within one run, by connections. */
import { type CellResult, ratio, type System } from './results.ts';

export interface Target {
  readonly must: number;
  readonly aim: number;
}

export interface Verdict extends Target {
  /** The words of the table. */
  readonly subject: string;
  readonly value: number;
  /** Whether more is better. */
  readonly isFloor: boolean;
}

type ByConnections = Readonly<Record<number, Target>>;

const target = (must: number, aim: number): Target => ({ must, aim });

const THROUGHPUT: Readonly<Record<'put' | 'get', Readonly<Record<'plain-object' | 'etcd', ByConnections>>>> = {
  put: {
    'plain-object': { 1: target(0.7, 0.9), 16: target(1.6, 2), 64: target(2.5, 3.5), 256: target(4, 5) },
    etcd: { 1: target(0.5, 0.7), 16: target(0.8, 1), 64: target(0.9, 1), 256: target(1, 1.1) },
  },
  get: {
    'plain-object': { 1: target(0.6, 0.8), 16: target(0.9, 1), 64: target(1.2, 1.5), 256: target(1.4, 2) },
    etcd: { 1: target(1, 1.5), 16: target(1, 1.2), 64: target(1.2, 1.5), 256: target(1.2, 1.8) },
  },
};
/** Of p99, ours over etcd's. */
const P99_AT_64 = target(2, 1);
const VALUE_BYTES = 64;

/** Of one cell; none for cells without a target. */
export function verdictsOf(result: CellResult): Verdict[] {
  const { operation, valueBytes, connections } = result.cell;
  if ((operation !== 'put' && operation !== 'get') || valueBytes !== VALUE_BYTES) return [];
  const verdicts: Verdict[] = [];
  for (const other of ['plain-object', 'etcd'] as const) {
    const value = ratio(result, 'edgeraft', other, 'requestsPerSecond');
    const found = THROUGHPUT[operation][other][connections];
    if (value === null || found === undefined) continue;
    verdicts.push({
      subject: `${operation} at ${connections}, ours / ${nameOf(other)}`,
      value,
      isFloor: true,
      ...found,
    });
  }
  const p99 = connections === 64 ? ratio(result, 'edgeraft', 'etcd', 'p99Ms') : null;
  if (p99 !== null) {
    verdicts.push({ subject: `p99 of ${operation} at 64, ours / etcd`, value: p99, isFloor: false, ...P99_AT_64 });
  }
  return verdicts;
}

export function nameOf(system: System): string {
  return { 'plain-object': 'plain object', etcd: 'etcd', edgeraft: 'Edgeraft' }[system];
}

/** `aim` and `must` where they are reached, `MISSED` where not even the latter is. */
export function judge({ value, must, aim, isFloor }: Omit<Verdict, 'subject'>): 'aim' | 'must' | 'MISSED' {
  const reaches = (limit: number): boolean => (isFloor ? value >= limit : value <= limit);
  if (reaches(aim)) return 'aim';
  return reaches(must) ? 'must' : 'MISSED';
}
