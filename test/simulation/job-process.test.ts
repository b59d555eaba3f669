import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { NumberJob } from './doubling-worker.ts';
import { JobProcess, JobProcessError, runJobs } from './job-process.ts';
import type { SeedJob, SeedOutcome } from './seeds.ts';

const started: JobProcess<SeedJob, SeedOutcome>[] = [];
const start = (file: string): JobProcess<SeedJob, SeedOutcome> => {
  started.push(new JobProcess(join(import.meta.dirname, file)));
  return started.at(-1)!;
};
afterEach(() => {
  for (const worker of started.splice(0)) worker.stop();
});

const job = (seed: number): SeedJob => ({ seed, allFaults: false, plan: {} });

describe('a process for jobs', () => {
  test('reports one job after the other', async () => {
    const worker = start('seeds-worker.ts');
    expect(await worker.ask(job(1), 60_000)).toMatchObject({ ok: true, result: { seed: 1 } });
    expect(await worker.ask(job(2), 60_000)).toMatchObject({ ok: true, result: { seed: 2 } });
  });

  test('that ends before it reports is an error of its own, at once and later on', async () => {
    const worker = start('no-such-worker.ts');
    const ended = new JobProcessError('the process ended: status 1');
    await expect(worker.ask(job(1), 60_000)).rejects.toThrow(ended);
    await expect(worker.ask(job(1), 60_000)).rejects.toThrow(ended);
  });

  test('that takes too long is one, too', async () => {
    await expect(start('seeds-worker.ts').ask(job(1), 1)).rejects.toThrow(new JobProcessError('no end after 1 ms'));
  });

  test('that is stopped ends what it does', async () => {
    const worker = start('seeds-worker.ts');
    const asked = worker.ask(job(1), 60_000);
    worker.stop();
    await expect(asked).rejects.toThrow(new JobProcessError('the process ended: SIGKILL'));
  });
});

test('of many jobs each is told once, and one that ends its process costs only itself', async () => {
  const jobs = [1, 2, 3, 4, 5, 6].map((number): NumberJob => ({ number }));
  const told: string[] = [];
  await runJobs<NumberJob, NumberJob | JobProcessError>(jobs, {
    file: join(import.meta.dirname, 'doubling-worker.ts'),
    processes: 2,
    timeoutMs: 60_000,
    failed: (_, error) => error,
    onDone: ({ number }, report) => told.push(`${number}: ${'number' in report ? report.number : report.message}`),
  });
  expect(told.toSorted()).toEqual(['1: 2', '2: 4', '3: 6', '4: the process ended: status 3', '5: 10', '6: 12']);
});
