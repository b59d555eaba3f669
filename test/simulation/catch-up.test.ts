import { afterEach, describe, expect, test } from 'vitest';
import { SimGroup } from './sim-group.ts';

let group: SimGroup;
afterEach(() => group.close());

const limits = { tailEntries: 8, tailBytes: 50_000 };

async function writeMany(count: number, prefix: string): Promise<void> {
  for (let i = 0; i < count; i += 1) expect(await group.put(`${prefix}${i % 40}`, `value ${i}`)).toBe('written');
}

describe('a follower that missed what is compacted', () => {
  test('comes back by a snapshot, and is identical', async () => {
    group = new SimGroup({ limits });
    await writeMany(5, 'a');
    group.isolate(3);
    await writeMany(200, 'b');
    const missed = group.raft(3)?.lastApplied ?? 0;
    expect(group.raft(1)?.log.firstIndex).toBeGreaterThan(missed + 1);
    group.heal();
    expect(await group.pass(10_000, () => group.equal([1, 2, 3]))).toBe(true);
    expect(group.raft(3)?.log.lastIncludedIndex).toBeGreaterThan(missed);
  });

  test('catches up under constant writes', async () => {
    group = new SimGroup({ limits });
    await writeMany(5, 'a');
    group.isolate(3);
    await writeMany(100, 'b');
    group.heal();
    let writing = true;
    const writers = [1, 2, 3].map(async (number) => {
      for (let i = 0; writing; i += 1) {
        const write = {
          op: 'put' as const,
          key: new TextEncoder().encode(`w${number}.${i % 9}`),
          condition: null,
          value: new Uint8Array(500),
          valueDigest: new Uint8Array(16),
        };
        await group.client.write('default', {
          operation: write,
          requestDigest: new Uint8Array(16),
          clerk: null,
          peer: null,
        });
      }
    });
    const close = (): boolean => {
      const leader = group.raft(group.leader() ?? 1);
      const follower = group.raft(3);
      return leader !== null && follower !== null && follower.lastApplied >= leader.commitIndex - 5;
    };
    const caughtUp = await group.pass(20_000, close);
    writing = false;
    await group.until(Promise.all(writers));
    expect(caughtUp).toBe(true);
    expect(await group.pass(10_000, () => group.equal([1, 2, 3]))).toBe(true);
  });

  test.each([1, 2])(
    'half way through the installation peer %i crashes at any chunk: it begins anew and ends well',
    async (victimRole) => {
      for (let afterEvents = 5; afterEvents <= 60; afterEvents += 5) {
        group = new SimGroup({ seed: afterEvents, limits });
        await writeMany(3, 'a');
        group.isolate(3);
        // Some pages: the sender's chunks hold about 1 MB.
        for (let i = 0; i < 8; i += 1) expect(await group.put(`big${i}`, 'x'.repeat(500_000))).toBe('written');
        group.heal();
        await group.pass(3000, () => group.object(3).instance?.peer.storage.staging() !== null);
        await group.step(afterEvents);
        group.world.crash(group.object(victimRole === 1 ? (group.leader() ?? 1) : 3));
        expect(await group.put('after', 'crash')).toBe('written');
        expect(await group.pass(20_000, () => group.equal([1, 2, 3])), `after ${afterEvents} events`).toBe(true);
        if (afterEvents < 60) group.close();
      }
    },
  );

  test('that stays away does not keep the log from being compacted', async () => {
    group = new SimGroup({ limits });
    await writeMany(5, 'a');
    group.isolate(2);
    await writeMany(300, 'b');
    expect(group.raft(1)?.log.totalBytes).toBeLessThan(200_000);
    expect((group.raft(1)?.log.lastIndex ?? 0) - (group.raft(1)?.log.firstIndex ?? 0)).toBeLessThan(50);
  });
});
