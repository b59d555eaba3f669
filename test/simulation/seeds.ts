/** Runs many seeds over all cores: one process each, which takes the next seed when it is done with the last. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { runJobs } from './job-process.ts';
import type { SimulationPlan } from './plan.ts';
import type { SimulationResult } from './simulation.ts';

/** A seed that takes this long hangs. */
const SEED_TIMEOUT_MS = 300_000;

export interface SeedJob {
  readonly seed: number;
  readonly allFaults: boolean;
  readonly plan: Partial<SimulationPlan>;
}

export type SeedOutcome =
  | { readonly ok: true; readonly result: SimulationResult }
  | { readonly ok: false; readonly seed: number; readonly message: string };

export interface SeedsOptions {
  readonly from: number;
  readonly count: number;
  readonly allFaults: boolean;
  /** Instead of what the seeds draw. */
  readonly plan?: Partial<SimulationPlan>;
  readonly workers?: number;
  /** Told of every seed that is done. */
  readonly onDone?: (outcome: SeedOutcome) => void;
}

export async function runSeeds(options: SeedsOptions): Promise<SeedOutcome[]> {
  const outcomes: SeedOutcome[] = [];
  await runJobs<SeedJob, SeedOutcome>(jobsOf(options), {
    file: join(import.meta.dirname, 'seeds-worker.ts'),
    processes: Math.max(1, Math.min(options.workers ?? availableParallelism(), options.count)),
    timeoutMs: SEED_TIMEOUT_MS,
    failed: ({ seed }, { message }) => ({ ok: false, seed, message: `seed ${seed}: ${message}` }),
    onDone: (_, outcome) => {
      outcomes.push(outcome);
      options.onDone?.(outcome);
    },
  });
  return outcomes;
}

function* jobsOf({ from, count, allFaults, plan = {} }: SeedsOptions): Generator<SeedJob> {
  for (let seed = from; seed < from + count; seed += 1) yield { seed, allFaults, plan };
}
