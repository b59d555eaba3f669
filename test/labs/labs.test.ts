/** Every test of the catalogue with a few seeds; `npm run soak -- --labs --runs N` runs them with many. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { JobProcess } from '../simulation/job-process.ts';
import { CATALOGUE, COURSE_TESTS, RAFT_TESTS, selectTests } from './catalogue.ts';
import type { LabJob, LabOutcome } from './labs-worker.ts';
import { replayCommand } from './soak-labs.ts';

const SEEDS = [1, 2, 3];

describe('the catalogue', () => {
  test('every name is unique', () => {
    const names = CATALOGUE.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  test('it is whole: 28 Raft tests; 23 on get, put, append; 8 rsm; 22 kvraft', () => {
    expect(RAFT_TESTS).toHaveLength(28);
    expect(COURSE_TESTS).toHaveLength(28 + 23 + 8 + 22);
  });
});

describe('the labs', () => {
  test.each(CATALOGUE)('$name', async ({ name, run }) => {
    for (const seed of SEEDS) {
      const report = await run({ seed }).catch((error: Error) => {
        throw new Error(`seed ${seed}: ${error.message}\n  replay: ${replayCommand(name, seed)}`, { cause: error });
      });
      expect(report.rpcs).toBeGreaterThan(0);
    }
  });

  const OF_EACH_KIND = [
    'TestBasic4A',
    'TestPersistPartitionUnreliable4A',
    'TestRestartReplay rsm4A',
    'TestUnreliable kvraft4B',
  ];
  const replayed = [...RAFT_TESTS.slice(0, 5), ...OF_EACH_KIND.flatMap((name) => selectTests(name))];

  test.each(replayed)('$name is decided by its seed', async ({ run }) => {
    expect(await run({ seed: 7 })).toEqual(await run({ seed: 7 }));
    expect(await run({ seed: 7 })).not.toEqual(await run({ seed: 8 }));
  });

  test('what a soak finds in one of its processes, a replay finds in another', async () => {
    const worker = new JobProcess<LabJob, LabOutcome>(join(import.meta.dirname, 'labs-worker.ts'));
    try {
      for (const { name, run } of replayed) {
        const found = await worker.ask({ name, seed: 3 }, 60_000);
        expect(found, name).toMatchObject({ ok: true, report: await run({ seed: 3 }) });
      }
    } finally {
      worker.stop();
    }
  });
});
