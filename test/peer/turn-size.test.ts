/**
 * A turn's writes are one commit, and nothing else runs meanwhile. A few bytes of the log may be many of the disk: an append writes its
 * whole value again, and a command all replies of its session. A short answer may have taken long to find.
 */
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import type { ClientRequest } from '../../src/peer/protocol.ts';
import { SimGroup } from '../simulation/sim-group.ts';
import { ask } from './object-client.ts';

const MIB = 1024 * 1024;
const DIGEST = new Uint8Array(createHash('sha256').update('!').digest().subarray(0, 16));

let group: SimGroup | null = null;
afterEach(() => {
  group?.close();
  group = null;
});

/** So many commands of a router, as concurrent requests. */
function commands(count: number, firstSeq: number, command: (i: number) => Record<string, unknown>): ClientRequest[] {
  return Array.from({ length: count }, (_, i) => {
    const seq = firstSeq + i;
    const session = { pool: 'router', id: 'r'.repeat(32), seq, acked: firstSeq - 1, requestDigest: DIGEST };
    return { type: 'submit', command: { condition: null, ...command(i), session } };
  });
}

/** One byte to the end of the value of `a`, so many times. */
function appends(count: number, firstSeq: number): ClientRequest[] {
  const append = { op: 'append', key: new Uint8Array([97]), value: new Uint8Array([33]), valueDigest: DIGEST };
  return commands(count, firstSeq, () => append);
}

describe('what one turn writes is bounded', () => {
  test('on a leader that gets hundreds of appends to a large value at once', async () => {
    group = new SimGroup({ peers: 1 });
    expect(await group.put('a', 'x'.repeat(MIB - 500))).toBe('written');
    const replies = await ask(group, 1, appends(250, 1));
    expect(replies.map((reply) => reply.type)).toEqual(Array(250).fill('result'));
    expect(group.object(1).disk.largestTurnBytes).toBeLessThan(130 * MIB);
    expect(await group.get('a')).toHaveLength(MIB - 500 + 250);
  });

  test('on a follower that catches up with many entries of appends', async () => {
    group = new SimGroup();
    expect(await group.put('a', 'x'.repeat(500_000))).toBe('written');
    expect(await group.pass(5000, () => group?.equal([1, 2, 3]) ?? false)).toBe(true);
    const leader = group.leader()!;
    const follower = [1, 2, 3].find((slot) => slot !== leader)!;
    group.isolate(follower);
    for (let round = 0; round < 10; round += 1) await ask(group, leader, appends(10, 10 * round + 1));
    group.heal();
    expect(await group.pass(20_000, () => group?.equal([1, 2, 3]) ?? false)).toBe(true);
    // 16 MiB, and what the last entry is more.
    expect(group.object(follower).disk.largestTurnBytes).toBeLessThan(22 * MIB);
  });
});

describe('what one turn holds in memory, and how long it takes, is bounded', () => {
  const key = (i: number) => new TextEncoder().encode(`k/${String(i).padStart(5, '0')}`);
  const remove = (i: number) => ({ op: 'delete', key: key(i) });

  test('an entry has no more than 512 commands, each perhaps of a session of its own', async () => {
    group = new SimGroup({ peers: 1 });
    expect(await group.put('a', '')).toBe('written');
    const { lastIndex } = group.raft(1)!.log;
    await ask(group, 1, commands(1, 1, remove));
    expect(await ask(group, 1, commands(1000, 2, remove))).toHaveLength(1000);
    expect(group.raft(1)!.log.lastIndex - lastIndex).toBe(3);
  });

  test('many listings at once through thousands of deleted keys: some are told to come again', async () => {
    group = new SimGroup({ peers: 1 });
    const put = (i: number) => ({ op: 'put', key: key(i), value: new Uint8Array(), valueDigest: DIGEST });
    expect(await group.put('a', '')).toBe('written');
    await ask(group, 1, commands(1, 1, put));
    for (let from = 1; from < 4096; from += 200)
      await ask(
        group,
        1,
        commands(200, from + 1, (i) => put(from + i)),
      );
    for (let from = 0; from < 4096; from += 200)
      await ask(
        group,
        1,
        commands(200, from + 4300, (i) => remove(from + i)),
      );
    const prefix = new TextEncoder().encode('k/');
    const query = { type: 'list', prefix, after: null, limit: 1000, revision: null };
    const listings = (count: number) =>
      ask(group!, 1, Array<ClientRequest>(count).fill({ type: 'query', consistency: 'linearizable', query }));
    const replies = await listings(40);
    const types = replies.map(({ type }) => type);
    // 16 such listings, and the one that passes the limit.
    expect(types.filter((type) => type === 'result')).toHaveLength(17);
    expect(types.filter((type) => type === 'overloaded')).toHaveLength(23);
    expect(await listings(1)).toMatchObject([{ type: 'result' }]);
  });
});
