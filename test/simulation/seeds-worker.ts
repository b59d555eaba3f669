import { parentPort } from 'node:worker_threads';
import type { SeedJob, SeedOutcome } from './seeds.ts';
import { simulate } from './simulation.ts';

parentPort?.on('message', ({ seed, allFaults, plan }: SeedJob) => {
  simulate({ seed, allFaults, plan }).then(
    (result) => parentPort?.postMessage({ ok: true, result } satisfies SeedOutcome),
    (error: Error) => parentPort?.postMessage({ ok: false, seed, message: error.message } satisfies SeedOutcome),
  );
});
