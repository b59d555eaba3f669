import { expect, test } from 'vitest';
import { runSeeds } from './seeds.ts';
import { simulate } from './simulation.ts';

const SEEDS = 240;

test(`${SEEDS} seeds: whole groups under faults keep every invariant, make progress once healed, and are linearizable`, async () => {
  let done = 0;
  const outcomes = await runSeeds({
    from: 1,
    count: SEEDS,
    allFaults: false,
    onDone: () => {
      done += 1;
      if (done % 40 === 0) console.log(`simulation: ${done}/${SEEDS} seeds`);
    },
  });
  const failures = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.message]));
  expect(failures, 'replay one with: npm run soak -- --replay SEED').toEqual([]);
  const results = outcomes.flatMap((outcome) => (outcome.ok ? [outcome.result] : []));
  // A simulation in which nothing happens proves nothing.
  const sum = (of: (result: (typeof results)[number]) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  expect(sum((result) => result.operations)).toBeGreaterThan(50 * SEEDS);
  expect(sum((result) => result.terms)).toBeGreaterThan(2 * SEEDS);
  expect(sum((result) => result.snapshots)).toBeGreaterThan(SEEDS / 4);
  expect(sum((result) => result.acts)).toBeGreaterThan(10 * SEEDS);
  expect(sum((result) => result.wiped)).toBeGreaterThan(0);
  expect(sum((result) => result.deletions)).toBeGreaterThan(SEEDS / 40);
  expect(sum((result) => result.sleeps)).toBeGreaterThan(SEEDS / 2);
  expect(sum((result) => result.ledAgain)).toBeGreaterThan(0);
  expect(sum((result) => result.fillings)).toBeGreaterThan(SEEDS / 10);
  expect(sum((result) => result.expiredSessions)).toBeGreaterThan(0);
}, 600_000);

test.for([3, 18, 77])('seed %i gives the same trace twice, byte for byte', async (seed) => {
  const [first, second] = [await simulate({ seed, trace: true }), await simulate({ seed, trace: true })];
  expect(second).toEqual(first);
});

test('another seed gives another trace', async () => {
  const [first, second] = [await simulate({ seed: 5, trace: true }), await simulate({ seed: 6, trace: true })];
  expect(second.traceHash).not.toBe(first.traceHash);
});
