/** The simulated disk knows the peers' statements by their text: what it told by one that was reworded would silently end. */
import { expect, test } from 'vitest';
import type { SimulationPlan } from './plan.ts';
import { simulate } from './simulation.ts';
import { drawPlan } from './swarm.ts';
import type { SimObject, World } from './world.ts';

/** What lies in the tables, all of it flushed, is what the disk has noted of the statements that wrote it. */
function expectNoted({ name, disk }: SimObject): void {
  if (!disk.hasTables || disk.unflushed) return;
  const [[term, votedFor] = []] = disk.inspect('SELECT current_term, voted_for FROM peer_state');
  // The statement that founds a peer notes nothing: it is in no term yet.
  if (term !== 0) expect(disk.durableVote, name).toEqual({ term, votedFor });
  expect(disk.durableRecord, name).toEqual(disk.quiesceRecord());
  const rows = disk.inspect('SELECT idx FROM log WHERE idx > (SELECT last_included_index FROM peer_state)');
  expect(rows.filter(([index]) => !disk.logRowTurn.has(index as number))).toEqual([]);
}

interface Happened {
  votes: number;
  sleeps: number;
  stagings: number;
  installations: number;
}

const SEEDS = [1, 2, 3, 4];

/** Runs of all seeds, looked at after every event. */
async function happenedUnder(overrides: Partial<SimulationPlan>): Promise<Happened> {
  const happened: Happened = { votes: 0, sleeps: 0, stagings: 0, installations: 0 };
  for (const seed of SEEDS) await watch(seed, overrides, happened);
  return happened;
}

async function watch(seed: number, overrides: Partial<SimulationPlan>, happened: Happened): Promise<void> {
  const base = drawPlan(seed);
  const store = { ...base.store, pageBytes: 1 };
  const limits = { ...base.limits, tailEntries: 2 };
  const plan = { peers: 3, clients: 4, faults: ['crash'], accidents: {}, tenant: false, newerPeers: 0, store, limits };
  const alsoCheck = (world: World): void => {
    world.onStaging = () => {
      happened.stagings += 1;
    };
    for (const object of world.objects.values()) {
      object.disk.onInstalling = () => {
        happened.installations += 1;
      };
      expectNoted(object);
      if (object.disk.durableVote !== null) happened.votes += 1;
      if (object.disk.durableRecord !== null) happened.sleeps += 1;
    }
  };
  await simulate({ seed, plan: { ...plan, ...overrides }, alsoCheck });
}

test(`seeds ${SEEDS}: in a busy group, votes, log rows, chunks of snapshots and their installation`, async () => {
  const plan = { accidents: { lag: 1 }, accidentPauseMs: 200, chaosMs: 6000, maxThinkMs: 3 };
  const { votes, stagings, installations } = await happenedUnder(plan);
  expect(votes).toBeGreaterThan(0);
  expect(stagings).toBeGreaterThan(0);
  expect(installations).toBeGreaterThan(0);
});

test(`seeds ${SEEDS}: in an idle group, the record of its sleep`, async () => {
  const { sleeps } = await happenedUnder({ clients: 1, chaosMs: 10_000, maxThinkMs: 3000, quiesceAfterMs: 60 });
  expect(sleeps).toBeGreaterThan(0);
});
