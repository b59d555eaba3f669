/**
 * The chaos run itself is under test: of a broken store it must say so. Another seed:
 * CHAOS_SEED=7 npx vitest run --config test/vitest.config.ts edge/chaos-catches.test.ts
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runChaos } from './chaos/run.ts';

const SEED = Number(process.env.CHAOS_SEED ?? 1);
/** Isolation lasts twice as long: many keys change meanwhile, and many reads ask the peer that does not learn of it. */
const PACE = { calmMs: [300, 700], holdMs: [1500, 2000] } as const;

test(`seed ${SEED}: peers that answer reads without asking a quorum are found out`, { timeout: 120_000 }, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'edgeraft-chaos-'));
  console.log(`seed ${SEED}`);
  const { report } = await runChaos({
    seed: SEED,
    peers: 3,
    loadMs: 0,
    pace: PACE,
    certainFaults: ['isolation', 'isolation of the leader'],
    operationsPerSecond: 200,
    port: 0,
    directory,
    entry: 'test/edge/chaos/stale-worker.ts',
    print: console.log,
  });
  expect(report.violations.join('\n')).toMatch(/the store was seen at \d+ after revision \d+ had been told/);
  await rm(directory, { recursive: true, force: true });
});
