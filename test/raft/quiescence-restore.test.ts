/** What a peer restores from the record of its sleep, and what becomes of log time (src/raft/quiescence.ts). */
import { describe, expect, test } from 'vitest';
import { InvariantViolation } from '../../src/raft/invariant.ts';
import { quorumAnswerMs, quorumContactMs } from '../../src/raft/replication.ts';
import { CoreHost, diskWith } from './core-host.ts';
import { configurationOf, encodeText } from './entries.ts';
import { appendEntries } from './messages.ts';
import { ASLEEP_WITHIN_MS, ask, QUIESCE_AFTER_MS, sleeping, sleepingGroup } from './sleeping-group.ts';

describe('restored from a record', () => {
  test('the leader leads its term again: nothing is sent, nothing is written, until somebody comes', () => {
    const group = sleepingGroup();
    for (const id of group.hosts.keys()) {
      group.crash(id);
      group.start(id);
    }
    expect(group.host(1).raft).toMatchObject({ role: 'leader', currentTerm: 2, leaderId: 1 });
    expect([2, 3].map((id) => group.host(id).raft.leaderId)).toEqual([1, 1]);
    group.advance(60_000, { stepMs: 1000 });
    expect(sleeping(group)).toEqual([1, 2, 3]);
    group.host(1).read(1);
    group.settle();
    expect(group.host(1).reads.get(1)).toMatchObject({ outcome: 'ready', state: ['a'] });
    group.commit('b');
    for (const host of group.hosts.values()) {
      expect(host.raft.currentTerm).toBe(2);
      expect(host.raft.log.lastIndex).toBe(4);
    }
    group.advance(ASLEEP_WITHIN_MS);
    expect(sleeping(group)).toEqual([1, 2, 3]);
  });

  test('a wake-up that was not flushed never was: the leader leads again, and nobody heard of what it had begun', () => {
    const group = sleepingGroup();
    const leader = group.host(1);
    leader.flushAtOnce = false;
    leader.propose('lost');
    group.crash(1);
    group.start(1);
    leader.flushAtOnce = true;
    expect(leader.raft).toMatchObject({ role: 'leader', currentTerm: 2 });
    group.commit('kept');
    for (const host of group.hosts.values()) expect(host.raft.log.lastIndex).toBe(4);
    expect(group.host(2).disk.entries.at(-1)?.payload).toMatchObject({ data: encodeText('kept') });
  });

  test('a wake-up that was flushed ended the leadership with the memory', () => {
    const group = sleepingGroup();
    group.host(1).read(1);
    group.crash(1);
    group.start(1);
    expect(group.host(1).raft.role).not.toBe('leader');
    group.advance(1000);
    expect(group.leader?.raft.currentTerm).toBe(3);
  });

  test('the leader claims no answer of a quorum that it has not had, asleep or woken', () => {
    const group = sleepingGroup();
    const { raft: before } = group.host(1);
    const answeredMs = quorumAnswerMs(before);
    expect(answeredMs).toBeGreaterThan(0);
    group.advance(60_000, { stepMs: 1000 });
    expect(quorumAnswerMs(before)).toBe(answeredMs);
    group.crash(1);
    group.start(1);
    expect(quorumAnswerMs(group.host(1).raft)).toBe(Number.NEGATIVE_INFINITY);
    group.host(1).read(1);
    expect(quorumAnswerMs(group.host(1).raft)).toBe(Number.NEGATIVE_INFINITY);
    expect(quorumContactMs(group.host(1).raft)).toBe(group.nowMs);
    group.settle();
    expect(quorumAnswerMs(group.host(1).raft)).toBe(group.nowMs);
  });

  test('a leader that was deposed while it slept is told so by whoever it wakes', () => {
    const group = sleepingGroup();
    group.crash(1);
    group.host(2).stand();
    group.advance(1000);
    expect(group.leader?.id).toBe(2);
    group.commit('newer');
    group.start(1);
    expect(group.host(1).raft).toMatchObject({ role: 'leader', currentTerm: 2 });
    group.host(1).read(7);
    group.settle();
    expect(group.host(1).reads.get(7)?.outcome).toBe('not_leader');
    group.advance(500);
    expect(group.host(1).disk.state).toEqual(['a', 'newer']);
  });

  test('a stopped peer sleeps and knows its leader, and does not stand', () => {
    const host = new CoreHost({ id: 1, quiesceAfterMs: QUIESCE_AFTER_MS }, diskWith(3, [1]));
    host.input({ type: 'stop' });
    host.receive(appendEntries({ leaderCommit: 1 }));
    ask(host);
    host.stand();
    expect(host.raft).toMatchObject({ role: 'follower', leaderId: 2 });
    expect(host.raft.asleep).not.toBeNull();
    host.restart();
    expect(host.raft.leaderId).toBe(2);
  });

  const leading = sleepingGroup().host(1).durable;
  const following = sleepingGroup().host(2).durable;
  const record = leading.quiesceRecord!;
  test.each([
    ['another term', following, { term: 1 }],
    ['another last index', following, { lastIndex: 2 }],
    ['another last term', following, { lastTerm: 1 }],
    ['a leader whose last entry is of an older term', leading, { lastTerm: 1 }],
  ])('%s than what is stored is a broken rule', (_, disk, change) => {
    const id = disk === leading ? 1 : 2;
    const changed = { ...disk, quiesceRecord: { ...record, ...change } };
    expect(() => new CoreHost({ id }, disk)).not.toThrow();
    expect(() => new CoreHost({ id }, changed)).toThrow(InvariantViolation);
  });

  test('so is a leader that did not vote for itself, or has not applied its log', () => {
    const voted = { ...leading, hardState: { currentTerm: 2, votedFor: 3 } };
    expect(() => new CoreHost({ id: 1 }, voted)).toThrow(InvariantViolation);
    expect(() => new CoreHost({ id: 1 }, { ...leading, lastApplied: 2 })).toThrow(InvariantViolation);
  });
});

describe('log time', () => {
  const stamps = (host: CoreHost): number | undefined => host.disk.entries.at(-1)?.elapsedMs;

  test.each([false, true])('goes on from the last entry before the sleep (restored: %s)', (restored) => {
    const group = sleepingGroup();
    group.advance(30_000, { stepMs: 1000 });
    if (restored) group.crash(1);
    if (restored) group.start(1);
    group.commit('b');
    expect(stamps(group.host(1))).toBe(ASLEEP_WITHIN_MS + 30_000);
  });

  test.each([false, true])('moves by 60 s at most, however long the sleep (restored: %s)', (restored) => {
    const group = sleepingGroup();
    group.advance(3_600_000, { stepMs: 60_000 });
    if (restored) group.crash(1);
    if (restored) group.start(1);
    group.commit('b');
    expect(stamps(group.host(1))).toBe(60_000);
    group.commit('c');
    expect(stamps(group.host(1))).toBe(0);
  });

  test('a record that is of later than now moves it by nothing', () => {
    const { durable } = sleepingGroup().host(1);
    const host = new CoreHost(
      { id: 1 },
      { ...durable, quiesceRecord: { ...durable.quiesceRecord!, stampedMs: 99_000 } },
    );
    host.nowMs = 10_000;
    host.propose('b');
    expect(host.disk.entries.at(-1)?.elapsedMs).toBe(10_000);
  });
});

test('a configuration of one, restored asleep, needs nobody to serve', () => {
  const group = sleepingGroup({ peers: 1 });
  group.crash(1);
  group.start(1);
  expect(group.host(1).raft.configuration).toEqual(configurationOf(1));
  group.host(1).read(1);
  expect(group.host(1).reads.get(1)).toMatchObject({ outcome: 'ready', state: ['a'] });
});
