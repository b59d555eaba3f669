/**
 *     npm run chaos -- --minutes 10 --peers 3 [--seed 7] [--port 8787] [--rate 300] [--out .chaos]
 *
 * The real runtime under attack: clerks without rest, faults drawn from the seed, and every promise checked at the end. Ends
 * with status 1 on a violation; then what is needed to find its cause is in the run's directory.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { LONG_PACE } from './chaos/fault-schedule.ts';
import { reportTable } from './chaos/report.ts';
import { type ChaosOptions, MAX_OPERATIONS, runChaos } from './chaos/run.ts';

const USAGE = 'npm run chaos -- --minutes M --peers 3|5 [--seed S] [--port P] [--rate OPERATIONS_A_SECOND] [--out DIR]';
const DEFAULT_RATE = '300';
const MAX_SEED = 2 ** 31;

function refuse(why: string): never {
  console.error(`${why}\n${USAGE}`);
  process.exit(2);
}

function parse(): Omit<ChaosOptions, 'signal'> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '1' },
      peers: { type: 'string', default: '3' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * MAX_SEED)) },
      port: { type: 'string', default: '0' },
      rate: { type: 'string', default: DEFAULT_RATE },
      out: { type: 'string', default: '.chaos' },
    },
  });
  const minutes = Number(values.minutes);
  const seed = integer('--seed', values.seed, 0, MAX_SEED);
  const operationsPerSecond = integer('--rate', values.rate, 1, 10_000);
  if (values.peers !== '3' && values.peers !== '5') refuse('--peers must be 3 or 5');
  if (!(minutes > 0) || minutes * 60 * operationsPerSecond > MAX_OPERATIONS) {
    refuse(`--minutes must be more than 0, and give at most ${MAX_OPERATIONS} operations`);
  }
  const peers = values.peers === '3' ? 3 : 5;
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
  return {
    seed,
    peers,
    loadMs: minutes * 60_000,
    pace: LONG_PACE,
    operationsPerSecond,
    port: integer('--port', values.port, 0, 65_535),
    directory: join(values.out, `${time}-peers-${peers}-seed-${seed}`),
    print: (line) => console.log(line),
  };
}

function integer(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max) refuse(`${option} must be an integer from ${min} to ${max}`);
  return value;
}

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => interruption.abort(new Error(signal)));
}

const options = parse();
console.log(`seed ${options.seed}, ${options.peers} peers, ${options.loadMs / 1000} s`);
try {
  const { report, files } = await runChaos({ ...options, signal: interruption.signal });
  console.log(`\n${reportTable(report)}\n`);
  for (const violation of report.violations) console.log(`VIOLATION ${violation}\n`);
  console.log(`${files.join('\n')}`);
  if (report.violations.length > 0) {
    const again = `--minutes ${options.loadMs / 60_000} --peers ${options.peers} --seed ${options.seed}`;
    console.log(`the same faults again: npm run chaos -- ${again}`);
  }
  process.exit(report.violations.length > 0 ? 1 : 0);
} catch (error) {
  if (!interruption.signal.aborted) throw error;
  console.log(`\nstopped by ${(interruption.signal.reason as Error).message}; seed ${options.seed}`);
  process.exit(130);
}
