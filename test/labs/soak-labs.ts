/**
 *     npm run soak -- --labs --runs 1000 [--from 1] [--only NAME] [--markdown]
 *     npm run soak -- --labs --only NAME --replay SEED
 *
 * Runs the tests of the catalogue again and again, over all cores: each with the seeds `from` to `from + runs - 1`. A test that
 * passes once proves nothing.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { JobProcess, JobProcessError } from '../simulation/job-process.ts';
import { Progress } from '../simulation/progress.ts';
import { selectTests } from './catalogue.ts';
import { TestFigures } from './lab-figures.ts';
import { markdownTable, soakTable } from './lab-tables.ts';
import type { LabJob, LabOutcome } from './labs-worker.ts';
import { watchedRun } from './watched-run.ts';

/** Failures after these are told, but run again by nobody: they are often the same. */
const MAX_TIMELINES = 3;
/** A run that takes this long hangs. */
const RUN_TIMEOUT_MS = 300_000;

export interface SoakLabsOptions {
  readonly runs: number;
  readonly from: number;
  /** A name, or a part of names; null or none: all. */
  readonly only?: string | null;
  readonly workers?: number | null;
  /** The table of README.md instead of the plain one. */
  readonly markdown?: boolean;
}

/** Returns how many runs failed. */
export async function soakLabs(options: SoakLabsOptions): Promise<number> {
  if (!Number.isSafeInteger(options.runs) || options.runs < 1) throw new RangeError('runs: a whole number, 1 or more');
  if (!Number.isSafeInteger(options.from)) throw new RangeError('from: a whole number');
  const tests = selectTests(options.only ?? null).map((test) => new TestFigures(test));
  const progress = new Progress(tests.length * options.runs);
  const jobs = jobsOf(tests, options);
  const processes = Math.max(1, options.workers ?? availableParallelism());
  const unexplained: QueuedRun[] = [];
  await Promise.all(Array.from({ length: processes }, () => work(jobs, progress, unexplained)));
  const failures = tests.reduce((sum, { failed }) => sum + failed, 0);
  console.log(`\n${options.markdown === true ? markdownTable(tests) : soakTable(tests)}`);
  console.log(`\n${tests.length} tests × ${options.runs} runs, ${failures} failed, ${progress.seconds.toFixed(0)} s`);
  for (const { figures, seed } of unexplained.slice(0, MAX_TIMELINES)) await watchedRun(figures.test, { seed });
  return failures;
}

interface QueuedRun {
  readonly figures: TestFigures;
  readonly seed: number;
}

/** Seed by seed, so that the time left is known early, though some tests take a hundred times as long as others. */
function* jobsOf(tests: readonly TestFigures[], { from, runs }: SoakLabsOptions): Generator<QueuedRun> {
  for (let seed = from; seed < from + runs; seed += 1) for (const figures of tests) yield { figures, seed };
}

/** `unexplained`: where those runs go whose clerks saw what nothing explains. */
async function work(jobs: Generator<QueuedRun>, progress: Progress, unexplained: QueuedRun[]): Promise<void> {
  let worker = startWorker();
  try {
    for (let next = jobs.next(); next.done !== true; next = jobs.next()) {
      const { figures, seed } = next.value;
      const { name } = figures.test;
      const outcome = await worker.ask({ name, seed }, RUN_TIMEOUT_MS).catch((error: unknown): LabOutcome => {
        if (!(error instanceof JobProcessError)) throw error;
        // A run that hangs, or takes the process with it, has failed; the others go on.
        worker.stop();
        worker = startWorker();
        return { ok: false, message: error.message, notLinearizable: false };
      });
      figures.add(outcome);
      if (!outcome.ok) {
        progress.failed += 1;
        if (outcome.notLinearizable) unexplained.push(next.value);
        console.log(`\n${name}, seed ${seed}: ${outcome.message}\n  replay: ${replayCommand(name, seed)}`);
      }
      progress.step();
    }
  } finally {
    worker.stop();
  }
}

function startWorker(): JobProcess<LabJob, LabOutcome> {
  return new JobProcess(join(import.meta.dirname, 'labs-worker.ts'));
}

export function replayCommand(name: string, seed: number): string {
  return `npm run soak -- --labs --only ${name.includes(' ') ? `'${name}'` : name} --replay ${seed}`;
}

/** One run again, with its trace if the test writes one, and with its timeline; 1 if it fails. */
export async function replayLab({
  only,
  seed,
}: {
  readonly only: string | null;
  readonly seed: number;
}): Promise<number> {
  const [test, ...rest] = selectTests(only);
  if (test === undefined || rest.length > 0) throw new RangeError('a replay takes the name of one test: --only NAME');
  const report = await watchedRun(test, { seed, trace: (line) => console.log(line) });
  if (report !== null) console.log(report);
  return report === null ? 1 : 0;
}
