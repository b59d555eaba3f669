/** A turn's writes are one commit. An append writes its whole value again, so a few bytes of the log may be many of the disk. */
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import type { ClientRequest } from '../../src/peer/protocol.ts';
import { SimGroup } from '../simulation/sim-group.ts';
import { ask } from './object-client.ts';

const MIB = 1024 * 1024;

let group: SimGroup | null = null;
afterEach(() => {
  group?.close();
  group = null;
});

/** One byte to the end of the value of `a`, so many times, as concurrent requests of one router. */
function appends(count: number, firstSeq: number): ClientRequest[] {
  const digest = new Uint8Array(createHash('sha256').update('!').digest().subarray(0, 16));
  const write = { op: 'append', key: new Uint8Array([97]), condition: null, value: new Uint8Array([33]) };
  return Array.from({ length: count }, (_, i) => {
    const session = {
      pool: 'router',
      id: 'r'.repeat(32),
      seq: firstSeq + i,
      acked: firstSeq - 1,
      requestDigest: digest,
    };
    return { type: 'submit', command: { ...write, valueDigest: digest, session } };
  });
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
