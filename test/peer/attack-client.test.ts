/**
 * What a router might send to a peer's routes, and never should: garbage among commands and queries, foundings and deletions of
 * other groups, faults that cannot be. Longer, or again: see test/attack/runs.ts.
 */
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { createKeyValueStore } from '../../src/kv/key-value-store.ts';
import type { ClientReply } from '../../src/peer/protocol.ts';
import { RouteError } from '../../src/peer/routes.ts';
import type { Loose } from '../attack/bend.ts';
import { stateOf } from '../attack/peer-state.ts';
import { runs, seed, timeoutOf } from '../attack/runs.ts';
import { Tally } from '../attack/tally.ts';
import { LonePeer, membersOf, settled } from './lone-peer.ts';

const DEADLINE_MS = 5000;
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;
const tally = new Tally();
afterAll(() => tally.print(`Requests of a router to a peer, seed ${seed}`));

/** A group of one: it leads, and commits alone. */
async function leader(): Promise<LonePeer> {
  const lone = new LonePeer((sql) => createKeyValueStore(sql, {}));
  await lone.post('found', { members: membersOf(1), nonce: lone.peer.nonce });
  await settled(4);
  expect(lone.peer.raft?.role).toBe('leader');
  return lone;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Put number `seq` of a clerk. */
const put = (seq: number, acked = 0) => ({
  op: 'put',
  key: bytes(`k${seq % 3}`),
  condition: null,
  value: bytes(`v${seq}`),
  valueDigest: new Uint8Array(16).fill(seq),
  session: { pool: 'clerk', id: 'c', seq, acked, requestDigest: new Uint8Array(16).fill(seq) },
});
const QUERIES = [
  { type: 'get', key: bytes('k1') },
  { type: 'list', prefix: new Uint8Array(0), after: null, limit: 10, revision: null },
];

/** Structures of any kind; MessagePack cannot say `__proto__`, and the encoder no symbols or functions. */
const anything = fc.anything({
  maxDepth: 3,
  key: fc.string({ maxLength: 8 }).filter((key) => key !== '__proto__'),
  values: [
    fc.double(),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.string({ maxLength: 8 }),
    fc.uint8Array({ maxLength: 8 }),
    fc.constant(null),
    fc.constantFrom<unknown>(
      new Uint8Array(1025),
      new Uint8Array(1_048_577),
      'x'.repeat(65),
      Number.NaN,
      -0,
      2 ** 53,
      new Date(0),
    ),
  ],
});

/** A path into `value`, drawn, and what is put there. */
function changed(value: Loose, draw: number, odd: unknown, remove: boolean): unknown {
  const copy = structuredClone(value);
  let at = copy;
  let name = '';
  for (let rest = draw; ; rest = Math.floor(rest / 7)) {
    const names = Object.keys(at);
    name = names[rest % names.length] ?? '';
    const inner = at[name];
    if (rest % 3 === 0 || inner === null || typeof inner !== 'object' || inner instanceof Uint8Array) break;
    if (Object.keys(inner).length === 0) break;
    at = inner;
  }
  if (remove) delete at[name];
  else at[name] = odd;
  return copy;
}

interface Garbage {
  readonly kind: string;
  readonly request: Loose;
}

const garbage: fc.Arbitrary<Garbage> = fc
  .record({
    submit: fc.boolean(),
    which: fc.nat(),
    draw: fc.nat(),
    odd: anything,
    how: fc.constantFrom(
      'sound after all',
      'any value',
      'a changed field',
      'a missing field',
      'a field too many',
      'nested deeply',
    ),
  })
  .map(({ submit, which, draw, odd, how }) => {
    const sound: Loose = submit ? put(1 + (which % 9)) : QUERIES[which % QUERIES.length];
    const wrong: Record<string, () => unknown> = {
      'sound after all': () => sound,
      'any value': () => odd,
      'a changed field': () => changed(sound, draw, odd, false),
      'a missing field': () => changed(sound, draw, null, true),
      'a field too many': () => ({ ...sound, [`x${draw % 3}`]: odd }),
      'nested deeply': () => {
        let value: unknown = odd;
        for (let i = 0; i < draw % 50; i += 1) value = i % 2 === 0 ? [value] : { value };
        return value;
      },
    };
    const content = wrong[how]?.();
    const consistency = draw % 2 === 0 ? 'linearizable' : 'stale';
    const request = submit ? { type: 'submit', command: content } : { type: 'query', consistency, query: content };
    return { kind: how, request };
  });

/** Posts; the RouteError if it was refused. Alive afterwards in any case. */
async function post(lone: LonePeer, route: string, body: unknown): Promise<Loose> {
  const startMs = performance.now();
  const answered = lone.post(route, body).catch((error: unknown) => {
    if (error instanceof RouteError) return error;
    throw error;
  });
  const answer = await answered;
  expect(performance.now() - startMs).toBeLessThan(DEADLINE_MS);
  expect(lone.aborted).toBeNull();
  return answer;
}

describe('batches of clients', () => {
  test('garbage among them is refused, and the rest is done, in order', { timeout: timeoutOf(60_000) }, async () => {
    const batch = fc.array(fc.oneof(garbage, fc.constant(null)), { minLength: 1, maxLength: 12, size: 'max' });
    const batches = fc.array(batch, { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(batches, async (all) => {
        const lone = await leader();
        let seq = 0;
        for (const items of all) {
          const { index, hash } = { index: lone.peer.raft?.log.lastIndex, hash: lone.peer.stateMachine.stateHash() };
          const requests = items.map((item) => item?.request ?? { type: 'submit', command: put(++seq, 0) });
          const sound = items.filter((item) => item === null).length;
          const { replies } = (await post(lone, 'client', { requests })) as { replies: ClientReply[] };
          expect(replies.length).toBe(requests.length);
          let accepted = 0;
          items.forEach((item, i) => {
            const reply = replies[i]!;
            expect(['result', 'refused']).toContain(reply.type);
            if (reply.type === 'result' && requests[i].type === 'submit') accepted += 1;
            if (item === null) expect(reply).toMatchObject({ type: 'result' });
            else tally.note(item.request.type, item.kind, reply.type);
          });
          expect(accepted).toBeGreaterThanOrEqual(sound);
          if (accepted === 0) {
            expect([lone.peer.raft?.log.lastIndex, lone.peer.stateMachine.stateHash()]).toEqual([index, hash]);
          }
        }
      }),
      runs(60),
    );
  });

  test('a batch that is none is refused as a whole', async () => {
    const lone = await leader();
    const before = stateOf(lone.peer);
    const sound = { type: 'submit', command: put(1) };
    const batches: unknown[] = [
      {},
      { requests: null },
      { requests: {} },
      { requests: 'x' },
      { requests: [sound, null] },
      { requests: [sound, { type: 'submits', command: put(2) }] },
      { requests: [sound, { type: 'query', query: QUERIES[0] }] },
      { requests: [sound, { type: 'query', consistency: 'eventual', query: QUERIES[0] }] },
      { requests: new Array(1025).fill(sound) },
      { requests: [sound, [sound]] },
    ];
    for (const batch of batches) {
      const answer = await post(lone, 'client', batch);
      expect(answer).toBeInstanceOf(RouteError);
      tally.note('batch', 'malformed', answer.status);
    }
    expect(stateOf(lone.peer)).toBe(before);
  });

  test('the answer to the largest batch of the largest listings is bounded', async () => {
    const lone = await leader();
    for (let i = 1; i <= 8; i += 1) {
      await post(lone, 'client', {
        requests: [{ type: 'submit', command: { ...put(i), key: bytes(`big${i}`), value: new Uint8Array(900_000) } }],
      });
    }
    const query = { type: 'query', consistency: 'linearizable', query: { ...QUERIES[1], limit: 1000 } };
    for (const consistency of ['linearizable', 'stale']) {
      const requests = new Array(1024).fill({ ...query, consistency });
      const { replies } = await post(lone, 'client', { requests });
      const held = replies.filter(({ type }: ClientReply) => type === 'result');
      const sizes = held.map(({ result }: Loose) =>
        result.items.reduce((sum: number, { value }: Loose) => sum + value.byteLength, 0),
      );
      expect(sizes.reduce((sum: number, size: number) => sum + size, 0)).toBeLessThan(MAX_ANSWER_BYTES);
      for (const { type } of replies) tally.note('largest batch', consistency, type);
    }
  });
});

describe('what concerns the group as a whole', () => {
  const odd = fc.oneof(anything, fc.constantFrom<unknown>('default', 'y'.repeat(65), ''));
  const member = fc.record({ id: odd, slot: odd, incarnation: odd, locationHint: odd }, { requiredKeys: [] });
  const members = fc.oneof(
    anything,
    fc.array(member, { maxLength: 8 }),
    fc.constantFrom<unknown>(membersOf(2), membersOf(8), [...membersOf(3)].reverse(), [
      membersOf(1)[0],
      membersOf(1)[0],
    ]),
  );
  const fault = fc.record(
    {
      action: fc.constantFrom('cut', 'drop', 'delay', 'nothing', 'CRASH', ''),
      from: odd,
      rate: odd,
      minMs: odd,
      maxMs: odd,
    },
    { requiredKeys: [] },
  );
  const request = fc.oneof(
    fc.tuple(fc.constant('found'), fc.record({ members, nonce: odd }, { requiredKeys: [] })),
    fc.tuple(fc.constant('delete'), fc.record({ groupId: odd }, { requiredKeys: [] })),
    fc.tuple(fc.constant('chaos'), fc.oneof(fc.record({ fault }), fc.record({ fault: anything }))),
    fc.tuple(fc.constant('founding/ask'), fc.record({ depth: odd, from: odd }, { requiredKeys: [] })),
    fc.tuple(
      fc.constant('founding/store'),
      fc.record({
        depth: fc.nat({ max: 9 }),
        from: fc.integer({ min: 1 }),
        groupId: fc.constantFrom('g', '0'.repeat(32)),
        nonce: fc.constantFrom('', 'n', '0'.repeat(32)),
        id: fc.integer({ min: 1 }),
      }),
    ),
    fc.tuple(fc.constantFrom('status', 'stand'), anything),
  );

  test.each(['founded', 'unfounded'])('changes nothing on a peer that is %s', async (which) => {
    const lone = which === 'founded' ? await leader() : new LonePeer((sql) => createKeyValueStore(sql, {}));
    // A deletion makes what an unfounded peer was asked before void: that is its nonce.
    const unchanged = (): string => stateOf(lone.peer).replace(/"(contactMs|electionMs|nonce)":[^,}]*/g, '');
    const before = unchanged();
    await fc.assert(
      fc.asyncProperty(request, async ([route, body]) => {
        const answer = await post(lone, route, body);
        const faulty = lone.peer.calls.faults.active;
        // A fault may be drawn that can be: it is what was asked for.
        if (faulty) await post(lone, 'chaos', { fault: { action: 'heal' } });
        expect(unchanged()).toBe(before);
        expect(lone.deleted).toBe(false);
        tally.note(`${route}, ${which}`, 'any fields', answer instanceof RouteError ? answer.status : 'answered');
      }),
      runs(400),
    );
  });
});

test('every route was reached, and refused and answered what it should', () => {
  tally.expectReached({
    submit: ['refused', 'result'],
    query: ['refused', 'result'],
    batch: [400],
    'largest batch': ['result', 'overloaded'],
    'found, founded': [400],
    'found, unfounded': [400],
    'delete, founded': [400],
    'delete, unfounded': [400],
    'chaos, founded': [400],
    'chaos, unfounded': [400],
    'founding/ask, founded': [400],
    'founding/ask, unfounded': [400],
    'founding/store, founded': ['answered'],
    'founding/store, unfounded': ['answered'],
    'status, founded': ['answered'],
    'stand, unfounded': ['answered'],
  });
});
