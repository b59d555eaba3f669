/**
 * The real runtime under attack, for seconds: `npm run chaos` does the same for as long as you like. Another seed:
 * CHAOS_SEED=7 npx vitest run --config test/vitest.config.ts edge/chaos.test.ts
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type FaultKind, SHORT_PACE } from './chaos/fault-schedule.ts';
import { reportTable } from './chaos/report.ts';
import { runChaos } from './chaos/run.ts';

/** What every run meets, whatever its seed and however slow the machine; what else there is time for is drawn. */
const CERTAIN_FAULTS: readonly FaultKind[] = ['kill of the runtime', 'crash of the leader', 'all at once'];
/** It begins with the crash of the leader, so that there is something to lose when the runtime is killed. */
const SEED = Number(process.env.CHAOS_SEED ?? 50);
const OPERATIONS_PER_SECOND = 200;
/** Load, healing and checking, on a machine that is busy with other things. */
const TIMEOUT_MS = 360_000;

test.each([
  { peers: 3, loadMs: 20_000 },
  { peers: 5, loadMs: 15_000 },
] as const)(
  `$peers peers, seed ${SEED}: nothing is lost, nothing done twice, nothing old read, and it goes on`,
  {
    timeout: TIMEOUT_MS,
  },
  async ({ peers, loadMs }) => {
    const directory = await mkdtemp(join(tmpdir(), 'edgeraft-chaos-'));
    console.log(`seed ${SEED}, ${peers} peers`);
    const { report, files } = await runChaos({
      seed: SEED,
      peers,
      loadMs,
      pace: SHORT_PACE,
      certainFaults: CERTAIN_FAULTS,
      operationsPerSecond: OPERATIONS_PER_SECOND,
      port: 0,
      directory,
      print: console.log,
    });
    console.log(reportTable(report));
    expect(report.violations, `what is known of it: ${files.join(', ')}`).toEqual([]);
    // The checks had something to look at.
    expect(report.faults.map(({ kind }) => kind)).toEqual(expect.arrayContaining([...CERTAIN_FAULTS]));
    expect(report.faults.every(({ recoveredMs }) => recoveredMs !== null)).toBe(true);
    expect(report.appends.acknowledged).toBeGreaterThan(0);
    expect(report.checks.listings).toBeGreaterThan(0);
    expect(report.checks.staleReads).toBeGreaterThan(0);
    expect(report.checks.stateHashes).toBeGreaterThan(0);
    await rm(directory, { recursive: true, force: true });
  },
);
