/** Hunts bugs over all cores: a process for each, which ends with the first seed that fails. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { JobProcess } from '../job-process.ts';
import type { Bug } from './bug.ts';
import { type BugJob, type BugReport, UNCHANGED } from './bug-job.ts';

/** A run that is this slow hangs: a bug that loops for ever is a find of nobody's. */
const SEED_TIMEOUT_MS = 120_000;

/** Where a bug does not say. The seeds before are long ones, and catch few: the same time for each of 85 bugs. */
const FIRST_SEED = 4;

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
  const processes = Math.min(workers ?? availableParallelism(), bugs.length);
  await Promise.all(
    Array.from({ length: processes }, async () => {
      for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
        const hunt = await huntOne(bug, from ?? bug.from ?? FIRST_SEED, seeds ?? bug.seeds);
        hunts.push(hunt);
        onDone?.(hunt);
      }
    }),
  );
  return bugs.map((bug) => hunts.find((hunt) => hunt.bug === bug.name) as Hunt);
}

/** Unchanged code through the same loader. */
export function huntNothing(from: number, seeds: number): Promise<Hunt> {
  return huntOne({ name: UNCHANGED, caughtBy: [] }, from, seeds);
}

type Hunted = Pick<Bug, 'name' | 'caughtBy'>;

async function huntOne({ name, caughtBy }: Hunted, from: number, seeds: number): Promise<Hunt> {
  const startMs = Date.now();
  const worker = new JobProcess<BugJob, BugReport>(join(import.meta.dirname, 'bug-worker.ts'), name);
  let seedsRun = 0;
  let events = 0;
  let caught: Hunt['caught'] = null;
  try {
    while (seedsRun < seeds && caught === null) {
      const seed = from + seedsRun;
      const report = await worker.ask({ seed }, SEED_TIMEOUT_MS);
      seedsRun += 1;
      if (report.type === 'passed') events += report.events;
      else
        caught = { seed, message: report.message, expected: caughtBy.some((pattern) => pattern.test(report.message)) };
    }
  } catch (error) {
    throw new Error(`bug "${name}", seed ${from + seedsRun}`, { cause: error });
  } finally {
    worker.stop();
  }
  return { bug: name, from, seedsRun, caught, events, elapsedMs: Date.now() - startMs };
}
