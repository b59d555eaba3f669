import { parentPort } from 'node:worker_threads';
import type { SeedOutcome } from './seeds.ts';
import { simulate } from './simulation.ts';

parentPort?.on('message', ({ seed, allFaults }: { seed: number; allFaults: boolean }) => {
  simulate({ seed, allFaults }).then(
    (result) => parentPort?.postMessage({ ok: true, result } satisfies SeedOutcome),
    (error: Error) => parentPort?.postMessage({ ok: false, seed, message: error.message } satisfies SeedOutcome),
  );
});
