import { expect, test } from 'vitest';
import { kindOf, shrink, sizeOf } from './shrink.ts';
import { SimulationFailure, simulate } from './simulation.ts';
import { drawPlan } from './swarm.ts';
import { SimulationError, type World } from './world.ts';

/** What no Raft promises, so that any run with enough elections breaks it. */
function noThirdTerm(world: World): void {
  for (const { object, peer } of world.instances())
    if ((peer?.raft?.currentTerm ?? 0) >= 3) throw new SimulationError(`${object.name}#1: a third term`);
}

async function firstFailure(from: number, alsoCheck: (world: World) => void): Promise<SimulationFailure> {
  for (let seed = from; ; seed += 1) {
    const { peers, faults } = drawPlan(seed);
    if (peers !== 5 || faults.length < 8) continue;
    const failure = await simulate({ seed, alsoCheck }).catch((error: unknown) => error);
    if (failure instanceof SimulationFailure) return failure;
  }
}

test('a failing run is made much smaller, fails in the same way, and does so whenever it is shrunk', async () => {
  // The first from here on needs neither its crowd of clients nor its kinds of fault: there is much to leave out.
  const failure = await firstFailure(500, noThirdTerm);
  const options = { seed: failure.seed, alsoCheck: noThirdTerm, maxRuns: 80 };
  const first = await shrink(options);
  expect(first?.before.message).toBe(failure.message);
  const { after, before, overrides } = first!;
  expect(kindOf(after)).toBe(kindOf(before));
  expect(sizeOf(after)).toBeLessThan(sizeOf(before) / 2);
  expect(after.plan.clients).toBe(1);
  expect(after.plan.faults.length + Object.keys(after.plan.accidents).length).toBeLessThan(4);
  // The overrides say it all.
  const again = await simulate({ seed: failure.seed, plan: overrides, alsoCheck: noThirdTerm }).catch((error) => error);
  expect((again as SimulationFailure).message).toBe(after.message);
  expect((await shrink(options))?.overrides).toEqual(overrides);
}, 120_000);

test('a seed that does not fail is not shrunk', async () => {
  expect(await shrink({ seed: 1, maxRuns: 10 })).toBeNull();
});

test('failures are of one kind whatever their names and numbers', () => {
  const failing = (what: string) => ({ what }) as SimulationFailure;
  const kind = kindOf(failing('default/3.1#4~: committed on a quorum’s disks: 17 is on 1'));
  expect(kindOf(failing('default/1.1#12: committed on a quorum’s disks: 230 is on 2'))).toBe(kind);
  expect(kindOf(failing('default/1.1#12: election safety: default/2.1#3 led this term'))).not.toBe(kind);
});
