import { describe, expect, test } from 'vitest';
import { InvariantViolation } from '../../src/raft/invariant.ts';
import { Cluster } from './cluster.ts';
import { CoreHost, diskWith, emptyDisk } from './core-host.ts';
import { configurationOf } from './entries.ts';
import { appendEntries } from './messages.ts';

const found = (host: CoreHost, peers = 3) => host.input({ type: 'found', configuration: configurationOf(peers) });
const empty = (peers = 3, flushAtOnce = true) =>
  new Cluster({ disks: Array.from({ length: peers }, emptyDisk), host: () => ({ flushAtOnce }) });

describe('founding', () => {
  test('term 1, the founder’s vote for itself and entry 1 are one write', () => {
    const founder = new CoreHost({ id: 1, flushAtOnce: false }, emptyDisk());
    found(founder);
    expect(founder.lastEffects).toMatchObject({
      hardState: { currentTerm: 1, votedFor: 1 },
      append: [{ index: 1, term: 1, elapsedMs: 0, payload: { type: 'configuration' } }],
    });
  });

  test('the founder leads, and sends, only when that is durable', () => {
    const founder = new CoreHost({ id: 1, flushAtOnce: false }, emptyDisk());
    found(founder);
    founder.tick();
    expect(founder.raft.role).toBe('follower');
    expect(founder.propose('too early')).toEqual({ outcome: 'not_leader' });
    expect(founder.sent).toEqual([]);
    founder.flush();
    expect(founder.raft).toMatchObject({ role: 'leader', currentTerm: 1, durableIndex: 1 });
    expect(founder.sent.map(({ message }) => message.type)).toEqual(['AppendEntries', 'AppendEntries']);
  });

  test('while it waits for its disk it does not stand', () => {
    const founder = new CoreHost({ id: 1, flushAtOnce: false }, emptyDisk());
    found(founder);
    founder.nowMs = 100_000;
    founder.tick();
    founder.stand();
    expect(founder.raft).toMatchObject({ role: 'follower', currentTerm: 1 });
    expect(founder.deadlineMs).toBeNull();
  });

  test('the others get their configuration as entry 1, and it commits without a no-op', () => {
    const group = empty();
    found(group.host(1));
    group.settle();
    expect(group.host(1).raft).toMatchObject({ role: 'leader', commitIndex: 1 });
    group.commit('a');
    group.advance(200);
    for (const host of group.hosts.values()) {
      expect(host.disk.state).toEqual(['a']);
      expect(host.raft.configuration?.voters).toHaveLength(3);
    }
  });

  test('a read waits for entry 1', () => {
    const group = empty();
    found(group.host(1));
    group.host(1).read(1);
    expect(group.host(1).reads.get(1)).toBeUndefined();
    group.settle();
    expect(group.host(1).reads.get(1)?.outcome).toBe('ready');
  });

  test('a crash before the flush leaves nothing, and it may be founded again', () => {
    const founder = new CoreHost({ id: 1, flushAtOnce: false }, emptyDisk());
    found(founder);
    founder.restart();
    expect(founder.disk).toEqual(emptyDisk());
    found(founder);
    founder.flush();
    expect(founder.raft.role).toBe('leader');
  });

  test('a crash after the flush: it is elected, in term 2', () => {
    const group = empty(3, false);
    found(group.host(1));
    group.host(1).flush(1);
    group.crash(1);
    for (const host of group.hosts.values()) host.flushAtOnce = true;
    group.start(1);
    group.settle();
    expect(group.host(1).raft).toMatchObject({ role: 'leader', currentTerm: 2 });
    group.advance(200);
    for (const host of group.hosts.values()) expect(host.raft.commitIndex).toBe(2);
  });

  test('a group of one is founded and served by itself', () => {
    const alone = new CoreHost({ id: 1 }, emptyDisk());
    found(alone, 1);
    alone.propose('a');
    expect(alone.disk).toMatchObject({ state: ['a'], lastApplied: 2 });
    expect(alone.deadlineMs).toBeNull();
  });

  test('whoever has a log or a term is not founded again', () => {
    expect(() => found(new CoreHost({ id: 1 }, diskWith(3, [1])))).toThrow(InvariantViolation);
    const voted = { ...emptyDisk(), hardState: { currentTerm: 1, votedFor: null } };
    expect(() => found(new CoreHost({ id: 1 }, voted))).toThrow(InvariantViolation);
  });

  test('before entry 1 a peer accepts entries and votes, and never stands', () => {
    const host = new CoreHost({ id: 1 }, emptyDisk());
    host.nowMs = 100_000;
    host.tick();
    expect(host.raft.role).toBe('follower');
    expect(host.receive(appendEntries({ term: 1, prevLogIndex: 0, prevLogTerm: 0, terms: [1] }))).toMatchObject({
      success: true,
      matchIndex: 1,
    });
  });
});
