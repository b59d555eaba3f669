/** Hunts bugs over all cores: a thread for each, which ends with the first seed that fails. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Bug } from './bug.ts';
import type { BugJob, BugReport } from './bug-worker.ts';

/** A run that is this slow hangs: a bug that loops for ever is a find of nobody's. */
const SEED_TIMEOUT_MS = 120_000;
const EXIT_TIMEOUT_MS = 5000;

export interface Hunt {
  readonly bug: string;
  /** The first seed that was run. */
  readonly from: number;
  /** Seeds run, the one that failed included. */
  readonly seedsRun: number;
  /** Null: no seed failed. */
  readonly caught: { readonly seed: number; readonly message: string; readonly expected: boolean } | null;
  /** Simulated before it was caught, without the run that failed. */
  readonly events: number;
  readonly elapsedMs: number;
}

export interface HuntOptions {
  readonly bugs: readonly Bug[];
  /** Instead of the bug's own. */
  readonly from?: number;
  readonly seeds?: number;
  readonly workers?: number;
  readonly onDone?: (hunt: Hunt) => void;
}

export async function huntBugs({ bugs, from, seeds, workers, onDone }: HuntOptions): Promise<Hunt[]> {
  const waiting = [...bugs];
  const hunts: Hunt[] = [];
  const threads = Math.min(workers ?? availableParallelism(), bugs.length);
  await Promise.all(
    Array.from({ length: threads }, async () => {
      for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
        const hunt = await huntOne(bug, from ?? bug.from ?? 1, seeds ?? bug.seeds);
        hunts.push(hunt);
        onDone?.(hunt);
      }
    }),
  );
  return bugs.map((bug) => hunts.find((hunt) => hunt.bug === bug.name) as Hunt);
}

/** Unchanged code through the same loader. */
export function huntNothing(from: number, seeds: number): Promise<Hunt> {
  return run({ name: null, from, seeds }, () => false);
}

function huntOne(bug: Bug, from: number, seeds: number): Promise<Hunt> {
  return run({ name: bug.name, from, seeds }, (message) => bug.caughtBy.some((pattern) => pattern.test(message)));
}

async function run(job: BugJob, isExpected: (message: string) => boolean): Promise<Hunt> {
  const startMs = Date.now();
  const worker = new Worker(join(import.meta.dirname, 'bug-worker.ts'), { workerData: job });
  let seedsRun = 0;
  let events = 0;
  let caught: Hunt['caught'] = null;
  try {
    await new Promise<void>((resolve, reject) => {
      const hangs = (): void => reject(new Error(`bug "${job.name}": seed ${job.from + seedsRun} does not end`));
      let timer = setTimeout(hangs, SEED_TIMEOUT_MS);
      worker.on('error', reject);
      worker.on('exit', () => {
        clearTimeout(timer);
        resolve();
      });
      worker.on('message', (report: BugReport) => {
        clearTimeout(timer);
        // It ends by itself: to end it by force, with databases open, has brought down the whole process.
        if (report.type === 'done') {
          timer = setTimeout(resolve, EXIT_TIMEOUT_MS);
          return;
        }
        timer = setTimeout(hangs, SEED_TIMEOUT_MS);
        seedsRun += 1;
        if (report.type === 'passed') events += report.events;
        else caught = { seed: report.seed, message: report.message, expected: isExpected(report.message) };
      });
    });
  } finally {
    await worker.terminate();
  }
  return { bug: job.name ?? 'none', from: job.from, seedsRun, caught, events, elapsedMs: Date.now() - startMs };
}
