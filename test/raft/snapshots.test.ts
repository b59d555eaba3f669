import { describe, expect, test } from 'vitest';
import { InvariantViolation } from '../../src/raft/invariant.ts';
import type { InstallSnapshotReply } from '../../src/raft/messages.ts';
import type { RaftLimits } from '../../src/raft/types.ts';
import { Cluster } from './cluster.ts';
import { CoreHost, diskWith, ELECTION_TIMEOUT_MS, HEARTBEAT_MS } from './core-host.ts';
import { encodeText } from './entries.ts';
import { appendEntries, installSnapshot } from './messages.ts';

const texts = (count: number, prefix = 'c') => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

/** Peer 1 leads; peer 3 was away while 30 commands were committed and compacted, and can be reached again. */
function withLaggard(limits: Partial<RaftLimits> = {}, peers = 3): Cluster {
  const group = new Cluster({
    peers,
    host: () => ({ limits: { tailEntries: 3, tailBytes: 1000, ...limits }, chunkItems: 4 }),
  });
  group.elect(1);
  group.isolate(3);
  group.advance(ELECTION_TIMEOUT_MS + HEARTBEAT_MS);
  group.commit(...texts(30));
  group.heal();
  return group;
}

/** Goes on until the first chunk is under way to peer 3, and leaves it there. */
function untilFirstChunk(group: Cluster): void {
  const isChunk = ({ message }: { message: { type: string } }) => message.type === 'InstallSnapshot';
  for (let i = 0; i < 200 && !group.inTransit.some(isChunk); i += 1) {
    group.advance(10, { settle: false });
    group.settle(({ type }) => type !== 'InstallSnapshot');
  }
  expect(group.inTransit.some(isChunk)).toBe(true);
}

const stateOf = (group: Cluster, id: number) => group.host(id).disk.state;
const chunksTo = (group: Cluster, id: number) =>
  group.delivered.filter((message) => message.type === 'InstallSnapshot' && message.to === id);

describe('a follower that needs what is compacted (section 7)', () => {
  test('gets a cut of the state in chunks, one at a time, and then the log after it', () => {
    const group = withLaggard();
    group.advance(1000);
    expect(stateOf(group, 3)).toEqual(stateOf(group, 1));
    const chunks = chunksTo(group, 3);
    expect(chunks.map((message) => 'chunk' in message && message.chunk)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(group.host(1).cutsBegun).toBe(1);
  });

  test('is asked first whether it is there: a silent one costs no cut', () => {
    const group = withLaggard();
    group.isolate(3);
    group.advance(10_000);
    expect(group.host(1).cutsBegun).toBe(0);
  });

  test('the cut ends when nobody is being sent it', () => {
    const group = withLaggard();
    group.advance(1000);
    expect(group.host(1)).toMatchObject({ cutOpen: false, cutsBegun: 1 });
    expect(group.host(1).raft.cut).toBeNull();
  });

  test('writes go on meanwhile, and the log behind the cut is kept for it', () => {
    const group = withLaggard();
    untilFirstChunk(group);
    for (let i = 0; i < 100; i += 1) {
      group.host(1).propose(`w${i}`);
      group.settle(({ type }) => type !== 'InstallSnapshot');
    }
    group.advance(1000);
    expect(stateOf(group, 3)).toEqual(stateOf(group, 1));
    expect(group.host(1).cutsBegun).toBe(1);
  });

  test('under constant writes it still catches up', () => {
    const group = withLaggard();
    for (let i = 0; i < 100; i += 1) {
      group.host(1).propose(`w${i}`);
      group.advance(10);
    }
    group.advance(2 * HEARTBEAT_MS);
    expect(stateOf(group, 3)).toEqual(stateOf(group, 1));
  });

  test('two followers share one cut', () => {
    const group = new Cluster({ peers: 5, host: () => ({ limits: { tailEntries: 3 }, chunkItems: 4 }) });
    group.elect(1);
    for (const id of [4, 5]) group.isolate(id);
    group.advance(ELECTION_TIMEOUT_MS + HEARTBEAT_MS);
    group.commit(...texts(30));
    group.heal();
    group.advance(2000);
    for (const id of [4, 5]) expect(stateOf(group, id)).toEqual(stateOf(group, 1));
    expect(group.host(1)).toMatchObject({ cutsBegun: 1, cutOpen: false });
  });

  test('an answer to a chunk confirms a round of reads like any other', () => {
    const group = withLaggard();
    untilFirstChunk(group);
    group.settle(({ type }) => type !== 'InstallSnapshot');
    group.crash(2);
    group.host(1).read(1);
    group.settle();
    expect(group.host(1).reads.get(1)?.outcome).toBe('ready');
  });
});

describe('a transfer that is disturbed', () => {
  test('a lost chunk is sent again', () => {
    const group = withLaggard();
    untilFirstChunk(group);
    group.take(({ type }) => type === 'InstallSnapshot');
    group.advance(ELECTION_TIMEOUT_MS + 1000);
    expect(stateOf(group, 3)).toEqual(stateOf(group, 1));
    expect(group.host(1).cutsBegun).toBe(1);
  });

  test('a lost answer too: the follower says where it stands', () => {
    const group = withLaggard();
    untilFirstChunk(group);
    group.deliver();
    group.take(({ type }) => type === 'InstallSnapshotReply');
    group.advance(ELECTION_TIMEOUT_MS + 1000);
    expect(stateOf(group, 3)).toEqual(stateOf(group, 1));
  });

  test('doubled chunks are staged once', () => {
    const group = withLaggard();
    for (let i = 0; i < 200; i += 1) {
      group.advance(10, { settle: false });
      for (const packet of group.take(() => true)) {
        group.inject(packet);
        group.inject(packet);
      }
    }
    group.advance(500);
    expect(stateOf(group, 3)).toEqual(stateOf(group, 1));
  });

  test('the follower crashes half way: what it staged is still there, or it begins again; nothing is broken', () => {
    const group = withLaggard();
    untilFirstChunk(group);
    for (let i = 0; i < 6; i += 1) group.deliver();
    expect(group.host(3).disk.staging?.chunk).toBe(3);
    expect(stateOf(group, 3)).toEqual([]);
    group.crash(3);
    group.start(3);
    group.advance(2 * ELECTION_TIMEOUT_MS);
    expect(stateOf(group, 3)).toEqual(stateOf(group, 1));
    expect(group.host(1).cutsBegun).toBe(1);
  });

  test('the leader crashes half way: the next one begins anew, with a cut of its own', () => {
    const group = withLaggard();
    untilFirstChunk(group);
    for (let i = 0; i < 6; i += 1) group.deliver();
    group.crash(1);
    group.advance(4 * ELECTION_TIMEOUT_MS);
    expect(group.leader?.id).toBe(2);
    expect(stateOf(group, 3)).toEqual(stateOf(group, 2));
    expect(group.host(2).cutsBegun).toBe(1);
  });

  test('a deposed leader drops its cut', () => {
    const group = withLaggard();
    untilFirstChunk(group);
    expect(group.host(1).cutOpen).toBe(true);
    group.isolate(1);
    group.advance(ELECTION_TIMEOUT_MS);
    expect(group.host(1).cutOpen).toBe(false);
  });

  test('a receiver that is gone does not keep the cut, nor the log, for ever', () => {
    const group = withLaggard();
    untilFirstChunk(group);
    group.isolate(3);
    group.advance(4 * ELECTION_TIMEOUT_MS);
    expect(group.host(1).cutOpen).toBe(false);
    const before = group.host(1).raft.log.lastIncludedIndex;
    group.commit(...texts(20));
    expect(group.host(1).raft.log.lastIncludedIndex).toBeGreaterThan(before);
    group.heal();
    group.advance(1000);
    expect(stateOf(group, 3)).toEqual(stateOf(group, 1));
  });

  test('when too much has to be kept behind a cut it is given up, and another one made', () => {
    const group = withLaggard({ retainedBytes: 400 });
    untilFirstChunk(group);
    for (const text of texts(40, 'w')) {
      group.host(1).propose(text);
      group.settle(({ type }) => type !== 'InstallSnapshot');
    }
    expect(group.host(1).cutsBegun).toBe(1);
    expect(group.host(1).cutOpen).toBe(false);
    group.advance(1000);
    expect(group.host(1).cutsBegun).toBe(2);
    expect(stateOf(group, 3)).toEqual(stateOf(group, 1));
  });
});

test('a late answer of an earlier cut says nothing about the present one', () => {
  const limits = { tailEntries: 3, retainedBytes: 400 };
  const group = new Cluster({ peers: 5, host: () => ({ limits, chunkItems: 1000 }) });
  const leader = group.elect(1);
  for (const id of [4, 5]) group.isolate(id);
  group.advance(ELECTION_TIMEOUT_MS + HEARTBEAT_MS);
  group.commit(...texts(30));
  group.heal();
  const isSnapshot = ({ type }: { type: string }) => type.startsWith('InstallSnapshot');
  const receivers = () => [...leader.raft.progress.values()].filter(({ state }) => state === 'snapshot').length;
  for (let i = 0; i < 100 && receivers() < 2; i += 1) {
    group.advance(10, { settle: false });
    group.settle((message) => !isSnapshot(message));
  }
  const first = leader.raft.cut!;
  group.deliver(isSnapshot);
  const [late] = group.take(({ type, from }) => type === 'InstallSnapshotReply' && from === 4);
  group.take(isSnapshot);
  // Too much has been written since: the cut is given up, and peer 5 asks for another one.
  for (const text of texts(40, 'w')) {
    leader.propose(text);
    group.settle((message) => !isSnapshot(message));
  }
  group.failCalls(({ to }) => to === 5);
  group.advance(2 * HEARTBEAT_MS, { settle: false });
  expect(leader.raft.cut?.lastIncludedIndex).toBeGreaterThan(first.lastIncludedIndex);
  group.inject(late!);
  expect(leader.raft.progress.get(4)!.matchIndex).toBeLessThanOrEqual(first.lastIncludedIndex);
  group.advance(2000);
  for (const host of group.hosts.values()) expect(host.disk.state).toEqual(leader.disk.state);
});

describe('InstallSnapshot at a follower', () => {
  const follower = (terms: readonly number[] = [1], currentTerm = 2) =>
    new CoreHost({ id: 1 }, diskWith(3, terms, { currentTerm }));
  const install = (host: CoreHost, message: Parameters<typeof installSnapshot>[0]) =>
    host.receive(installSnapshot(message)) as InstallSnapshotReply;

  test('the last chunk replaces the state, and the log begins after it', () => {
    const host = follower();
    const chunk = { total: 3, lastIncludedIndex: 9, lastIncludedTerm: 2 };
    expect(install(host, { ...chunk, items: ['a', 'b'], next: 2 })).toMatchObject({ outcome: 'staged', chunk: 1 });
    expect(host.disk.state).toEqual([]);
    expect(install(host, { ...chunk, items: ['c'], chunk: 1, cursor: encodeText('2') }).outcome).toBe('installed');
    expect(host.durable).toMatchObject({ state: ['a', 'b', 'c'], lastApplied: 9, entries: [], lastIncludedIndex: 9 });
    expect(host.raft).toMatchObject({ commitIndex: 9, lastApplied: 9 });
    expect(host.receive(appendEntries({ prevLogIndex: 9, prevLogTerm: 2, terms: [2] }))).toMatchObject({
      success: true,
    });
  });

  test('an older snapshot never replaces newer state', () => {
    const host = follower([1, 1, 1]);
    host.receive(appendEntries({ prevLogIndex: 3, leaderCommit: 3 }));
    expect(install(host, { items: ['old'], lastIncludedIndex: 2, lastIncludedTerm: 1 }).outcome).toBe('installed');
    expect(host.disk).toMatchObject({ state: ['t1', 't1'], lastApplied: 3 });
  });

  test('a log that has the last included entry is kept, and what it holds is committed', () => {
    const host = follower([1, 1, 1, 1]);
    expect(install(host, { items: ['x'], lastIncludedIndex: 3, lastIncludedTerm: 1 }).outcome).toBe('installed');
    expect(host.disk).toMatchObject({ state: ['t1', 't1'], lastApplied: 3 });
    expect(host.raft.log.lastIndex).toBe(4);
  });

  test('a log that differs there goes as a whole', () => {
    const host = follower([1, 1, 1, 1, 1, 1]);
    install(host, { items: ['x'], lastIncludedIndex: 5, lastIncludedTerm: 2 });
    expect(host.disk).toMatchObject({ state: ['x'], entries: [], lastApplied: 5 });
    expect(host.raft.log).toMatchObject({ lastIndex: 5, lastTerm: 2 });
  });

  test('from an older term it is refused, with the newer one in the answer', () => {
    const host = follower([1], 7);
    expect(install(host, { term: 6, items: ['x'] })).toMatchObject({ term: 7 });
    expect(host.disk.state).toEqual([]);
    expect(host.raft.leaderId).toBeNull();
  });

  test('it counts as a sign of life, and a candidate follows its sender', () => {
    const host = follower();
    host.stand();
    expect(host.raft.role).toBe('preCandidate');
    install(host, { term: 2, from: 3, items: ['a'], next: 1, total: 2 });
    expect(host.raft).toMatchObject({ role: 'follower', leaderId: 3 });
  });

  test('a late chunk of an installed cut changes nothing', () => {
    const host = follower();
    install(host, { items: ['a'] });
    host.receive(appendEntries({ prevLogIndex: 5, prevLogTerm: 1, terms: [2], leaderCommit: 6 }));
    const before = host.disk;
    expect(install(host, { items: ['a'] }).outcome).toBe('installed');
    expect(host.disk).toBe(before);
  });

  test('chunks of different cuts never mix: another cut begins from zero', () => {
    const host = follower();
    install(host, { cutId: 'one', items: ['a'], next: 1, total: 2 });
    const wrong = { cutId: 'two', items: ['z'], chunk: 1, cursor: encodeText('1'), total: 2 };
    expect(install(host, wrong)).toMatchObject({ outcome: 'staged', chunk: 0, cursor: null });
    install(host, { cutId: 'two', items: ['y'], next: 1, total: 2 });
    expect(install(host, wrong).outcome).toBe('installed');
    expect(host.disk.state).toEqual(['y', 'z']);
  });

  test('what does not fit its sums is refused, and the state is as before', () => {
    const host = follower();
    expect(install(host, { items: ['a'], total: 2 }).outcome).toBe('refused');
    expect(host.disk).toMatchObject({ state: [], lastApplied: 0 });
  });

  test('a stopped peer refuses: it might not understand it', () => {
    const host = follower();
    host.input({ type: 'stop' });
    expect(install(host, { items: ['a'] }).outcome).toBe('refused');
  });

  test('an installation that the host reports against the rules is a broken rule', () => {
    const host = follower([1, 1, 1]);
    host.receive(appendEntries({ prevLogIndex: 3, leaderCommit: 3 }));
    const message = installSnapshot({ lastIncludedIndex: 2 });
    const staged = { type: 'staged', message, outcome: 'installed', chunk: 0, cursor: null } as const;
    expect(() => host.input(staged)).toThrow(InvariantViolation);
  });
});
