/**
 *     npm run soak -- --labs --runs 1000 [--from 1] [--only NAME] [--markdown]
 *     npm run soak -- --labs --only NAME --replay SEED
 *
 * Runs the tests of the catalogue again and again, over all cores: each with the seeds `from` to `from + runs - 1`. A test that
 * passes once proves nothing.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { runJobs } from '../simulation/job-process.ts';
import { Progress } from '../simulation/progress.ts';
import { selectTests } from './catalogue.ts';
import type { LabTest } from './lab.ts';
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
  /** The table of README.md, too. */
  readonly markdown?: boolean;
}

/** Returns how many runs failed. */
export async function soakLabs(options: SoakLabsOptions): Promise<number> {
  if (!Number.isSafeInteger(options.runs) || options.runs < 1) throw new RangeError('runs: a whole number, 1 or more');
  if (!Number.isSafeInteger(options.from)) throw new RangeError('from: a whole number');
  const tests = selectTests(options.only ?? null);
  const figures = new Map(tests.map((test) => [test.name, new TestFigures(test)]));
  const progress = new Progress(tests.length * options.runs);
  /** Runs whose clerks saw what nothing explains. */
  const unexplained: LabJob[] = [];
  await runJobs<LabJob, LabOutcome>(jobsOf(tests, options), {
    file: join(import.meta.dirname, 'labs-worker.ts'),
    processes: Math.max(1, options.workers ?? availableParallelism()),
    timeoutMs: RUN_TIMEOUT_MS,
    failed: (_, { message }) => ({ ok: false, message, notLinearizable: false }),
    onDone: (job, outcome) => {
      figures.get(job.name)!.add(outcome);
      if (!outcome.ok) {
        progress.failed += 1;
        if (outcome.notLinearizable) unexplained.push(job);
        console.log(
          `\n${job.name}, seed ${job.seed}: ${outcome.message}\n  replay: ${replayCommand(job.name, job.seed)}`,
        );
      }
      progress.step();
    },
  });
  const all = [...figures.values()];
  const failures = all.reduce((sum, { failed }) => sum + failed, 0);
  console.log(`\n${soakTable(all)}`);
  if (options.markdown === true) console.log(`\n${markdownTable(all)}`);
  console.log(`\n${tests.length} tests × ${options.runs} runs, ${failures} failed, ${progress.seconds.toFixed(0)} s`);
  for (const { name, seed } of unexplained.slice(0, MAX_TIMELINES)) await watchedRun(figures.get(name)!.test, { seed });
  return failures;
}

/** Seed by seed, so that the time left is known early, though some tests take a hundred times as long as others. */
function* jobsOf(tests: readonly LabTest[], { from, runs }: SoakLabsOptions): Generator<LabJob> {
  for (let seed = from; seed < from + runs; seed += 1) for (const { name } of tests) yield { name, seed };
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
