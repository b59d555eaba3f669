import { describe, expect, test } from 'vitest';
import { entryBytes } from '../../src/raft/log.ts';
import type { AppendEntries } from '../../src/raft/messages.ts';
import type { Progress } from '../../src/raft/progress.ts';
import { Cluster } from './cluster.ts';
import { CoreHost, diskWith, ELECTION_TIMEOUT_MS, HEARTBEAT_MS, type HostSettings, isReply } from './core-host.ts';
import { payloadOf } from './entries.ts';
import { accepted, rejected, voteFor } from './messages.ts';

/** A leader of three whose followers are played by the test; what it sends is taken with `appends`. */
class LoneLeader {
  readonly host: CoreHost;

  constructor(settings: Partial<HostSettings> = {}, terms: readonly number[] = [1]) {
    this.host = new CoreHost({ id: 1, ...settings }, diskWith(3, terms));
    this.host.stand();
    for (let i = 0; i < 2; i += 1) {
      const question = this.host.sent.splice(0).find(({ message }) => message.to === 2)?.message;
      if (question?.type === 'RequestVote') this.host.input({ type: 'reply', message: voteFor(question) });
    }
    expect(this.host.raft.role).toBe('leader');
  }

  /** What was sent to `to` since it was last asked. */
  appends(to = 2): AppendEntries[] {
    const sent = this.host.sent.map(({ message }) => message).filter((message) => message.to === to);
    this.host.sent = this.host.sent.filter(({ message }) => message.to !== to);
    return sent.filter((message) => message.type === 'AppendEntries');
  }

  progress(id = 2): Progress {
    return this.host.raft.progress.get(id)!;
  }

  accept(message: AppendEntries): void {
    this.host.input({ type: 'reply', message: accepted(message) });
  }

  reject(message: AppendEntries, conflictIndex: number, conflictTerm: number): void {
    this.host.input({ type: 'reply', message: rejected(message, conflictIndex, conflictTerm) });
  }

  fail({ to, seq }: AppendEntries): void {
    this.host.input({ type: 'callFailed', to, seq });
  }

  advance(ms: number): void {
    this.host.nowMs += ms;
    this.host.tick();
  }

  /** Both followers have everything. */
  static synced(settings: Partial<HostSettings> = {}): LoneLeader {
    const leader = new LoneLeader(settings);
    for (const to of [2, 3]) for (const message of leader.appends(to)) leader.accept(message);
    return leader;
  }
}

const range = ({ prevLogIndex, lastIndex }: AppendEntries) => [prevLogIndex, lastIndex];

describe('probe: where the logs agree is not known', () => {
  test('a new leader asks at the end of its log, with its no-op, one message at a time', () => {
    const leader = new LoneLeader({}, [1, 1, 1]);
    const [first, ...more] = leader.appends();
    expect(range(first!)).toEqual([3, 4]);
    leader.host.propose('a');
    expect([...more, ...leader.appends()]).toEqual([]);
  });

  test('a rejection moves it back by the hint, from both sides; an acceptance ends it', () => {
    const leader = new LoneLeader({}, [1, 2, 2, 2, 5, 5]);
    const [first] = leader.appends();
    // The follower has 1 1 1 4 4 4: its entry 6 is of term 4, and this log has nothing between terms 2 and 5.
    leader.reject(first!, 6, 4);
    const [second] = leader.appends();
    expect(range(second!)).toEqual([4, 7]);
    leader.reject(second!, 3, 1);
    const [third] = leader.appends();
    expect(range(third!)).toEqual([1, 7]);
    leader.accept(third!);
    expect(leader.progress()).toMatchObject({ state: 'replicate', matchIndex: 7, nextIndex: 8 });
  });

  test('a heartbeat repeats the question, without its entries', () => {
    const leader = new LoneLeader();
    leader.appends();
    leader.advance(HEARTBEAT_MS);
    expect(leader.appends().map(range)).toEqual([[1, 1]]);
  });

  test('a rejection of an older question moves nothing', () => {
    const leader = new LoneLeader({}, [1, 1, 2, 2, 3, 3]);
    const [first] = leader.appends();
    leader.reject(first!, 5, 2);
    const before = leader.progress().nextIndex;
    leader.reject(first!, 1, 1);
    expect(leader.progress().nextIndex).toBe(before);
  });

  test('nothing goes back behind what is known to match', () => {
    const leader = LoneLeader.synced();
    leader.host.propose('a');
    leader.host.propose('b');
    const [a, b] = leader.appends();
    leader.accept(b!);
    leader.reject(a!, 1, 1);
    expect(leader.progress()).toMatchObject({ state: 'replicate', matchIndex: 4 });
  });
});

describe('replicate: a window of messages in flight', () => {
  test('messages follow each other without waiting, up to the window; then replies make room', () => {
    const leader = LoneLeader.synced({ limits: { callsInFlight: 6 } });
    for (const text of ['a', 'b', 'c', 'd', 'e']) leader.host.propose(text);
    const sent = leader.appends();
    expect(sent.map(range)).toEqual([
      [2, 3],
      [3, 4],
      [4, 5],
    ]);
    leader.accept(sent[0]!);
    expect(leader.appends().map(range)).toEqual([[5, 7]]);
  });

  test('what waits goes in one message, limited in entries', () => {
    const leader = LoneLeader.synced({ limits: { callsInFlight: 2, messageEntries: 3 } });
    for (let i = 0; i < 8; i += 1) leader.host.propose('x');
    let [message] = leader.appends();
    const sizes: number[] = [];
    while (message !== undefined) {
      sizes.push(message.entries.length);
      leader.accept(message);
      [message] = leader.appends();
    }
    expect(sizes).toEqual([1, 3, 3, 1]);
  });

  test('and in bytes, but an entry that is larger goes alone', () => {
    const bytes = entryBytes({ payload: payloadOf('x'.repeat(100)) });
    const leader = LoneLeader.synced({ limits: { callsInFlight: 2, messageBytes: 2 * bytes } });
    for (const length of [1, 100, 100, 100, 1000, 100]) leader.host.propose('x'.repeat(length));
    let [message] = leader.appends();
    const sizes: number[] = [];
    while (message !== undefined) {
      sizes.push(message.entries.length);
      leader.accept(message);
      [message] = leader.appends();
    }
    expect(sizes).toEqual([1, 2, 1, 1, 1]);
  });

  test('a heartbeat after a lost message finds the gap; what is missing is sent again', () => {
    const leader = LoneLeader.synced();
    leader.host.propose('a');
    leader.appends();
    leader.advance(HEARTBEAT_MS);
    const [beat] = leader.appends();
    expect(range(beat!)).toEqual([3, 3]);
    leader.reject(beat!, 2, 2);
    expect(leader.appends().map(range)).toEqual([[2, 3]]);
  });

  test('a full window that does not move lets one more message out, and then none', () => {
    const leader = LoneLeader.synced({ limits: { callsInFlight: 2 } });
    leader.host.propose('a');
    expect(leader.appends()).toHaveLength(1);
    leader.advance(HEARTBEAT_MS);
    expect(leader.appends()).toHaveLength(0);
    leader.advance(HEARTBEAT_MS);
    expect(leader.appends()).toHaveLength(1);
    leader.advance(HEARTBEAT_MS);
    expect(leader.appends()).toHaveLength(0);
  });

  test('a doubled or late answer changes nothing', () => {
    const leader = LoneLeader.synced();
    leader.host.propose('a');
    const [message] = leader.appends();
    leader.accept(message!);
    const before = { ...leader.progress() };
    leader.accept(message!);
    leader.reject(message!, 0, 0);
    expect({ ...leader.progress() }).toEqual(before);
  });

  test('an answer in an older term changes nothing', () => {
    const leader = LoneLeader.synced();
    leader.host.propose('a');
    const [message] = leader.appends();
    leader.host.input({ type: 'reply', message: accepted(message!, { term: 1 }) });
    expect(leader.progress().matchIndex).toBe(2);
  });

  test('an answer in a newer term ends the leader’s office', () => {
    const leader = LoneLeader.synced();
    leader.host.propose('a');
    const [message] = leader.appends();
    leader.host.input({ type: 'reply', message: { ...rejected(message!, 0, 0), term: 3 } });
    expect(leader.host.raft).toMatchObject({ role: 'follower', currentTerm: 3 });
  });

  test('answers to an earlier office of the same instance count for nothing', () => {
    const group = new Cluster();
    const leader = group.elect(1);
    leader.propose('a');
    const old = group.take((message) => !isReply(message));
    leader.receive({
      ...(old[0]!.message as AppendEntries),
      from: 2,
      to: 1,
      term: 3,
      prevLogIndex: 1,
      prevLogTerm: 1,
      lastIndex: 1,
      entries: [],
    });
    group.advance(2 * ELECTION_TIMEOUT_MS);
    const again = group.elect(1);
    const before = again.raft.progress.get(2)!.matchIndex;
    again.input({
      type: 'reply',
      message: accepted(old[0]!.message as AppendEntries, { term: again.raft.currentTerm, matchIndex: 1 }),
    });
    expect(again.raft.progress.get(2)!.matchIndex).toBe(before);
  });
});

describe('a follower that cannot be reached', () => {
  test('is asked now and then, with nothing in the message, and holds one call at most', () => {
    const leader = LoneLeader.synced();
    leader.host.propose('a');
    for (const message of leader.appends(3)) leader.accept(message);
    leader.fail(leader.appends()[0]!);
    for (let i = 0; i < 5; i += 1) leader.host.propose('x');
    expect(leader.appends()).toEqual([]);
    leader.advance(HEARTBEAT_MS);
    const [probe, ...more] = leader.appends();
    expect([range(probe!), more]).toEqual([[2, 2], []]);
    leader.advance(3 * HEARTBEAT_MS);
    expect(leader.appends()).toEqual([]);
  });

  test('does not slow down the others: they share the calls that it leaves', () => {
    const leader = LoneLeader.synced({ limits: { callsInFlight: 6, callsPerFollower: 6 } });
    leader.host.propose('a');
    leader.fail(leader.appends(2)[0]!);
    for (let i = 0; i < 9; i += 1) leader.host.propose('x');
    expect(leader.appends(3)).toHaveLength(5);
  });

  test('gets everything when it answers again', () => {
    const leader = LoneLeader.synced();
    leader.host.propose('a');
    leader.fail(leader.appends()[0]!);
    leader.host.propose('b');
    leader.advance(HEARTBEAT_MS);
    leader.accept(leader.appends()[0]!);
    expect(leader.appends().map(range)).toEqual([[2, 4]]);
  });

  test('a group goes on with it away, and it catches up from the log', () => {
    const group = new Cluster();
    group.elect(1);
    group.isolate(3);
    for (let i = 0; i < 20; i += 1) group.commit(`c${i}`);
    expect(group.leader?.disk.state).toHaveLength(20);
    group.heal();
    group.advance(2 * ELECTION_TIMEOUT_MS);
    expect(group.host(3).disk.state).toHaveLength(20);
    expect(group.host(1).cutsBegun).toBe(0);
  });
});

describe('limits', () => {
  test('past the limit of uncommitted bytes a proposal is refused, and accepted again after a commit', () => {
    const leader = LoneLeader.synced({ limits: { uncommittedBytes: 300 } });
    const outcomes = Array.from({ length: 4 }, () => leader.host.propose('x'.repeat(100))?.outcome);
    expect(outcomes).toEqual(['appended', 'appended', 'overloaded', 'overloaded']);
    for (const message of leader.appends()) leader.accept(message);
    expect(leader.host.propose('x')?.outcome).toBe('appended');
  });

  test('one entry always fits, however large: the limit bounds a queue', () => {
    const leader = LoneLeader.synced({ limits: { uncommittedBytes: 10 } });
    expect(leader.host.propose('x'.repeat(1000))?.outcome).toBe('appended');
    expect(leader.host.propose('x')?.outcome).toBe('overloaded');
  });

  test('a leader out of calls asks for a step at once, and sends then', () => {
    const leader = LoneLeader.synced();
    leader.host.callBudget = 0;
    leader.host.propose('a');
    expect([...leader.appends(2), ...leader.appends(3)]).toEqual([]);
    expect(leader.host.deadlineMs).toBe(leader.host.nowMs);
    leader.host.callBudget = 32;
    leader.host.tick();
    expect(leader.appends(3).map(range)).toEqual([[2, 3]]);
  });
});

describe('heartbeats', () => {
  test('go out when nothing else does, and only then', () => {
    const leader = LoneLeader.synced();
    const beats = () => {
      const messages = leader.appends();
      for (const message of [...messages, ...leader.appends(3)]) leader.accept(message);
      return messages.length;
    };
    leader.advance(HEARTBEAT_MS - 1);
    expect(beats()).toBe(0);
    leader.advance(1);
    expect(beats()).toBe(1);
    leader.advance(HEARTBEAT_MS / 2);
    leader.host.propose('a');
    expect(beats()).toBe(1);
    leader.advance(HEARTBEAT_MS / 2);
    expect(beats()).toBe(0);
  });

  test('their deadline is always set, for every follower that may need one', () => {
    const leader = LoneLeader.synced();
    expect(leader.host.deadlineMs).toBe(HEARTBEAT_MS);
    leader.advance(HEARTBEAT_MS);
    for (const message of [...leader.appends(2), ...leader.appends(3)]) leader.accept(message);
    expect(leader.host.deadlineMs).toBe(2 * HEARTBEAT_MS);
  });
});

describe('conflict backtracking', () => {
  test('takes a round trip for a term in conflict, not for an entry', () => {
    const long = [1, ...Array(200).fill(2), ...Array(200).fill(4)];
    const other = [1, ...Array(300).fill(3)];
    const group = new Cluster({ disks: [diskWith(3, long), diskWith(3, long), diskWith(3, other)] });
    group.host(3).disk = { ...group.host(3).disk };
    group.elect(1);
    const toThird = group.delivered.filter((message) => message.type === 'AppendEntries' && message.to === 3);
    expect(toThird.length).toBeLessThanOrEqual(4);
    expect(group.host(3).raft.log.lastTerm).toBe(group.host(1).raft.currentTerm);
    expect(group.host(3).raft.log.lastIndex).toBe(402);
  });
});
