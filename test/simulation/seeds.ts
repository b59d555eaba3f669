/** Runs many seeds over all cores: one thread each, which takes the next seed when it is done with the last. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
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
  const threads = Math.max(1, Math.min(options.workers ?? availableParallelism(), options.count));
  await Promise.all(
    Array.from({ length: threads }, async () => {
      let worker = startWorker();
      try {
        while (next < end) {
          const seed = next;
          next += 1;
          const outcome = await ask(worker, { seed, allFaults: options.allFaults, plan: options.plan ?? {} });
          outcomes.push(outcome ?? { ok: false, seed, message: `seed ${seed} does not end` });
          options.onDone?.(outcomes.at(-1)!);
          if (outcome !== null) continue;
          await worker.terminate();
          worker = startWorker();
        }
      } finally {
        await worker.terminate();
      }
    }),
  );
  return outcomes;
}

function startWorker(): Worker {
  return new Worker(join(import.meta.dirname, 'seeds-worker.ts'));
}

/** Null: no answer in time. */
function ask(worker: Worker, job: SeedJob): Promise<SeedOutcome | null> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => settle(null), SEED_TIMEOUT_MS);
    const settle = (outcome: SeedOutcome | null): void => {
      clearTimeout(timer);
      worker.off('error', reject);
      worker.off('message', settle);
      resolve(outcome);
    };
    worker.once('message', settle);
    worker.once('error', reject);
    worker.postMessage(job);
  });
}
