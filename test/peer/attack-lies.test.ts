/**
 * Messages that are well-formed and untrue: bits flipped, numbers that cannot be right, anything replayed in any order. Raft
 * believes its peers, so some are believed. But a promise is never broken: what is committed stays, terms and votes do not go back. A
 * message that contradicts what the peer knows for certain may end its instance (fail-stop, by an invariant of the core), never
 * by another error, and the next instance finds everything as it was. Longer, or again: see test/attack/runs.ts.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeBody, encodeBody } from '../../src/peer/protocol.ts';
import { RouteError } from '../../src/peer/routes.ts';
import { type Loose, pick } from '../attack/bend.ts';
import { Follower, messagesTo, type Promised } from '../attack/follower.ts';
import { kindOf, type Recorded, type Run, recordRun } from '../attack/recorded-run.ts';
import { runs, seed, timeoutOf } from '../attack/runs.ts';
import { Tally } from '../attack/tally.ts';

const MAX_ANSWER_BYTES = 16_384;
const tally = new Tally();
let run: Run;

beforeAll(async () => {
  run = await recordRun(seed);
}, 30_000);

afterAll(() => {
  run.group.close();
  tally.print(`Well-formed lies to a peer, seed ${seed}`);
});

/** Numbers that fit the schema; `true` ones beside, off by one. */
const lies = (truth: number): number[] => [
  0,
  1,
  Math.max(0, truth - 1),
  truth + 1,
  truth + 2,
  truth + 1000,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 53 - 2,
  2 ** 53 - 1,
];

const KINDS: Readonly<Record<string, (recorded: Recorded, draw: number) => Uint8Array>> = {
  'a flipped bit': ({ body }, draw) => {
    const flipped = body.slice();
    const at = draw % (8 * body.byteLength);
    flipped[at >> 3]! ^= 1 << (at & 7);
    return flipped;
  },
  'another byte': ({ body }, draw) => {
    const changed = body.slice();
    changed[(draw >> 8) % body.byteLength] = draw & 0xff;
    return changed;
  },
  'an untrue number': (recorded, draw) => {
    const body = decodeBody(recorded.body) as Loose;
    const message = body.messages?.[0] ?? body;
    const fields = Object.keys(message).filter((name) => typeof message[name] === 'number' && name !== 'to');
    const field = pick(fields, draw >> 8);
    message[field] = pick(lies(message[field]), draw);
    if (field === 'from') body.from = message.from;
    if (field === 'prevLogIndex') message.lastIndex = message.prevLogIndex + message.entries.length;
    return encodeBody(body);
  },
  'several untrue numbers': (recorded, draw) => {
    const body = decodeBody(recorded.body) as Loose;
    const message = body.messages?.[0] ?? body;
    const fields = Object.keys(message).filter(
      (name) => typeof message[name] === 'number' && !/^(to|from)$/.test(name),
    );
    fields.forEach((field, i) => {
      if ((draw >> i) & 1) message[field] = pick(lies(message[field]), draw >> (i + 3));
    });
    if (message.entries !== undefined) message.lastIndex = message.prevLogIndex + message.entries.length;
    return encodeBody(body);
  },
  'an unknown sender': (recorded, draw) => {
    const body = decodeBody(recorded.body) as Loose;
    const from = pick([1, 2, 3, 4, 7, 64, 2 ** 31, 2 ** 53 - 1], draw);
    body.from = from;
    if (body.messages !== undefined) body.messages[0].from = from;
    return encodeBody(body);
  },
  'replayed as it is': ({ body }) => body,
  'many at once': (recorded, draw) => {
    const body = decodeBody(recorded.body) as Loose;
    if (body.messages !== undefined) body.messages = new Array(1 + (draw % 16)).fill(body.messages[0]);
    return encodeBody(body);
  },
};

/** Rare kinds as often as frequent ones. */
function groupByKind(messages: readonly Recorded[]): Recorded[][] {
  return [...Map.groupBy(messages, kindOf).values()];
}

function expectKept(before: Promised, after: Promised): void {
  expect(after.term).toBeGreaterThanOrEqual(before.term);
  if (after.term === before.term && before.votedFor !== null) expect(after.votedFor).toBe(before.votedFor);
  expect(after.commitIndex).toBeGreaterThanOrEqual(before.commitIndex);
  expect(after.lastApplied).toBeGreaterThanOrEqual(before.lastApplied);
  expect(after.lastApplied).toBeLessThanOrEqual(after.commitIndex);
  for (const [index, entry] of after.committed) {
    if (index <= before.commitIndex) expect(entry, `the committed entry ${index}`).toBe(before.committed.get(index));
  }
}

/** Sends it; how it was answered, for the table. */
async function attack(follower: Follower, route: string, body: Uint8Array): Promise<string> {
  const before = follower.promised;
  const outcome = await follower.send(route, body).then(
    (answer) => {
      expect(answer.byteLength).toBeLessThan(MAX_ANSWER_BYTES);
      return 'answered';
    },
    (error: unknown) => (error instanceof RouteError ? String(error.status) : 'ended'),
  );
  const { aborted } = follower.lone;
  if (aborted === null) {
    expect(outcome).not.toBe('ended');
    expectKept(before, follower.promised);
    return outcome;
  }
  expect(aborted).toMatch(/^InvariantViolation: /);
  follower.restart();
  // Nothing commits on a restart: what was known to be committed is known again later.
  const after = follower.promised;
  expect([after.term, after.votedFor, after.lastApplied]).toEqual([before.term, before.votedFor, before.lastApplied]);
  for (const [index, entry] of after.committed) expect(entry).toBe(before.committed.get(index));
  return aborted.replace('InvariantViolation', 'ended');
}

test('a lie breaks no promise, and ends an instance by an invariant only', { timeout: timeoutOf(60_000) }, async () => {
  const lie = fc.record({
    kind: fc.constantFrom(...Object.keys(KINDS)),
    which: fc.nat(),
    draw: fc.nat(),
    passesMs: fc.constantFrom(0, 0, 1, 50, 400, 2000),
  });
  const story = fc.record({
    slot: fc.constantFrom(2, 3),
    heard: fc.nat(),
    all: fc.array(lie, { minLength: 1, maxLength: 30, size: 'max' }),
  });
  await fc.assert(
    fc.asyncProperty(story, async ({ slot, heard, all }) => {
      const name = `default/${slot}.1`;
      const messages = messagesTo(run, name);
      const byKind = groupByKind(messages);
      const follower = await Follower.after(run, name, 3 + (heard % messages.length));
      for (const { kind, which, draw, passesMs } of all) {
        follower.lone.nowMs += passesMs;
        const recorded = pick(pick(byKind, which), which >> 4);
        const body = KINDS[kind]?.(recorded, draw) ?? recorded.body;
        tally.note(kindOf(recorded), kind, await attack(follower, recorded.route, body));
      }
    }),
    runs(80),
  );
});

test('replays, in any order and however often, end nobody', { timeout: timeoutOf(60_000) }, async () => {
  const story = fc.record({
    slot: fc.constantFrom(1, 2, 3),
    heard: fc.nat(),
    all: fc.array(fc.tuple(fc.nat(), fc.constantFrom(0, 1, 50, 2000)), { minLength: 1, maxLength: 60, size: 'max' }),
  });
  await fc.assert(
    fc.asyncProperty(story, async ({ slot, heard, all }) => {
      const name = `default/${slot}.1`;
      const messages = messagesTo(run, name);
      const first = messages.find(({ route }) => route === 'founding/store');
      const member = { id: slot, groupId: run.groupId };
      const follower = new Follower(name);
      // Peer 1 founds the group itself.
      if (first === undefined) follower.lone.peer.join(member, null);
      for (const recorded of messages.slice(0, 3 + (heard % messages.length))) await follower.replay(recorded);
      for (const [which, passesMs] of all) {
        follower.lone.nowMs += passesMs;
        const recorded = pick(messages, which);
        const answer = await attack(follower, recorded.route, recorded.body);
        expect(answer).toBe('answered');
        tally.note(kindOf(recorded), 'replayed by itself', answer);
      }
      expect(follower.restarts).toBe(0);
    }),
    runs(60),
  );
});

test('every kind of message was sent and answered, and every way to refuse was seen', () => {
  const raft = ['AppendEntries', 'heartbeat', 'InstallSnapshot', 'PreVote', 'RequestVote'];
  tally.expectReached(Object.fromEntries(raft.map((kind) => [kind, ['answered', 400]])));
  tally.expectReached({ 'founding/ask': ['answered', 400], 'founding/store': ['answered', 400] });
  expect(tally.countAll(409)).toBeGreaterThan(0);
});
