/**
 * Every HTTP route under random requests, on the real runtime: what is answered is what the contract says, what is refused
 * changes nothing, what is accepted is done, and memory stays bounded. Longer, or again: see test/attack/runs.ts.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type HttpInput, httpInput, REACHED, shown, something } from '../attack/http-input.ts';
import { exchange, octetsOf } from '../attack/octets.ts';
import { checkReply, isAboutTheRequest } from '../attack/reply-rules.ts';
import { runs, seed, timeoutOf } from '../attack/runs.ts';
import { workerdMemory } from '../attack/runtime-memory.ts';
import { StoreModel } from '../attack/store-model.ts';
import { Tally } from '../attack/tally.ts';
import { ask, fresh, listAll } from './contract.ts';
import { type ClusterJson, runtimeForTests } from './edge-runtime.ts';

/** An answer within 10 s of the body, and the way there and back on a busy machine. */
const DEADLINE_MS = 11_000;
const MEBIBYTE = 1024 * 1024;
const MAX_GROWTH_BYTES = 256 * MEBIBYTE;
const GROUP = '/groups/g';

const context = runtimeForTests({ variables: { CORS_ORIGIN: '*' } });
const model = new StoreModel();
const tally = new Tally();
let startBytes = 0;

beforeAll(async () => {
  await ask(context.edge, 'PUT', '/kv/a', { body: 'v' });
  await ask(context.edge, 'DELETE', '/groups/default');
  await ask(context.edge, 'GET', '/kv/a');
  await context.edge.whole();
  startBytes = workerdMemory(context.edge.directory)?.residentBytes ?? 0;
});

afterAll(() => tally.print(`HTTP on the real runtime, seed ${seed}`));

/** Faults that last would make the replies after them uncertain; other tests are for that. */
function ordersFault({ body }: HttpInput): boolean {
  return /crash|isolate|cut|drop|delay/.test(Buffer.from(body ?? []).toString());
}

/** Last entry and state of the group that requests without a prefix mean, and of the one that is attacked. */
async function stateOf(group: string): Promise<string> {
  const states = await Promise.all(['/cluster', `/groups/${group}/cluster`].map(clusterState));
  return states.join('\n');
}

async function clusterState(path: string): Promise<string> {
  const reply = await ask(context.edge, 'GET', path);
  if (reply.status !== 200) return reply.outcome;
  const { groupId, leader, term, peers }: ClusterJson = JSON.parse(reply.text);
  const led = peers.find(({ id }) => id === leader);
  return JSON.stringify([groupId, term, led?.lastIndex, led?.stateHash]);
}

/** Gives the state after it. */
async function attack(input: HttpInput, group: string, before: string): Promise<string> {
  const startMs = performance.now();
  const reply = await exchange(context.edge.origin, octetsOf(input), input.method === 'HEAD');
  expect(performance.now() - startMs).toBeLessThan(DEADLINE_MS);
  if (reply === null) throw new Error('no reply');
  tally.note(input.route, input.kind, reply.status);
  const code = checkReply(input.method, reply);
  const after = await stateOf(group);
  if (code !== null && isAboutTheRequest(code)) expect(after, 'a refused request changes nothing').toBe(before);
  if (input.method !== 'HEAD' || reply.status < 400) model.check(input, reply, code);
  return after;
}

async function expectStore(group: string): Promise<void> {
  const held = model.groups.get(group);
  if (held === undefined) {
    expect((await ask(context.edge, 'GET', `/groups/${group}/kv`)).outcome).toBe('404 no_such_group');
    return;
  }
  const items = await listAll(context.edge, 'limit=1000&encoding=base64', `/groups/${group}`);
  expect(items.map(({ key, value, modRevision }) => [key, value, modRevision])).toEqual(
    held.keys('').map((key) => [key, held.items.get(key)?.value.toString('base64'), held.items.get(key)?.modRevision]),
  );
}

describe('every route', () => {
  const options = { bases: [GROUP, GROUP, GROUP, GROUP, '', '', '/groups/never'], lifecycles: ['g'], faults: false };
  const inputs = fc.array(
    httpInput(options).filter((input) => !ordersFault(input)),
    { minLength: 1, maxLength: 40, size: 'max' },
  );

  test('answers as the contract says, and does what it answers', { timeout: timeoutOf(120_000) }, async () => {
    await fc.assert(
      fc.asyncProperty(inputs, async (all) => {
        // A group of its own for each run, so that fast-check can repeat a failing one from nothing.
        const group = fresh('attacked');
        let state = await stateOf(group);
        for (const given of [...something(GROUP), ...all]) {
          const input = { ...given, target: given.target.replace(GROUP, `/groups/${group}`) };
          try {
            state = await attack(input, group, state);
          } catch (error) {
            throw new Error(`after this request:\n${shown(input)}`, { cause: error });
          }
        }
        await expectStore(group);
        await expectStore('default');
        expect((await ask(context.edge, 'GET', '/healthz')).status, 'healthy afterwards').toBe(200);
        await ask(context.edge, 'DELETE', `/groups/${group}`);
        model.groups.delete(group);
      }),
      runs(30),
    );
  });
});

test('cursors that claim more than they hold take no memory', async () => {
  const { edge } = context;
  const claim = Buffer.from([0xdd, 0x01, 0xff, 0xff, 0xff]);
  for (const depth of [1, 4, 200]) {
    const cursor = Buffer.concat(new Array(depth).fill(claim)).toString('base64url');
    for (const path of ['/kv', '/groups/default/kv']) {
      const startMs = performance.now();
      expect((await ask(edge, 'GET', `${path}?cursor=${cursor}`)).outcome).toBe('400 invalid_request');
      expect(performance.now() - startMs).toBeLessThan(2000);
      tally.note('GET /kv', 'claims', 400);
    }
  }
});

test('what was refused is not kept in memory, nor ever was more than a little', async () => {
  const memory = workerdMemory(context.edge.directory);
  // Elsewhere than on Linux nobody tells.
  if (memory === null) return;
  expect(memory.peakBytes - startBytes).toBeLessThan(MAX_GROWTH_BYTES);
});

test('no peer ended, and no request failed, on the way', async () => {
  expect(await context.edge.log()).not.toMatch(/instance_ended|request_failed|alarm_failed|peer_stopped|Uncaught/);
});

test('every route was reached, accepted and refused', () => {
  tally.expectReached(REACHED);
  for (const status of [200, 201, 204, 400, 404, 405, 410, 412]) {
    expect(tally.countAll(status), `replies with ${status}`).toBeGreaterThan(0);
  }
});
