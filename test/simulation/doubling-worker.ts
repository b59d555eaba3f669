/** For `job-process.test.ts`: doubles numbers, but the process does not survive 4. */
import { serveJobs } from './job-process.ts';

export interface NumberJob {
  readonly number: number;
}

serveJobs<NumberJob, NumberJob>(async ({ number }) => {
  if (number === 4) process.exit(3);
  return { number: 2 * number };
});
