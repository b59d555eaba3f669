/** Runs many seeds over all cores: one process each, which takes the next seed when it is done with the last. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { JobProcess, JobProcessError } from './job-process.ts';
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
  let next = options.from;
  const end = options.from + options.count;
  const processes = Math.max(1, Math.min(options.workers ?? availableParallelism(), options.count));
  await Promise.all(
    Array.from({ length: processes }, async () => {
      let worker = startWorker();
      try {
        while (next < end) {
          const job = { seed: next, allFaults: options.allFaults, plan: options.plan ?? {} };
          next += 1;
          const outcome = await worker.ask(job, SEED_TIMEOUT_MS).catch((error: unknown): SeedOutcome => {
            if (!(error instanceof JobProcessError)) throw error;
            worker.stop();
            worker = startWorker();
            return { ok: false, seed: job.seed, message: `seed ${job.seed}: ${error.message}` };
          });
          outcomes.push(outcome);
          options.onDone?.(outcome);
        }
      } finally {
        worker.stop();
      }
    }),
  );
  return outcomes;
}

function startWorker(): JobProcess<SeedJob, SeedOutcome> {
  return new JobProcess(join(import.meta.dirname, 'seeds-worker.ts'));
}
