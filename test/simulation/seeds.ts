/** Runs many seeds over all cores: one thread each, which takes the next seed when it is done with the last. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { SimulationResult } from './simulation.ts';

export type SeedOutcome =
  | { readonly ok: true; readonly result: SimulationResult }
  | { readonly ok: false; readonly seed: number; readonly message: string };

export interface SeedsOptions {
  readonly from: number;
  readonly count: number;
  readonly allFaults: boolean;
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
      const worker = new Worker(join(import.meta.dirname, 'seeds-worker.ts'));
      try {
        while (next < end) {
          const seed = next;
          next += 1;
          const outcome = await ask(worker, { seed, allFaults: options.allFaults });
          outcomes.push(outcome);
          options.onDone?.(outcome);
        }
      } finally {
        await worker.terminate();
      }
    }),
  );
  return outcomes;
}

function ask(worker: Worker, job: { seed: number; allFaults: boolean }): Promise<SeedOutcome> {
  return new Promise((resolve, reject) => {
    const settle = (outcome: SeedOutcome): void => {
      worker.off('error', reject);
      resolve(outcome);
    };
    worker.once('message', settle);
    worker.once('error', reject);
    worker.postMessage(job);
  });
}
