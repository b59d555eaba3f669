import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { encodeBody } from '../../src/peer/protocol.ts';
import { statusOf } from '../../src/peer/report.ts';
import type { Sql } from '../../src/peer/sql.ts';
import type { AppliedEntry } from '../../src/peer/state-machine.ts';
import { Counters } from '../simulation/counter.ts';
import { SimGroup, type SimGroupOptions } from '../simulation/sim-group.ts';
import { ask, found, post } from './object-client.ts';

let group: SimGroup;
afterEach(() => group.close());

const add = (amount: number, to = 'x') => ({ type: 'submit' as const, command: { add: amount, to } });
const read = (name = 'x') => ({ type: 'query' as const, consistency: 'linearizable' as const, query: name });
const counters = (options: SimGroupOptions = {}): SimGroup =>
  new SimGroup({ ...options, createStateMachine: (sql: Sql) => new Counters(sql) });

describe('a second state machine on the same peer', () => {
  test('is replicated, and read linearizably', async () => {
    group = counters();
    await found(group);
    expect(await ask(group, 1, [add(2), add(3)])).toMatchObject([{ result: 2 }, { result: 5 }]);
    expect(await ask(group, 1, [read()])).toMatchObject([{ type: 'result', result: 5 }]);
    expect(await group.pass(2000, () => group.equal([1, 2, 3]))).toBe(true);
  });

  test('survives the loss of its leader, and a follower comes back by snapshot', async () => {
    group = counters({ limits: { tailEntries: 4 } });
    await found(group);
    group.isolate(3);
    for (let i = 0; i < 40; i += 1) await ask(group, 1, [add(1, `c${i % 7}`)]);
    group.heal();
    expect(await group.pass(10_000, () => group.equal([1, 2, 3]))).toBe(true);
    expect(group.raft(3)?.log.lastIncludedIndex).toBeGreaterThan(10);
    group.world.crash(group.object(1));
    group.object(1).downUntilMs = Number.POSITIVE_INFINITY;
    await group.pass(5000, () => (group.leader() ?? 1) !== 1);
    expect(await ask(group, group.leader() ?? 0, [read('c0')])).toMatchObject([{ result: 6 }]);
  });

  test('commands that it does not accept are refused before they reach the log', async () => {
    group = counters();
    await found(group);
    const lastIndex = group.raft(1)?.log.lastIndex;
    expect(await ask(group, 1, [{ type: 'submit', command: { add: 'one', to: 'x' } }])).toEqual([{ type: 'refused' }]);
    expect(await ask(group, 1, [{ type: 'query', consistency: 'stale', query: 7 }])).toEqual([{ type: 'refused' }]);
    expect(group.raft(1)?.log.lastIndex).toBe(lastIndex);
  });
});

describe('group commit', () => {
  test('what arrives while a flush is under way becomes one entry', async () => {
    group = counters();
    await found(group);
    const before = group.raft(1)?.log.lastIndex ?? 0;
    const requests = Array.from({ length: 50 }, () => ask(group, 1, [add(1)]));
    const replies = await Promise.all(requests);
    expect(replies.flat().map((reply) => reply.type === 'result' && reply.result)).toHaveLength(50);
    expect((group.raft(1)?.log.lastIndex ?? 0) - before).toBeLessThan(25);
  });

  test('every peer counts the turns that its disk saw, each with all its rows; those that only read are none', async () => {
    group = counters();
    await found(group);
    const rested = () => group.pass(5000, () => group.equal([1, 2, 3]) && !group.object(1).disk.unflushed);
    /** Since the beginning. */
    const all = () =>
      [1, 2, 3].map((slot) => {
        const { disk, instance } = group.object(slot);
        const { counters, alarm } = instance!.peer;
        return { ...counters, turnsOfDisk: disk.durableTurn, alarms: alarm.sets + alarm.fired };
      });
    for (let i = 0; i < 20; i += 1) await ask(group, 1, [add(1), add(1)]);
    await rested();
    for (const { flushes, appended, commands, turnsOfDisk, alarms } of all()) {
      expect({ appended, commands }).toEqual({ appended: 1 + 20, commands: 40 });
      expect(flushes).toBeGreaterThan(20);
      expect(flushes).toBeLessThanOrEqual(turnsOfDisk);
      // The rest is no row: that an alarm is set, or gone.
      expect(turnsOfDisk - flushes).toBeLessThanOrEqual(alarms);
    }
    const before = all();
    for (let i = 0; i < 20; i += 1) await ask(group, 1, [read()]);
    all().forEach(({ flushes, turns }, i) => {
      expect(flushes).toBe(before[i]?.flushes);
      if (i === 0) expect(turns).toBeGreaterThan((before[0]?.turns ?? 0) + 20);
    });
  });

  test('what waits is bounded: beyond it a command is refused as overloaded, and nothing of it is done', async () => {
    group = counters();
    await found(group);
    group.isolate(1);
    // 20 batches of 1,000, to a leader that cannot commit.
    const batches = Array.from({ length: 20 }, () =>
      ask(
        group,
        1,
        Array.from({ length: 1000 }, () => add(1)),
      ),
    );
    const replies = (await Promise.all(batches)).flat();
    const count = (type: string): number => replies.filter((reply) => reply.type === type).length;
    expect(count('overloaded')).toBeGreaterThan(4000);
    expect(count('result')).toBe(0);
    group.heal();
    expect(await group.pass(5000, () => group.leader() !== null && group.equal([1, 2, 3]))).toBe(true);
    const [answer] = await ask(group, group.leader() ?? 0, [{ ...read(), consistency: 'stale' }]);
    expect(answer).toMatchObject({ type: 'result' });
    expect(answer?.type === 'result' ? answer.result : null).toBeLessThanOrEqual(count('unknown'));
  });
});

describe('a malformed message is refused without effect', () => {
  const state = (slot: number): unknown => {
    const { metrics: _, lastContactMs: __, ...status } = statusOf(group.object(slot).instance!.peer);
    return [status, group.raft(slot)?.currentTerm, group.raft(slot)?.votedFor];
  };

  test('any bytes', async () => {
    group = counters();
    await found(group);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        const before = state(2);
        const answer = group.until(group.world.request('test', 'default/2.1', 'raft', bytes));
        await expect(answer).rejects.toThrow('malformed');
        expect(state(2)).toEqual(before);
      }),
      { numRuns: 150 },
    );
  });

  test('a well-formed message with any one field missing or of another type', async () => {
    group = counters();
    const groupId = await found(group);
    const term = 1;
    const address = { from: 1, to: 2, term, seq: 999 };
    const messages: Record<string, unknown>[] = [
      { type: 'RequestVote', ...address, preVote: false, lastLogIndex: 99, lastLogTerm: 99, unanswered: [] },
      {
        type: 'AppendEntries',
        ...address,
        prevLogIndex: 1,
        prevLogTerm: 1,
        lastIndex: 1,
        leaderCommit: 1,
        quiesceRound: 1,
        quiesce: false,
        entries: [],
      },
    ];
    for (const message of messages) {
      for (const field of Object.keys(message)) {
        for (const value of [undefined, null, -1, 1.5, 'x', [], [0], ['x'], new Array(17).fill(1), {}, 2 ** 60]) {
          if (JSON.stringify(value) === JSON.stringify(message[field])) continue;
          const before = state(2);
          const body = encodeBody({
            version: 1,
            groupId,
            from: 1,
            depth: 1,
            messages: [{ ...message, [field]: value }],
          });
          const answer = group.until(group.world.request('test', 'default/2.1', 'raft', body));
          const outcome = await answer.then(
            () => 'accepted',
            () => 'refused',
          );
          expect(`${message.type}: ${field} = ${JSON.stringify(value)}: ${outcome}`).toMatch(/refused$/);
          expect(state(2)).toEqual(before);
        }
      }
    }
  });

  test('entries whose terms decrease, or are newer than the message', async () => {
    group = counters();
    const groupId = await found(group);
    const append = {
      type: 'AppendEntries',
      from: 1,
      to: 2,
      term: 5,
      seq: 1,
      prevLogIndex: 1,
      prevLogTerm: 1,
      leaderCommit: 1,
      quiesceRound: 1,
      quiesce: false,
    };
    for (const terms of [[3, 2], [6], [0]]) {
      const entries = terms.map((term) => [term, new Uint8Array([0x95, 1, 1, 0, 0, 0xc0])]);
      const message = { ...append, lastIndex: 1 + terms.length, entries };
      const body = encodeBody({ version: 1, groupId, from: 1, depth: 1, messages: [message] });
      await expect(group.until(group.world.request('test', 'default/2.1', 'raft', body))).rejects.toThrow('malformed');
    }
    expect(group.raft(2)?.currentTerm).toBe(1);
  });

  test('an unknown version, another group, another peer', async () => {
    group = counters();
    const groupId = await found(group);
    const vote = {
      type: 'RequestVote',
      term: 9,
      from: 1,
      to: 2,
      seq: 1,
      preVote: false,
      lastLogIndex: 99,
      lastLogTerm: 99,
      unanswered: [],
    };
    const envelope = { version: 1, groupId, from: 1, depth: 1, messages: [vote] };
    for (const wrong of [
      { ...envelope, version: 2 },
      { ...envelope, groupId: '0'.repeat(32) },
      { ...envelope, messages: [{ ...vote, to: 3 }] },
      { ...envelope, from: 3 },
    ]) {
      await expect(post(group, 2, 'raft', wrong)).rejects.toThrow();
    }
    expect(group.raft(2)?.currentTerm).toBe(1);
    // Unknown fields are ignored: a newer version may have added them.
    const preVote = { ...vote, preVote: true, more: [1] };
    const answer = await post(group, 2, 'raft', { ...envelope, hint: 1, messages: [preVote] });
    expect(answer).toMatchObject({ groupId, replies: [{ type: 'RequestVoteReply', seq: 1, preVote: true }] });
  });
});

describe('versions', () => {
  /** A newer code, whose entries the others cannot read. */
  class NewerCounters extends Counters {
    override readonly applyVersion = 2 as unknown as 1;
  }
  const mixed = (newer: readonly number[]): SimGroup => {
    let instance = 0;
    // The order of starts is that of the slots.
    return new SimGroup({
      createStateMachine: (sql) => {
        instance += 1;
        return newer.includes(instance) ? new NewerCounters(sql) : new Counters(sql);
      },
    });
  };

  test('a peer that does not understand an entry stops before it, goes on appending and voting, and never stands', async () => {
    group = mixed([1]);
    await found(group);
    const submitted = ask(group, 1, [add(1)]);
    await group.pass(1000);
    expect(await submitted).toMatchObject([{ type: 'result', result: 1 }]);
    const stopped = group.raft(2);
    expect(stopped?.stopped).toBe(true);
    expect(stopped?.lastApplied).toBe(0);
    expect(stopped?.log.lastIndex).toBe(group.raft(1)?.log.lastIndex);
    group.world.crash(group.object(1));
    group.object(1).downUntilMs = Number.POSITIVE_INFINITY;
    await group.pass(10_000);
    expect(group.leader()).toBeNull();
    expect(group.raft(2)?.currentTerm).toBe(1);
  });

  test('and it does not stand after a restart either', async () => {
    group = mixed([1]);
    await found(group);
    await ask(group, 1, [add(1)]);
    await group.pass(1000);
    group.world.crash(group.object(1));
    group.object(1).downUntilMs = Number.POSITIVE_INFINITY;
    group.world.crash(group.object(2));
    await post(group, 2, 'stand', {});
    await group.pass(5000);
    expect(group.raft(2)?.stopped).toBe(true);
    expect(group.raft(2)?.currentTerm).toBe(1);
  });
});

describe('a throw inside a turn ends the instance', () => {
  class Exploding extends Counters {
    armed = true;
    override apply(entry: AppliedEntry): number[] {
      const results = super.apply(entry);
      if (this.armed && results.includes(13)) throw new Error('boom');
      return results;
    }
  }

  test('in the same turn: memory and unflushed writes go together, and nothing is answered', async () => {
    group = new SimGroup({ createStateMachine: (sql) => new Exploding(sql) });
    await found(group);
    await ask(group, 1, [add(12)]);
    const instance = group.object(1).instance;
    const submitted = ask(group, 1, [add(1)]);
    await expect(submitted).rejects.toThrow(/boom/);
    expect(instance?.dead).toBe(true);
    const value = group.object(1).disk.inspect("SELECT value FROM counters WHERE name = 'x'")[0]?.[0];
    expect(value).toBe(12);
  });
});

describe('an idle group', () => {
  test('heartbeats write nothing, and a follower’s alarm is pushed lazily', async () => {
    group = counters();
    await found(group);
    await ask(group, 1, [add(1)]);
    await group.pass(2000);
    const written = [1, 2, 3].map((slot) => group.object(slot).disk.statementsWritten);
    const alarms = [1, 2, 3].map((slot) => group.object(slot).instance!.peer.alarm.sets);
    await group.pass(60_000);
    expect([1, 2, 3].map((slot) => group.object(slot).disk.statementsWritten)).toEqual(written);
    const sets = alarms.map((before, i) => group.object(i + 1).instance!.peer.alarm.sets - before);
    // Heartbeats every 100 ms, an election timeout of 500 to 1,000 ms.
    expect(sets[0]).toBeLessThanOrEqual(620);
    expect(sets[1]).toBeLessThanOrEqual(150);
    expect(sets[2]).toBeLessThanOrEqual(150);
    expect(group.raft(1)?.currentTerm).toBe(1);
  });
});

describe('a leader', () => {
  test('that is cut off stops leading within the election timeout, and its reads fail clearly', async () => {
    group = counters();
    await found(group);
    group.isolate(1);
    const stale = ask(group, 1, [read()]);
    expect(await stale).toEqual([{ type: 'not_leader' }]);
    expect(group.raft(1)?.role).not.toBe('leader');
  });

  test('whose object restarts stands at once, and those who followed it let it win', async () => {
    group = counters();
    await found(group);
    await group.pass(1000);
    group.world.crash(group.object(1));
    const crashedMs = group.world.scheduler.nowMs;
    await post(group, 1, 'client', { requests: [] });
    expect(await group.pass(2000, () => group.leader() === 1)).toBe(true);
    // The others heard of it a moment ago: stickiness does not hold against the leader itself.
    expect(group.world.scheduler.nowMs - crashedMs).toBeLessThan(100);
  });
});
