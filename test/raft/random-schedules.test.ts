/**
 * Safety on random schedules (Figure 3): election safety, log matching, leader completeness, state machine safety, commits
 * only what is durable on a quorum, votes and acknowledgements that survive crashes, linearizable reads; and progress
 * once everything works again.
 *
 * A failure prints its counterexample, a seed: `RAFT_SEED=<seed> npx vitest run random-schedules` replays it alone.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RandomSchedule } from './random-schedule.ts';

const given = process.env.RAFT_SEED;
const RUNS = Number(process.env.RAFT_RUNS ?? 300);

if (given === undefined) test(`${RUNS} random schedules keep every promise`, runMany);
else test(`the schedule of seed ${given}`, () => new RandomSchedule(Number(given)).run());

function runMany(): void {
  const total = { leaders: 0, committed: 0, snapshots: 0, reads: 0, truncations: 0 };
  fc.assert(
    fc.property(fc.nat(0x7fffffff), (seed) => {
      const schedule = new RandomSchedule(seed);
      schedule.run();
      for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += schedule.safety.counts[key];
    }),
    // A seed has no smaller one: the first that fails is as good as any.
    { numRuns: RUNS, endOnFailure: true },
  );
  console.log(`random schedules: ${JSON.stringify(total)}`);
  // What never happened was not tested.
  for (const count of Object.values(total)) expect(count).toBeGreaterThan(RUNS / 10);
}
