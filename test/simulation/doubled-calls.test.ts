import { expect, test } from 'vitest';
import { type ClientReply, decodeBody, encodeBody } from '../../src/peer/protocol.ts';
import { type Add, Counters } from './counter.ts';
import { SimGroup } from './sim-group.ts';

/** A call of the leader that the network doubles; the leader is cut off from its followers meanwhile. */
async function doubledCall(seed: number) {
  const group = new SimGroup({ seed, createStateMachine: (sql) => new Counters(sql) });
  try {
    const { world } = group;
    // Any request founds the group; this store refuses it.
    expect(await group.put('key', '1')).toBe('not_understood');
    const leader = group.leader()!;
    const { counters } = group.object(leader).instance!.peer;
    const before = { calls: counters.clientCalls, entries: counters.entries };
    group.isolate(leader);
    Object.assign(world.weather, { duplicateRate: 1, maxDelayMs: 400 });
    const command: Add = { add: 1, to: 'counter' };
    const body = encodeBody({ requests: [{ type: 'submit', command }] });
    const answer = await group.until(world.request('worker', group.object(leader).name, 'client', body));
    await group.pass(2000);
    const { replies } = decodeBody(answer) as { replies: ClientReply[] };
    return {
      reply: replies[0]!.type,
      deliveries: counters.clientCalls - before.calls,
      appended: counters.entries - before.entries,
    };
  } finally {
    group.close();
  }
}

test('a call that the network doubles is answered for the copy that came first: what is in the log was not "not done"', async () => {
  const calls = await Promise.all(Array.from({ length: 40 }, (_, i) => doubledCall(i + 1)));
  expect(calls.every(({ deliveries }) => deliveries === 2)).toBe(true);
  // The second copy came when the leader had lost its leadership, and had to be refused.
  const refused = calls.filter(({ appended }) => appended === 1);
  expect(refused.length).toBeGreaterThan(4);
  expect(new Set(refused.map(({ reply }) => reply))).toEqual(new Set(['unknown']));
});
