/**
 *     npm run soak -- --labs --runs 1000 [--from 1] [--only NAME] [--markdown]
 *     npm run soak -- --labs --only NAME --replay SEED
 *
 * Runs the tests of the catalogue again and again, over all cores: each with the seeds `from` to `from + runs - 1`. A test that
 * passes once proves nothing.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Progress } from '../simulation/progress.ts';
import { selectTests } from './catalogue.ts';
import { TestFigures } from './lab-figures.ts';
import { markdownTable, soakTable } from './lab-tables.ts';
import type { LabJob, LabOutcome } from './labs-worker.ts';

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
  const tests = selectTests(options.only ?? null).map((test) => new TestFigures(test));
  const progress = new Progress(tests.length * options.runs);
  const jobs = jobsOf(tests, options);
  const threads = Math.max(1, options.workers ?? availableParallelism());
  await Promise.all(Array.from({ length: threads }, () => work(jobs, progress)));
  const failures = tests.reduce((sum, { failed }) => sum + failed, 0);
  console.log(`\n${options.markdown === true ? markdownTable(tests) : soakTable(tests)}`);
  console.log(`\n${tests.length} tests × ${options.runs} runs, ${failures} failed, ${progress.seconds.toFixed(0)} s`);
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

async function work(jobs: Generator<QueuedRun>, progress: Progress): Promise<void> {
  let worker = startWorker();
  try {
    for (let next = jobs.next(); next.done !== true; next = jobs.next()) {
      const { figures, seed } = next.value;
      const { name } = figures.test;
      const outcome = await ask(worker, { name, seed });
      figures.add(outcome ?? { ok: false, message: `no end after ${RUN_TIMEOUT_MS} ms` });
      if (outcome?.ok !== true) {
        progress.failed += 1;
        const message = outcome?.message ?? 'the run does not end';
        console.log(`\n${name}, seed ${seed}: ${message}\n  replay: ${replayCommand(name, seed)}`);
      }
      progress.step();
      if (outcome !== null) continue;
      await worker.terminate();
      worker = startWorker();
    }
  } finally {
    await worker.terminate();
  }
}

function startWorker(): Worker {
  return new Worker(join(import.meta.dirname, 'labs-worker.ts'));
}

/** Null: it hangs. */
function ask(worker: Worker, job: LabJob): Promise<LabOutcome | null> {
  return new Promise((resolve, reject) => {
    const settle = (outcome: LabOutcome | null): void => {
      clearTimeout(timer);
      worker.off('error', reject);
      worker.off('message', settle);
      resolve(outcome);
    };
    const timer = setTimeout(() => settle(null), RUN_TIMEOUT_MS);
    worker.once('message', settle);
    worker.once('error', reject);
    worker.postMessage(job);
  });
}

export function replayCommand(name: string, seed: number): string {
  return `npm run soak -- --labs --only ${name.includes(' ') ? `'${name}'` : name} --replay ${seed}`;
}

/** One run again, with its trace if the test writes one; 1 if it fails. */
export async function replayLab({
  only,
  seed,
}: {
  readonly only: string | null;
  readonly seed: number;
}): Promise<number> {
  const [test, ...rest] = selectTests(only);
  if (test === undefined || rest.length > 0) throw new RangeError('a replay takes the name of one test: --only NAME');
  try {
    console.log(await test.run({ seed, trace: (line) => console.log(line) }));
    return 0;
  } catch (error) {
    console.error(error);
    return 1;
  }
}
