/**
 * Messages that a peer must refuse: cut off, of another version, group, sender or recipient, with fields that cannot be. Whatever it
 * is, and whoever gets it: an error, and nothing else. Longer, or again: see test/attack/runs.ts.
 */
import { encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeBody, encodeBody, MAX_BODY_BYTES } from '../../src/peer/protocol.ts';
import { handleRoute, RouteError } from '../../src/peer/routes.ts';
import { type Loose, pick } from '../attack/bend.ts';
import { stateOf } from '../attack/peer-state.ts';
import { KINDS, kindOf, type Recorded, type Run, recordRun } from '../attack/recorded-run.ts';
import { runs, seed, timeoutOf } from '../attack/runs.ts';
import { Tally } from '../attack/tally.ts';

const DEADLINE_MS = 2000;
const tally = new Tally();
let run: Run;

beforeAll(async () => {
  run = await recordRun(seed);
}, 30_000);

afterAll(() => {
  run.group.close();
  tally.print(`Messages that peers must refuse, seed ${seed}`);
});

test('the recorded run has messages of every kind', () => {
  expect([...new Set(run.messages.map(kindOf))].sort()).toEqual([...KINDS].sort());
});

/** A change of a body that nobody may accept. Null: it does not suit this kind of message. */
type Mutation = (body: Loose, draw: number) => unknown;

const NO_INDEX: readonly unknown[] = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -1,
  0.5,
  1e300,
  2 ** 53,
  -(2 ** 53),
  '1',
  true,
  null,
  undefined,
  [],
  [1],
  {},
  new Uint8Array(8),
  new Date(1),
];
const inMessage = (change: (message: Loose, draw: number) => unknown): Mutation => {
  return (body, draw) => (body.messages === undefined ? null : change(body.messages[0], draw));
};

const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'another version': (body, draw) => {
    if (body.version === undefined) return null;
    body.version = pick<unknown>([0, 2, 1.5, '1', null, undefined, 2 ** 53], draw);
    return body;
  },
  'another group': (body, draw) => {
    if (body.messages === undefined) return null;
    body.groupId = pick<unknown>(
      ['', 'x', body.groupId.slice(1), body.groupId.toUpperCase(), `${body.groupId}\0`, 'y'.repeat(65), null, 7, {}],
      draw,
    );
    // Upper case of digits only is the same.
    return body.groupId === run.groupId ? null : body;
  },
  'another recipient': inMessage((message, draw) => {
    message.to = pick<unknown>([4, 99, Number.MAX_SAFE_INTEGER, message.from, ...NO_INDEX], draw);
    return true;
  }),
  'another sender': inMessage((message, draw) => {
    message.from = pick<unknown>([message.from + 1, 99, 0, ...NO_INDEX], draw);
    return true;
  }),
  'no such type': inMessage((message, draw) => {
    message.type = pick<unknown>(['', 'Vote', 'appendEntries', 'AppendEntriesReply', '__proto__', 1, null], draw);
    return true;
  }),
  'no index or term': inMessage((message, draw) => {
    const fields = Object.keys(message).filter((name) => typeof message[name] === 'number');
    message[pick(fields, draw >> 8)] = pick(NO_INDEX, draw);
    return true;
  }),
  'a missing field': inMessage((message, draw) => {
    delete message[pick(Object.keys(message), draw)];
    return true;
  }),
  'a field of another type': inMessage((message, draw) => {
    // What a snapshot's header is, the state machine says.
    message[pick(Object.keys(message), draw >> 8)] = pick<unknown>([[[[]]], { a: 1 }, new Date(0)], draw);
    return true;
  }),
  'numbers of messages': (body, draw) => {
    if (body.messages === undefined) return null;
    const count = pick([0, 17, 10_000], draw);
    body.messages = Array.from({ length: count }, () => body.messages[0]);
    return body;
  },
  'a false lastIndex': inMessage((message, draw) => {
    if (message.type !== 'AppendEntries') return null;
    message.lastIndex += 1 + (draw % 5);
    return true;
  }),
  'entries newer than their leader': inMessage((message, draw) => {
    if (message.type !== 'AppendEntries' || message.entries.length === 0) return null;
    pick<Loose>(message.entries, draw)[0] = message.term + 1;
    return true;
  }),
  'entries older than the one before': inMessage((message) => {
    if (message.type !== 'AppendEntries' || message.entries.length === 0) return null;
    message.prevLogTerm = message.entries[0][0] + 1;
    return true;
  }),
  'entries too many or too large': inMessage((message, draw) => {
    if (message.type !== 'AppendEntries') return null;
    const entry = pick<unknown>([[1, new Uint8Array(1_950_001)], [1], [1, 'x'], [1, new Uint8Array(1), 1], null], draw);
    message.entries = draw % 2 === 0 ? [entry] : new Array(4097).fill([message.term, new Uint8Array([0])]);
    message.lastIndex = message.prevLogIndex + message.entries.length;
    return true;
  }),
  'a snapshot of a later term': inMessage((message) => {
    if (message.type !== 'InstallSnapshot') return null;
    message.lastIncludedTerm = message.term + 1;
    return true;
  }),
  'a configuration that is none': inMessage((message, draw) => {
    if (message.type !== 'InstallSnapshot') return null;
    const [voter] = message.configuration.voters;
    message.configuration = pick<unknown>(
      [
        null,
        {},
        { voters: [] },
        { voters: [{}] },
        { voters: new Array(65).fill(voter) },
        { voters: [{ ...voter, id: 0 }] },
      ],
      draw,
    );
    return true;
  }),
  'a cursor or cut too long': inMessage((message, draw) => {
    if (message.type !== 'InstallSnapshot') return null;
    if (draw % 3 === 0) message.cursor = new Uint8Array(4097);
    else if (draw % 3 === 1) message.page.next = new Uint8Array(4097);
    else message.cutId = 'c'.repeat(65);
    return true;
  }),
  'a depth that cannot be': (body, draw) => {
    body.depth = pick<unknown>(
      [...NO_INDEX, ...(body.messages === undefined ? [] : [1001, Number.MAX_SAFE_INTEGER])],
      draw,
    );
    return body;
  },
  'another value altogether': (_, draw) =>
    pick<unknown>(
      [null, 0, 'raft', [], {}, [[]], { messages: [] }, { version: 1 }, new Uint8Array(9), new Date(0)],
      draw,
    ),
};

/** Bytes that are no encoded body any more. */
const BYTES: Readonly<Record<string, (body: Uint8Array, draw: number) => Uint8Array>> = {
  truncated: (body, draw) => body.slice(0, draw % body.byteLength),
  'followed by more': (body, draw) => Buffer.concat([body, new Uint8Array(1 + (draw % 9))]),
  'in the middle of another': (body, draw) => Buffer.concat([body.slice(draw % body.byteLength), body]),
  oversized: (body, draw) => {
    const bytes = new Uint8Array(MAX_BODY_BYTES + 1 + (draw % 1000));
    bytes.set(body);
    return bytes;
  },
  'nested deeply': (_, draw) => new Uint8Array(100_000).fill(pick([0x91, 0x81], draw)),
  'claims of more than there is': (body, draw) => {
    const [head, count] = [
      pick([0xdd, 0xdf, 0xc6, 0xdb, 0xc9], draw),
      pick([1e7, 2 ** 25 - 1, 2 ** 32 - 1], draw >> 3),
    ];
    const bytes = Buffer.alloc(5);
    bytes.writeUInt8(head);
    bytes.writeUInt32BE(count, 1);
    return Buffer.concat([bytes, body]);
  },
};

/** What is sent, and how it was made; null: this mutation does not suit the message. */
function mutated(recorded: Recorded, kind: string, draw: number): Uint8Array | null {
  const bytes = BYTES[kind];
  if (bytes !== undefined) return bytes(recorded.body, draw);
  const body = decodeBody(recorded.body) as Loose;
  const changed = MUTATIONS[kind]?.(body, draw) ?? null;
  if (changed === null) return null;
  return encodeBody(changed === true ? body : changed);
}

/** It was refused as the caller's fault, and this peer is as it was. */
async function expectRefused(slot: number, route: string, body: Uint8Array): Promise<number> {
  const instance = run.group.object(slot).instance;
  if (instance === null) throw new Error(`peer ${slot} has no instance`);
  const before = stateOf(instance.peer);
  const startMs = performance.now();
  const outcome = await handleRoute(instance.peer, route, body, { chaos: true }).then(
    (reply) => `answered: ${JSON.stringify(decodeBody(reply))}`,
    (error: unknown) => error,
  );
  expect(performance.now() - startMs).toBeLessThan(DEADLINE_MS);
  if (!(outcome instanceof RouteError)) throw new Error('not refused', { cause: outcome });
  expect(instance.dead).toBe(false);
  expect(stateOf(instance.peer)).toBe(before);
  expect(outcome.message.length).toBeLessThan(100);
  return outcome.status;
}

test('what cannot be, or is not for this peer, is refused, and changes nothing', {
  timeout: timeoutOf(60_000),
}, async () => {
  const byKind = KINDS.map((kind) => run.messages.filter((message) => kindOf(message) === kind));
  const input = fc.record({
    among: fc.nat(),
    which: fc.nat(),
    kind: fc.constantFrom(...Object.keys(MUTATIONS), ...Object.keys(BYTES)),
    draw: fc.nat(),
    slot: fc.integer({ min: 1, max: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(input, async ({ among, which, kind, draw, slot }) => {
      const recorded = pick(pick(byKind, among), which);
      const body = mutated(recorded, kind, draw);
      if (body === null) return;
      // To its own recipient, unless it is about that: so nothing but the change is wrong.
      const to = Number(recorded.to.at(-3));
      const status = await expectRefused(kind === 'another value altogether' ? slot : to, recorded.route, body);
      tally.note(kindOf(recorded), kind, status);
    }),
    runs(2500),
  );
});

test('a message for another peer of the group is refused', async () => {
  for (const recorded of run.messages.filter(({ route }) => route === 'raft')) {
    const to = Number(recorded.to.at(-3));
    tally.note(kindOf(recorded), 'delivered elsewhere', await expectRefused((to % 3) + 1, 'raft', recorded.body));
  }
});

test('bytes of any kind are refused by every route', { timeout: timeoutOf(60_000) }, async () => {
  const routes = ['raft', 'founding/ask', 'founding/store', 'client', 'found', 'delete', 'chaos'];
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.anything({ withNullPrototype: false }).map((value) => {
      try {
        return encode(value, { ignoreUndefined: true });
      } catch {
        return new Uint8Array(0);
      }
    }),
  );
  const input = fc.record({ route: fc.constantFrom(...routes), slot: fc.integer({ min: 1, max: 3 }), body: bytes });
  await fc.assert(
    fc.asyncProperty(input, async ({ route, slot, body }) => {
      tally.note(`/${route}`, 'any bytes', await expectRefused(slot, route, body));
    }),
    runs(1500),
  );
});

test('there are no other routes', async () => {
  const routes = [
    '',
    'Raft',
    'raft/',
    'founding',
    'founding/',
    '__proto__',
    'constructor',
    'client?',
    '../raft',
    'crash',
  ];
  for (const route of routes) {
    tally.note('no route', 'any', await expectRefused(1, route, encodeBody({})));
  }
});

test('afterwards the group is as well as before', async () => {
  expect(await run.group.put('after', 'v')).toBe('written');
  expect(await run.group.pass(5000, () => run.group.equal([1, 2, 3]))).toBe(true);
});

test('every kind of message was refused, for either reason', () => {
  const raft = KINDS.filter((kind) => !kind.startsWith('founding'));
  tally.expectReached(Object.fromEntries(raft.map((kind) => [kind, [400, 409]])));
  tally.expectReached({
    'founding/ask': [400],
    'founding/store': [400],
    '/client': [400],
    '/raft': [400],
    'no route': [404],
  });
});
