import { describe, expect, test } from 'vitest';
import { InvariantViolation } from '../../src/raft/invariant.ts';
import type { AppendEntries, AppendEntriesReply } from '../../src/raft/messages.ts';
import { CoreHost, diskWith } from './core-host.ts';
import { appendEntries } from './messages.ts';

/** Peer 1 of 3, a follower with the given log. */
function follower(terms: readonly number[], currentTerm?: number): CoreHost {
  return new CoreHost({ id: 1 }, diskWith(3, terms, currentTerm === undefined ? {} : { currentTerm }));
}

const append = (host: CoreHost, message: AppendEntries) => host.receive(message) as AppendEntriesReply;
const termsOf = (host: CoreHost) => host.durable.entries.map(({ term }) => term);

describe('AppendEntries at a follower (section 5.3)', () => {
  test('appends what is missing after an entry that agrees', () => {
    const host = follower([1, 1]);
    expect(append(host, appendEntries({ prevLogIndex: 2, terms: [2, 2] }))).toMatchObject({
      success: true,
      matchIndex: 4,
    });
    expect(termsOf(host)).toEqual([1, 1, 2, 2]);
  });

  test('answers when it is on disk, not before', () => {
    const host = new CoreHost({ id: 1, flushAtOnce: false }, diskWith(3, [1]));
    expect(append(host, appendEntries({ terms: [2] }))).toBeNull();
    host.flush();
    expect(host.sent).toHaveLength(1);
  });

  test('an older term is refused, with the newer one in the answer, and nothing changes', () => {
    const host = follower([1, 1, 3], 4);
    const reply = append(host, appendEntries({ term: 3, prevLogIndex: 1, terms: [3], leaderCommit: 2 }));
    expect(reply).toMatchObject({ success: false, term: 4 });
    expect(termsOf(host)).toEqual([1, 1, 3]);
    expect(host.raft).toMatchObject({ commitIndex: 0, leaderId: null });
  });

  test('a newer term is taken on, and its sender followed', () => {
    const host = follower([1]);
    append(host, appendEntries({ term: 7, from: 3 }));
    expect(host.raft).toMatchObject({ currentTerm: 7, leaderId: 3, votedFor: null });
  });

  test('two leaders in one term are a broken rule, not a situation', () => {
    const host = follower([1]);
    append(host, appendEntries({ term: 2, from: 2 }));
    expect(() => append(host, appendEntries({ term: 2, from: 3 }))).toThrow(InvariantViolation);
  });

  test('without the entry before, it is refused with a hint, and still counts as a sign of life', () => {
    const host = follower([1, 1]);
    expect(append(host, appendEntries({ prevLogIndex: 9, prevLogTerm: 2 }))).toMatchObject({
      success: false,
      conflictIndex: 2,
      conflictTerm: 1,
    });
    expect(host.raft.leaderId).toBe(2);
  });

  test('with another entry before, the hint skips the whole term', () => {
    const host = follower([1, 1, 3, 3, 3, 3], 3);
    const reply = append(host, appendEntries({ term: 5, prevLogIndex: 6, prevLogTerm: 2 }));
    expect(reply).toMatchObject({ success: false, conflictIndex: 2, conflictTerm: 1 });
  });

  test('a conflicting entry goes, with everything after it', () => {
    const host = follower([1, 1, 2, 2, 2]);
    append(host, appendEntries({ term: 4, prevLogIndex: 2, terms: [4] }));
    expect(termsOf(host)).toEqual([1, 1, 4]);
  });

  test('an entry that is committed is never truncated: that would be a broken rule', () => {
    const host = follower([1, 1, 1]);
    append(host, appendEntries({ prevLogIndex: 3, leaderCommit: 3 }));
    expect(() => append(host, appendEntries({ term: 3, prevLogIndex: 1, terms: [3] }))).toThrow(InvariantViolation);
  });
});

describe('doubled, late and reordered messages', () => {
  test('a doubled message changes nothing, and is answered alike', () => {
    const host = follower([1]);
    const message = appendEntries({ terms: [2, 2] });
    const first = append(host, message);
    const disk = host.disk;
    expect(append(host, message)).toEqual(first);
    expect(host.disk.entries).toBe(disk.entries);
  });

  test('a late message that is shorter than the log leaves the rest alone', () => {
    const host = follower([1]);
    append(host, appendEntries({ terms: [2, 2, 2, 2] }));
    expect(append(host, appendEntries({ terms: [2] }))).toMatchObject({ success: true, matchIndex: 2 });
    expect(termsOf(host)).toEqual([1, 2, 2, 2, 2]);
    append(host, appendEntries({ prevLogIndex: 1, terms: [] }));
    expect(termsOf(host)).toEqual([1, 2, 2, 2, 2]);
  });

  test('of two in the wrong order, the second is refused until the first has come', () => {
    const host = follower([1]);
    const [first, second] = [
      appendEntries({ terms: [2] }),
      appendEntries({ prevLogIndex: 2, prevLogTerm: 2, terms: [2] }),
    ];
    expect(append(host, second)).toMatchObject({ success: false, conflictIndex: 1 });
    expect(append(host, first).success).toBe(true);
    expect(append(host, second)).toMatchObject({ success: true, matchIndex: 3 });
  });

  test('what overlaps is appended where the log ends', () => {
    const host = follower([1, 2, 2]);
    append(host, appendEntries({ terms: [2, 2, 2] }));
    expect(termsOf(host)).toEqual([1, 2, 2, 2]);
  });

  test('what lies wholly before the log’s beginning is committed, hence equal', () => {
    const host = new CoreHost({ id: 1 }, { ...compacted(5), hardState: { currentTerm: 2, votedFor: null } });
    const reply = append(host, appendEntries({ term: 2, prevLogIndex: 1, terms: [1, 1] }));
    expect(reply).toMatchObject({ success: true, matchIndex: 3 });
    expect(host.disk.entries).toEqual([]);
  });

  test('what reaches over the log’s beginning is appended from there on', () => {
    const host = new CoreHost({ id: 1 }, { ...compacted(3), hardState: { currentTerm: 2, votedFor: null } });
    const reply = append(host, appendEntries({ term: 2, prevLogIndex: 1, terms: [1, 1, 2] }));
    expect(reply).toMatchObject({ success: true, matchIndex: 4 });
    expect(host.disk.entries.map(({ index, term }) => [index, term])).toEqual([[4, 2]]);
  });
});

/** A log of term 1 that is compacted to its end. */
function compacted(lastIncludedIndex: number) {
  const { entries, ...disk } = diskWith(3, Array(lastIncludedIndex).fill(1));
  const first = entries[0]?.payload;
  if (first?.type !== 'configuration') throw new Error('entry 1 is the configuration');
  const { configuration } = first;
  return {
    ...disk,
    entries: [],
    lastIncludedIndex,
    lastIncludedTerm: 1,
    configuration,
    lastApplied: lastIncludedIndex,
  };
}

describe('a follower’s commit index', () => {
  test('is bounded by what the message verified, whatever the leader has committed', () => {
    const host = follower([1, 1, 1, 1], 2);
    append(host, appendEntries({ prevLogIndex: 2, leaderCommit: 4 }));
    expect(host.raft.commitIndex).toBe(2);
  });

  test('is bounded by what the leader has committed', () => {
    const host = follower([1]);
    append(host, appendEntries({ terms: [2, 2, 2], leaderCommit: 2 }));
    expect(host.raft.commitIndex).toBe(2);
  });

  test('never goes back', () => {
    const host = follower([1, 1, 1]);
    append(host, appendEntries({ prevLogIndex: 3, leaderCommit: 3 }));
    append(host, appendEntries({ prevLogIndex: 1, leaderCommit: 1 }));
    expect(host.raft.commitIndex).toBe(3);
  });

  test('makes entries applied, in order and once', () => {
    const host = follower([1, 1, 1], 1);
    for (const leaderCommit of [2, 2, 3, 3]) append(host, appendEntries({ prevLogIndex: 3, leaderCommit }));
    expect(host.disk).toMatchObject({ lastApplied: 3, state: ['t1', 't1'] });
  });

  test('a stopped peer stores what is committed, and applies none of it', () => {
    const host = follower([1]);
    append(host, appendEntries({ leaderCommit: 1 }));
    host.input({ type: 'stop' });
    append(host, appendEntries({ terms: [2], leaderCommit: 2 }));
    expect(host.raft).toMatchObject({ commitIndex: 2, lastApplied: 1 });
  });

  test('entries are handed out for apply in portions of bounded size', () => {
    const host = new CoreHost({ id: 1, limits: { applyBytes: 70 } }, diskWith(3, [1, 1, 1, 1, 1, 1]));
    const portions: number[] = [];
    host.watcher = {
      stepped: (_, __, { committed }) => {
        if (committed !== null) portions.push(committed.toIndex - committed.fromIndex + 1);
      },
    };
    append(host, appendEntries({ prevLogIndex: 6, leaderCommit: 6 }));
    expect(portions).toEqual([1, 2, 2, 1]);
    expect(host.disk.lastApplied).toBe(6);
  });
});
