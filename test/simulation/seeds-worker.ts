/** One process of the soak: runs one seed at a time. */
import { serveJobs } from './job-process.ts';
import type { SeedJob, SeedOutcome } from './seeds.ts';
import { simulate } from './simulation.ts';

serveJobs<SeedJob, SeedOutcome>(({ seed, allFaults, plan }) =>
  simulate({ seed, allFaults, plan }).then(
    (result) => ({ ok: true, result }),
    (error: Error) => ({ ok: false, seed, message: error.message }),
  ),
);
