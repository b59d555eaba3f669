/**
 *     npm run bench:failover [-- --trials 50 --peers 3 --quick]
 *
 * How long nobody can write once the leader is gone: from the moment when POST /chaos was answered to the next acknowledged
 * write, after a crash of the leader's object and after its isolation, at rest and under 16 writers in a closed loop.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { unstable_readConfig } from 'wrangler';
import { ROOT } from '../../src/cli/bundling.ts';
import { startLocalGroup } from '../../src/cli/local-group.ts';
import { type FailoverTimes, outageEndMs, timesOf } from './failover-times.ts';
import { BenchGroup, chosen, sleep } from './served-group.ts';

export type { FailoverTimes };

const LOSSES = ['crash', 'isolation'] as const;
const LOADS = ['atRest', 'underLoad'] as const;
export type Loss = (typeof LOSSES)[number];
export type Load = (typeof LOADS)[number];

export interface FailoverOptions {
  /** Of each of the four kinds. */
  readonly trials: number;
  readonly peers: number;
  readonly losses?: readonly Loss[];
  readonly loads?: readonly Load[];
  /** In place of those of wrangler.toml. */
  readonly variables?: Readonly<Record<string, string>>;
  readonly onTrial?: (loss: Loss, load: Load, elapsedMs: number, left: number) => void;
}

export type FailoverResult = {
  readonly [L in Loss]: { readonly [K in Load]: FailoverTimes };
} & { readonly electionTimeoutMs: number };

const WRITERS = 16;
const VALUE = new Uint8Array(64).fill(120);
/** Between two faults, with nothing written; longer by up to one more, so that faults meet every phase of the heartbeat. */
const REST_MS = 400;
const LOAD_BEFORE_MS = 500;
/** The object that was told to crash ends 10 ms after it said so; a write before that would prove nothing. */
const CRASH_MS = 25;
/** Writes have been acknowledged for so long that the outage is over. */
const SETTLED_MS = 500;
const RETRY_MS = 5;
const TRIAL_TIMEOUT_MS = 30_000;

/** Runs a group of its own, and ends it. Rejects if a fault did not depose the leader. */
export async function measureFailover(options: FailoverOptions): Promise<FailoverResult> {
  const { trials, peers, losses = LOSSES, loads = LOADS, variables = {} } = options;
  const served = await startLocalGroup({ port: 0, peers, chaos: true, variables });
  const group = new BenchGroup(served.url, WRITERS + 4);
  try {
    const result: Record<Loss, Record<Load, FailoverTimes>> = {
      crash: { atRest: timesOf([]), underLoad: timesOf([]) },
      isolation: { atRest: timesOf([]), underLoad: timesOf([]) },
    };
    if (!(await group.put('first', VALUE))) throw new Error('the group does not take a write');
    let left = trials * losses.length * loads.length;
    for (const loss of losses) {
      for (const load of loads) {
        const elapsed: number[] = [];
        for (let i = 0; i < trials; i += 1) {
          const elapsedMs = await trial(group, loss, load);
          elapsed.push(elapsedMs);
          left -= 1;
          options.onTrial?.(loss, load, elapsedMs, left);
        }
        result[loss][load] = timesOf(elapsed);
      }
    }
    return { ...result, electionTimeoutMs: electionTimeoutMs(variables) };
  } finally {
    group.close();
    await served.stop();
  }
}

/** Of a group that is served with these variables. */
export function electionTimeoutMs(variables: Readonly<Record<string, string>> = {}): number {
  const { vars } = unstable_readConfig({ config: join(ROOT, 'wrangler.toml') });
  return Number(variables.ELECTION_TIMEOUT_MS ?? vars.ELECTION_TIMEOUT_MS);
}

async function trial(group: BenchGroup, loss: Loss, load: Load): Promise<number> {
  const { leader, term } = await group.caughtUp(TRIAL_TIMEOUT_MS);
  if (leader === null) throw new Error('nobody leads');
  const fault = { action: loss === 'crash' ? 'crash' : 'isolate' };
  const elapsedMs = await (load === 'atRest' ? probeAtRest : outageUnderLoad)(group, leader, fault);
  await group.chaos(leader, { action: 'heal' });
  const after = await group.caughtUp(TRIAL_TIMEOUT_MS);
  if (after.term === term) throw new Error(`${loss} of leader ${leader} deposed nobody`);
  return elapsedMs;
}

/** Nothing is written, then the fault, then one write, begun again until it is acknowledged. */
async function probeAtRest(group: BenchGroup, leader: string, fault: { action: string }): Promise<number> {
  await sleep(REST_MS * (1 + Math.random()));
  await group.chaos(leader, fault);
  const startMs = performance.now();
  if (fault.action === 'crash') await sleep(CRASH_MS);
  while (performance.now() - startMs < TRIAL_TIMEOUT_MS) {
    if (await group.put('probe', VALUE)) return performance.now() - startMs;
    await sleep(RETRY_MS);
  }
  throw new Error('no write was acknowledged');
}

/**
 * Writers that never rest. The outage is the longest time without an acknowledgement that begins within 50 ms of the fault;
 * what counts is when it ends.
 */
async function outageUnderLoad(group: BenchGroup, leader: string, fault: { action: string }): Promise<number> {
  const ackedMs: number[] = [];
  let running = true;
  const writer = async (number: number): Promise<void> => {
    for (let i = 0; running; i += 1) {
      if (await group.put(`${number}-${i % 100}`, VALUE)) ackedMs.push(performance.now());
      else await sleep(RETRY_MS);
    }
  };
  const writers = Array.from({ length: WRITERS }, (_, i) => writer(i));
  await sleep(LOAD_BEFORE_MS * (1 + Math.random()));
  await group.chaos(leader, fault);
  const startMs = performance.now();
  try {
    while (performance.now() - startMs < TRIAL_TIMEOUT_MS) {
      await sleep(100);
      const last = ackedMs.at(-1);
      const endMs = outageEndMs(startMs, ackedMs);
      if (last !== undefined && endMs !== null && last - endMs > SETTLED_MS) return endMs - startMs;
    }
  } finally {
    running = false;
    await Promise.all(writers);
  }
  throw new Error('no write was acknowledged');
}

/** The targets: medians as shares of the election timeout. */
const MUST: Record<Loss, Record<Load, number>> = {
  crash: { atRest: 1.2, underLoad: 0.25 },
  isolation: { atRest: 1.2, underLoad: 0.6 },
};

export function failoverTable(result: FailoverResult): string {
  const line = (...columns: readonly string[]): string =>
    columns.map((column, i) => (i < 2 ? column.padEnd(11) : column.padStart(10))).join('');
  const rows = LOSSES.flatMap((loss) =>
    LOADS.filter((load) => result[loss][load].n > 0).map((load) => {
      const { medianMs, p99Ms, n } = result[loss][load];
      const ratio = medianMs / result.electionTimeoutMs;
      const must = MUST[loss][load];
      const [median, p99] = [medianMs.toFixed(0), p99Ms.toFixed(0)];
      const verdict = `${ratio <= must ? '≤' : '>'} ${must}`;
      return line(
        loss,
        load === 'atRest' ? 'at rest' : 'under load',
        median,
        p99,
        String(n),
        ratio.toFixed(2),
        verdict,
      );
    }),
  );
  const head = line('loss', '', 'median ms', 'p99 ms', 'n', 'ratio', 'must');
  return [head, ...rows, `\nratio: the median over the election timeout, ${result.electionTimeoutMs} ms`].join('\n');
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      trials: { type: 'string' },
      peers: { type: 'string', default: '3' },
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: LOSSES.join(',') },
      load: { type: 'string', default: LOADS.join(',') },
    },
  });
  const startMs = performance.now();
  const trials = Number(values.trials ?? (values.quick ? 5 : 50));
  let done = 0;
  const result = await measureFailover({
    trials,
    peers: Number(values.peers),
    losses: chosen('only', values.only, LOSSES),
    loads: chosen('load', values.load, LOADS),
    onTrial: (loss, load, elapsedMs, left) => {
      done += 1;
      const secondsLeft = ((performance.now() - startMs) / 1000 / done) * left;
      console.error(`${loss} ${load}: ${elapsedMs.toFixed(0)} ms, about ${secondsLeft.toFixed(0)} s left`);
    },
  });
  console.log(failoverTable(result));
}
