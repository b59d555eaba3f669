/** The seam of the state machine on the real runtime: groups of counters, on the same peer class as the key-value store. */
import { decode, encode } from '@msgpack/msgpack';
import { describe, expect, test } from 'vitest';
import type { ClientReply, ClientRequest, Member, PeerView, Reply, RouterRoute } from '../../src/peer/protocol.ts';
import { eventually, runtimeForTests } from './edge-runtime.ts';

const context = runtimeForTests({ entry: 'test/edge/counter-worker.ts', className: 'CounterPeer' });

const membersOf = (count: number): Member[] =>
  Array.from({ length: count }, (_, i) => ({ id: i + 1, slot: i + 1, incarnation: 1, locationHint: 'weur' }));

/** A group, as its peers' own routes show it. */
class CounterGroup {
  readonly name: string;
  readonly members: readonly Member[];

  constructor(name: string, peers: number) {
    this.name = name;
    this.members = membersOf(peers);
  }

  async call<R extends RouterRoute>(id: number, route: R, body: unknown): Promise<Reply<R>> {
    const object = encodeURIComponent(`${this.name}/${id}.1`);
    const reply = await context.edge.request('POST', `/${object}/${route}`, { body: encode(body), timeoutMs: 5000 });
    if (reply.status !== 200) throw new Error(`${route} of ${id}: ${reply.status} ${reply.text}`);
    return decode(reply.body) as Reply<R>;
  }

  async found(): Promise<void> {
    await eventually('the founding is complete', async () => {
      const { view } = await this.call(1, 'status', {});
      const { complete } = await this.call(1, 'found', { members: this.members, nonce: view.nonce });
      return complete ? true : null;
    });
  }

  /** The one that leads, by its own word and in the newest term; if there is none, all are asked to stand. */
  async leader(): Promise<PeerView & { id: number }> {
    return eventually(`${this.name} has a leader`, async () => {
      const views = await Promise.all(
        this.members.map(({ id }) =>
          this.call(id, 'status', {}).then(
            ({ view }) => view,
            () => null,
          ),
        ),
      );
      const term = Math.max(...views.map((view) => view?.term ?? 0));
      const led = views.find((view) => view?.term === term && view.leader === view.id);
      if (led?.id != null) return { ...led, id: led.id };
      for (const { id } of this.members) await this.call(id, 'stand', {});
      return null;
    });
  }

  /** Asks whoever leads, until somebody answers. */
  async ask(requests: ClientRequest[]): Promise<ClientReply[]> {
    return eventually('the leader answers', async () => {
      const { id } = await this.leader();
      const { replies } = await this.call(id, 'client', { requests });
      return replies.some(({ type }) => type === 'not_leader') ? null : replies;
    });
  }

  async add(to: string, ...amounts: number[]): Promise<unknown[]> {
    const replies = await this.ask(amounts.map((add) => ({ type: 'submit', command: { add, to } })));
    return replies.map((reply) => (reply.type === 'result' ? reply.result : reply.type));
  }

  async read(name: string): Promise<unknown> {
    const [reply] = await this.ask([{ type: 'query', consistency: 'linearizable', query: name }]);
    return reply?.type === 'result' ? reply.result : reply?.type;
  }

  statuses() {
    return Promise.all(this.members.map(({ id }) => this.call(id, 'status', {})));
  }

  /** Waits until all have applied the same. */
  async agree(): Promise<void> {
    await eventually('all peers have one state', async () => {
      const all = (await this.statuses()).map(({ status }) => `${status.lastApplied} ${status.stateHash}`);
      return new Set(all).size === 1 ? true : null;
    });
  }
}

describe.each([1, 3, 5])('%i peers', (peers) => {
  test('are founded, count, and go on when their leader crashes', async () => {
    const group = new CounterGroup(`counters-${peers}`, peers);
    await group.found();
    // Founding may be repeated.
    await group.found();
    expect(await group.add('visits', 1, 2, 3)).toEqual([1, 3, 6]);
    expect(await group.add('other', -5)).toEqual([-5]);
    expect(await group.read('visits')).toBe(6);
    for (let round = 1; round <= 3; round += 1) {
      const { id, term } = await group.leader();
      await group.call(id, 'chaos', { fault: { action: 'crash' } });
      await eventually('another term', async () => ((await group.leader()).term > term ? true : null));
      expect(await group.read('visits')).toBe(5 + round);
      expect(await group.add('visits', 1)).toEqual([6 + round]);
    }
    expect(await group.read('nothing')).toBe(0);
    await group.agree();
  });
});

test('concurrent batches are counted once each', async () => {
  const group = new CounterGroup('batches', 3);
  await group.found();
  const { id } = await group.leader();
  const requests: ClientRequest[] = Array.from({ length: 20 }, () => ({
    type: 'submit',
    command: { add: 1, to: 'n' },
  }));
  const batches = await Promise.all(Array.from({ length: 25 }, () => group.call(id, 'client', { requests })));
  const results = batches.flatMap(({ replies }) =>
    replies.map((reply) => (reply.type === 'result' ? reply.result : null)),
  );
  expect(results.toSorted((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
  expect(await group.read('n')).toBe(500);
  await group.agree();
});

test('what the state machine does not accept is refused, and a stale query is answered by any peer', async () => {
  const group = new CounterGroup('refusals', 3);
  await group.found();
  await group.add('a', 7);
  const bad: ClientRequest[] = [
    { type: 'submit', command: { add: 0.5, to: 'a' } },
    { type: 'submit', command: null },
    { type: 'submit', command: { add: 1, to: '' } },
    { type: 'query', consistency: 'linearizable', query: 7 },
  ];
  expect((await group.ask(bad)).map(({ type }) => type)).toEqual(Array(4).fill('refused'));
  await group.agree();
  for (const { id } of group.members) {
    const requests: ClientRequest[] = [{ type: 'query', consistency: 'stale', query: 'a' }];
    const { replies } = await group.call(id, 'client', { requests });
    expect(replies[0]).toMatchObject({ type: 'result', result: 7, ageMs: expect.any(Number) });
  }
});

test('a group outlives a kill of the runtime', async () => {
  const group = new CounterGroup('killed', 3);
  await group.found();
  await group.add('a', 41);
  await context.edge.kill();
  await context.edge.restart();
  expect(await group.add('a', 1)).toEqual([42]);
  await group.agree();
});

test('bodies that are no request are 400, and change nothing', async () => {
  const group = new CounterGroup('malformed', 1);
  await group.found();
  await group.add('a', 1);
  const object = encodeURIComponent('malformed/1.1');
  for (const route of ['client', 'found', 'delete', 'chaos', 'raft', 'founding/ask', 'founding/store']) {
    for (const body of [
      Buffer.alloc(0),
      Buffer.from('{}'),
      encode(null),
      encode({ requests: 'x' }),
      Buffer.from([0xc1]),
    ]) {
      const { status } = await context.edge.request('POST', `/${object}/${encodeURIComponent(route)}`, { body });
      expect(status, route).toBe(400);
    }
  }
  expect((await context.edge.request('POST', `/${object}/nothing`)).status).toBe(404);
  expect(await group.read('a')).toBe(1);
});
