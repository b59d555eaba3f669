import { describe, expect, test } from 'vitest';
import { ENTRY_OVERHEAD_BYTES } from '../../src/raft/log.ts';
import type { RaftLimits } from '../../src/raft/types.ts';
import { Cluster } from './cluster.ts';
import { CoreHost, diskWith, ELECTION_TIMEOUT_MS, HEARTBEAT_MS } from './core-host.ts';

function alone(limits: Partial<RaftLimits>): CoreHost {
  const host = new CoreHost({ id: 1, limits }, diskWith(1, [1]));
  host.stand();
  return host;
}

const fill = (host: CoreHost, count: number, text = 'x') => {
  for (let i = 0; i < count; i += 1) host.propose(text);
};

describe('log compaction (section 7)', () => {
  test('begins at twice the tail, and leaves a tail', () => {
    const host = alone({ tailEntries: 5 });
    fill(host, 8);
    expect(host.raft.log).toMatchObject({ lastIncludedIndex: 0, lastIndex: 10 });
    fill(host, 1);
    expect(host.raft.log).toMatchObject({ lastIncludedIndex: 6, lastIndex: 11 });
    expect(host.durable.entries.map(({ index }) => index)).toEqual([7, 8, 9, 10, 11]);
  });

  test('counts bytes as well', () => {
    const host = alone({ tailBytes: 3 * (ENTRY_OVERHEAD_BYTES + 100) });
    fill(host, 50, 'x'.repeat(100));
    expect(host.raft.log.lastIndex - host.raft.log.lastIncludedIndex).toBeLessThanOrEqual(7);
    expect(host.disk.state).toHaveLength(50);
  });

  test('never goes beyond what is applied', () => {
    const group = new Cluster({ host: () => ({ limits: { tailEntries: 1 } }) });
    const leader = group.elect(1);
    for (const id of [2, 3]) group.crash(id);
    fill(leader, 20);
    expect(leader.raft.log.lastIncludedIndex).toBeLessThanOrEqual(leader.raft.lastApplied);
    expect(leader.raft.log.lastIndex).toBe(22);
  });

  test('remembers term and configuration of what it deleted: a restart finds both', () => {
    const host = alone({ tailEntries: 2 });
    fill(host, 20);
    host.restart();
    expect(host.raft.log.lastIncludedTerm).toBe(2);
    expect(host.raft.configuration?.voters).toHaveLength(1);
    host.tick();
    expect(host.raft.role).toBe('leader');
  });

  test('every peer compacts by itself', () => {
    const group = new Cluster({ host: () => ({ limits: { tailEntries: 4 } }) });
    group.elect(1);
    for (let i = 0; i < 40; i += 1) group.commit(`c${i}`);
    group.advance(HEARTBEAT_MS);
    for (const host of group.hosts.values()) expect(host.disk.entries.length).toBeLessThanOrEqual(9);
  });
});

describe('what a leader keeps for others', () => {
  const limits = { tailEntries: 2, tailBytes: 10_000 };

  test('a live follower on its way keeps what it still needs', () => {
    const group = new Cluster({ host: () => ({ limits }) });
    const leader = group.elect(1);
    const held = () => group.take(({ to, from }) => to === 3 || from === 3);
    for (let i = 0; i < 30; i += 1) {
      leader.propose(`c${i}`);
      held();
      group.settle(({ to, from }) => to !== 3 && from !== 3);
    }
    expect(leader.raft.log.lastIncludedIndex).toBeLessThanOrEqual(leader.raft.progress.get(3)!.matchIndex);
    group.advance(1000);
    expect(group.host(3).disk.state).toHaveLength(30);
    expect(leader.cutsBegun).toBe(0);
  });

  test('a silent one keeps only the tail', () => {
    const group = new Cluster({ host: () => ({ limits }) });
    const leader = group.elect(1);
    group.isolate(3);
    group.advance(ELECTION_TIMEOUT_MS + HEARTBEAT_MS);
    group.commit(...Array.from({ length: 30 }, (_, i) => `c${i}`));
    expect(leader.raft.log.lastIndex - leader.raft.log.lastIncludedIndex).toBeLessThanOrEqual(5);
  });

  test('a slow one keeps no more than the limit', () => {
    const group = new Cluster({ host: () => ({ limits: { ...limits, retainedBytes: 10 * ENTRY_OVERHEAD_BYTES } }) });
    const leader = group.elect(1);
    for (let i = 0; i < 30; i += 1) {
      leader.propose(`c${i}`);
      group.settle(({ to, from }) => to !== 3 && from !== 3);
    }
    expect(leader.raft.log.lastIndex - leader.raft.log.lastIncludedIndex).toBeLessThanOrEqual(15);
  });

  test('an open cut keeps what follows it, but no more than the limit either', () => {
    const group = new Cluster({ host: () => ({ limits: { ...limits, retainedBytes: 10 * ENTRY_OVERHEAD_BYTES } }) });
    const leader = group.elect(1);
    group.isolate(3);
    group.advance(ELECTION_TIMEOUT_MS + HEARTBEAT_MS);
    group.commit(...Array.from({ length: 10 }, (_, i) => `c${i}`));
    group.heal();
    const withoutChunks = ({ type }: { type: string }): boolean => type !== 'InstallSnapshot';
    for (let i = 0; i < 20 && leader.raft.cut === null; i += 1) {
      group.advance(HEARTBEAT_MS / 4, { settle: false });
      group.settle(withoutChunks);
    }
    expect(leader.raft.cut).not.toBeNull();
    const cutAt = leader.raft.cut!.lastIncludedIndex;
    for (let i = 0; i < 6; i += 1) {
      leader.propose(`within the limit ${i}`);
      group.settle(({ to, from }) => to !== 3 && from !== 3);
    }
    expect(leader.raft.log.lastIncludedIndex).toBeLessThanOrEqual(cutAt);
    for (let i = 0; i < 30; i += 1) {
      leader.propose(`beyond it ${i}`);
      group.settle(({ to, from }) => to !== 3 && from !== 3);
    }
    expect(leader.raft.log.lastIndex - leader.raft.log.lastIncludedIndex).toBeLessThanOrEqual(15);
  });
});
