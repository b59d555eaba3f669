/** What a run of the bench measures: everything, or what its arguments leave of it. */
import { parseArgs } from 'node:util';
import { GROUP_SIZES } from '../../src/router/settings.ts';
import { GENERATORS } from './generator.ts';
import { type Cell, OPERATIONS, type Operation, SYSTEMS, type System } from './results.ts';

export const USAGE = `usage: npm run bench -- [--quick] [options]
  --only LIST         of ${OPERATIONS.join(', ')}, bill, failover
  --connections LIST  such as 1,64
  --values LIST       sizes in bytes, such as 64,1024
  --systems LIST      of ${SYSTEMS.join(', ')}
  --seconds N         of a round: one system, one cell
  --rounds N          of a cell; the median is told
  --peers N           of Edgeraft's group
  --set NAME=VALUE    a variable of Edgeraft's Worker; may be repeated
  --generator NAME    wrk or autocannon
  --write             write the results of a limited run, too`;

export interface BenchOptions {
  readonly quick: boolean;
  readonly cells: readonly Cell[];
  readonly bill: boolean;
  readonly failover: boolean;
  readonly systems: readonly System[];
  readonly seconds: number;
  readonly rounds: number;
  /** Of a system, before its first round of an operation. */
  readonly warmUpSeconds: number;
  readonly peers: number;
  readonly variables: Readonly<Record<string, string>>;
  /** null: wrk where there is one. */
  readonly generator: (typeof GENERATORS)[number] | null;
  /** Whether the results are written beside the bench. */
  readonly writes: boolean;
}

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const MAX_CONNECTIONS = 1000;
const MIN_VALUE_BYTES = 32;
const MAX_VALUE_BYTES = 1_000_000;
const MAX_SECONDS = 600;
const MAX_ROUNDS = 100;
/** Until the code is compiled that is often run. */
const WARM_UP_SECONDS = 3;
/** Until most of it is. */
const QUICK_WARM_UP_SECONDS = 1;
const ALL_CONNECTIONS = [1, 16, 64, 256];
const QUICK_CONNECTIONS = [64];
const SMALL_BYTES = 64;
const ALL_VALUE_BYTES = [SMALL_BYTES, 1024];
/** A clerk's window: with more requests in flight under one clerk, some would be refused. */
const MAX_APPENDS_IN_FLIGHT = 128;

export function parseOptions(args: readonly string[]): BenchOptions {
  const values = parsedValues(args);
  const { quick, only, connections, systems } = values;
  const parts: readonly (Operation | 'bill' | 'failover')[] = [...OPERATIONS, 'bill', 'failover'];
  const wanted = only === undefined ? parts : list('--only', only, parts);
  const numbers = (name: string, text: string | undefined, min: number, max: number): number[] | null =>
    text === undefined ? null : text.split(',').map((part) => integer(name, part, min, max));
  const limits = {
    connections: numbers('--connections', connections, 1, MAX_CONNECTIONS),
    valueBytes: numbers('--values', values.values, MIN_VALUE_BYTES, MAX_VALUE_BYTES),
  };
  const operations = OPERATIONS.filter((operation) => wanted.includes(operation));
  const peers = integer('--peers', values.peers, 1, Math.max(...GROUP_SIZES));
  if (!GROUP_SIZES.includes(peers)) throw new UsageError(`--peers must be one of ${GROUP_SIZES.join(', ')}`);
  const limiting = [only, connections, values.values, systems, values.set];
  const isLimited = peers !== 3 || limiting.some((value) => value !== undefined);
  return {
    quick,
    cells: operations.flatMap((operation) => cellsOf(operation, quick, limits)),
    bill: wanted.includes('bill'),
    failover: wanted.includes('failover'),
    systems: systems === undefined ? SYSTEMS : list('--systems', systems, SYSTEMS),
    seconds: integer('--seconds', values.seconds ?? (quick ? '1' : '2'), 1, MAX_SECONDS),
    rounds: integer('--rounds', values.rounds ?? (quick ? '2' : '5'), 1, MAX_ROUNDS),
    warmUpSeconds: quick ? QUICK_WARM_UP_SECONDS : WARM_UP_SECONDS,
    peers,
    variables: Object.fromEntries((values.set ?? []).map(variable)),
    generator: values.generator === undefined ? null : one('--generator', values.generator, GENERATORS),
    writes: values.write || !isLimited,
  };
}

interface Limits {
  readonly connections: readonly number[] | null;
  readonly valueBytes: readonly number[] | null;
}

/** A quick run has all cells that have a target, and one of each other kind but 1 KiB gets. */
function cellsOf(operation: Operation, quick: boolean, limits: Limits): Cell[] {
  const cells: Cell[] = [];
  const hasTargets = operation === 'put' || operation === 'get';
  const sizes = limits.valueBytes ?? (quick && operation !== 'put' ? [SMALL_BYTES] : ALL_VALUE_BYTES);
  for (const valueBytes of sizes) {
    const isShort = quick && !(hasTargets && valueBytes === SMALL_BYTES);
    for (const connections of limits.connections ?? (isShort ? QUICK_CONNECTIONS : ALL_CONNECTIONS)) {
      if (operation === 'append' && connections > MAX_APPENDS_IN_FLIGHT) continue;
      cells.push({ operation, valueBytes, connections });
    }
  }
  return cells;
}

function parsedValues(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string' },
        connections: { type: 'string' },
        values: { type: 'string' },
        systems: { type: 'string' },
        seconds: { type: 'string' },
        rounds: { type: 'string' },
        peers: { type: 'string', default: '3' },
        set: { type: 'string', multiple: true },
        generator: { type: 'string' },
        write: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function list<T extends string>(name: string, text: string, allowed: readonly T[]): T[] {
  return text.split(',').map((part) => one(name, part, allowed));
}

function one<T extends string>(name: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((value) => value === text);
  if (found === undefined) throw new UsageError(`${name} knows ${allowed.join(', ')}, not ${JSON.stringify(text)}`);
  return found;
}

function integer(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^[0-9]+$/.test(text) && value >= min && value <= max) return value;
  throw new UsageError(`${name} must be an integer from ${min} to ${max}, not ${JSON.stringify(text)}`);
}

function variable(text: string): [string, string] {
  const match = /^([A-Z_]+)=(.*)$/.exec(text);
  if (match === null) throw new UsageError(`--set takes NAME=VALUE, not ${JSON.stringify(text)}`);
  return [match[1] ?? '', match[2] ?? ''];
}
