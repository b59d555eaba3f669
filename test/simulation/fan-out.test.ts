import { describe, expect, test } from 'vitest';
import { SimGroup } from './sim-group.ts';

const SLOW_FLUSH_MS = 150;

/** A group with an elected leader, whose disk is slow from now on: what it sends early reaches the others long before it is written. */
async function groupWithSlowLeader(seed: number, peers = 3) {
  const group = new SimGroup({ seed, peers });
  expect(await group.put('before', '0')).toBe('written');
  await group.pass(1000);
  const leader = group.leader()!;
  const { disk } = group.object(leader);
  // Its alarm is a write too, twice a heartbeat: soon after these there is time for the put.
  await group.pass(5000, () => disk.unflushed);
  await group.pass(30);
  disk.flushMs = () => SLOW_FLUSH_MS;
  return { group, leader, followers: [1, 2, 3, 4, 5].slice(0, peers).filter((slot) => slot !== leader) };
}

async function whileOpen(group: SimGroup, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } finally {
    group.close();
  }
}

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];

describe('a leader sends new entries before it writes them itself (dissertation 10.2.1)', () => {
  test.for(SEEDS)('seed %i: a quorum of followers commits while its own disk is busy', async (seed) => {
    const { group, leader } = await groupWithSlowLeader(seed);
    await whileOpen(group, async () => {
      const startMs = group.world.scheduler.nowMs;
      const outcome = group.beginPut('key', '1');
      const raft = group.raft(leader)!;
      const { lastIndex } = raft.log;
      expect(await group.pass(SLOW_FLUSH_MS / 2, () => raft.commitIndex === lastIndex + 1)).toBe(true);
      expect(raft.durableIndex).toBe(lastIndex);
      // Its answer waits for what the leader has written, and for nothing that it writes afterwards.
      expect(await group.until(outcome)).toBe('written');
      const tookMs = group.world.scheduler.nowMs - startMs;
      expect(tookMs).toBeGreaterThanOrEqual(SLOW_FLUSH_MS);
      expect(tookMs).toBeLessThan(1.5 * SLOW_FLUSH_MS);
    });
  });

  test.for(SEEDS)(
    'seed %i: a leader that dies between the two has lost the entry, and nobody else has',
    async (seed) => {
      const { group, leader, followers } = await groupWithSlowLeader(seed);
      await whileOpen(group, async () => {
        const { term } = stateOf(group, leader);
        const raft = group.raft(leader)!;
        const { lastIndex } = raft.log;
        const outcome = group.beginPut('key', '1');
        expect(await group.pass(SLOW_FLUSH_MS / 2, () => raft.commitIndex === lastIndex + 1)).toBe(true);
        group.world.crash(group.object(leader));
        const [[stored] = []] = group.object(leader).disk.inspect('SELECT max(idx) FROM log');
        expect(stored).toBe(lastIndex);
        expect(await group.until(outcome)).toBe('written');
        expect(await group.get('key')).toBe('1');
        // Restored, it has voted for itself in its old term, and does not lead it: it would write another entry there.
        const now = group.leader()!;
        expect(stateOf(group, now).term).toBeGreaterThan(term);
        expect(followers).toContain(now);
        expect(await group.pass(10_000, () => group.equal([leader, ...followers]))).toBe(true);
      });
    },
  );

  test.for(SEEDS)(
    'seed %i: where only the leader itself would make the quorum, its disk is waited for',
    async (seed) => {
      const { group, leader, followers } = await groupWithSlowLeader(seed);
      await whileOpen(group, async () => {
        group.isolate(followers[0]!);
        const startMs = group.world.scheduler.nowMs;
        expect(await group.put('key', '1')).toBe('written');
        expect(group.world.scheduler.nowMs - startMs).toBeGreaterThanOrEqual(SLOW_FLUSH_MS);
        expect(group.leader()).toBe(leader);
      });
    },
  );

  test.for(SEEDS)(
    'seed %i: a superseded leader writes nothing of what it sent, and the group goes on',
    async (seed) => {
      const { group, leader, followers } = await groupWithSlowLeader(seed);
      await whileOpen(group, async () => {
        const { term } = stateOf(group, leader);
        const outcome = group.beginPut('key', '1');
        // The entry is on its way, or there already; the old instance runs on, and its storage refuses.
        await group.pass(3);
        group.world.supersede(group.object(leader), 300);
        expect(await group.until(outcome)).toBe('written');
        expect(await group.get('key')).toBe('1');
        expect(stateOf(group, group.leader()!).term).toBeGreaterThan(term);
        expect(await group.pass(10_000, () => group.equal([leader, ...followers]))).toBe(true);
      });
    },
  );
});

describe('an answer leaves before its rows are written', () => {
  test.for(SEEDS)('seed %i: a leader that dies in between applies the entry again', async (seed) => {
    const group = new SimGroup({ seed });
    await whileOpen(group, async () => {
      expect(await group.put('key', '0')).toBe('written');
      await group.pass(1000);
      const leader = group.leader()!;
      const { platform } = group.object(leader).instance!.peer;
      // Of the moment in which the answer leaves: the rows are put off.
      let putOff = false;
      group.world.onMessage = ({ from, route, kind }) => {
        if (from === group.object(leader).name && route === 'client' && kind === 'reply')
          putOff ||= platform.sql.pending;
        return null;
      };
      expect(await group.put('key', '1')).toBe('written');
      expect(putOff).toBe(true);
      group.world.crash(group.object(leader));
      expect(await group.get('key')).toBe('1');
      expect(await group.pass(10_000, () => group.equal([1, 2, 3]))).toBe(true);
    });
  });
});

function stateOf(group: SimGroup, slot: number) {
  const raft = group.raft(slot)!;
  return { term: raft.currentTerm, lastIndex: raft.log.lastIndex };
}
