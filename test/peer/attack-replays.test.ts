/**
 * Old messages, delivered again to a living group: long after they were sent, in any order, many times, while clients write and
 * peers crash. Every invariant of the simulator is checked after every event. Longer, or again: see test/attack/runs.ts.
 */
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { decodeAnswer } from '../../src/peer/message-codec.ts';
import { decodeBody } from '../../src/peer/protocol.ts';
import { KINDS, kindOf, Recorder, recordRun } from '../attack/recorded-run.ts';
import { runs, seed, timeoutOf } from '../attack/runs.ts';
import { Tally } from '../attack/tally.ts';
import type { SimGroup } from '../simulation/sim-group.ts';

const DEADLINE_MS = 10_000;
/** How far back what is being said now goes, in messages. */
const LATEST = 60;
const tally = new Tally();
afterAll(() => tally.print(`Messages replayed to a living group, seed ${seed}`));

const SLOTS = [1, 2, 3];

/** What was said in answer, in a word. */
function answerOf(body: Uint8Array): string {
  const [reply] = decodeAnswer(body)?.replies ?? [];
  switch (reply?.type) {
    case 'RequestVoteReply':
      return reply.voteGranted ? 'granted' : 'not granted';
    case 'AppendEntriesReply':
      return reply.success ? 'success' : 'failure';
    case 'InstallSnapshotReply':
      return reply.outcome;
    default:
      return Object.keys(decodeBody(body) as object).join(' ');
  }
}

const story = fc.record({
  worldSeed: fc.integer({ min: 1, max: 1_000_000 }),
  steps: fc.array(
    fc.record({
      which: fc.nat(),
      times: fc.integer({ min: 1, max: 3 }),
      passMs: fc.constantFrom(0, 0, 1, 20, 300),
      event: fc.constantFrom('none', 'none', 'none', 'none', 'none', 'put', 'put', 'crash', 'isolate'),
      slot: fc.constantFrom(...SLOTS),
    }),
    { minLength: 150, maxLength: 250, size: 'max' },
  ),
});

/**
 * Every vote of one more election is asked for twice. Who has voted says so again until its log has grown; among random replays,
 * hardly any comes that early.
 */
async function askForVotesTwice(group: SimGroup, recorder: Recorder): Promise<void> {
  const deposed = group.leader() ?? 1;
  const answers: Promise<void>[] = [];
  let seen = recorder.messages.length;
  group.isolate(deposed);
  const elected = await group.pass(DEADLINE_MS, () => {
    for (const message of recorder.messages.slice(seen)) {
      if (kindOf(message) !== 'RequestVote') continue;
      const again = group.world.request('somebody', message.to, message.route, message.body.slice());
      answers.push(again.then((answer) => tally.note('RequestVote', 'replayed at once', answerOf(answer))));
    }
    seen = recorder.messages.length;
    return (group.leader() ?? deposed) !== deposed;
  });
  expect(elected).toBe(true);
  await group.until(Promise.all(answers), DEADLINE_MS);
  group.heal();
}

test('replays undo nothing, elect nobody and stop nothing', { timeout: timeoutOf(60_000) }, async () => {
  await fc.assert(
    fc.asyncProperty(story, async ({ worldSeed, steps }) => {
      const { group, messages } = await recordRun(worldSeed);
      const { world, invariants } = group;
      const recorder = new Recorder();
      try {
        const committed = [...invariants.committed];
        const byKind = KINDS.map((kind) => messages.filter((message) => kindOf(message) === kind));
        const answers: Promise<unknown>[] = [];
        for (const { which, times, passMs, event, slot } of steps) {
          // Old ones, of all kinds alike, and as many of what is being said now.
          const news = recorder.messages.slice(-LATEST);
          const among = which % 2 === 0 && news.length > 0 ? news : (byKind[(which >> 1) % byKind.length] ?? []);
          const recorded = among[(which >> 5) % among.length];
          if (recorded === undefined) continue;
          for (let i = 0; i < times; i += 1) {
            const answered = world.request('somebody', recorded.to, recorded.route, recorded.body.slice());
            answers.push(
              answered.then(
                (answer) => tally.note(kindOf(recorded), 'replayed', answerOf(answer)),
                // Its peer was reset: this is the world's own fault, and the answer is lost.
                (error) => tally.note(kindOf(recorded), 'replayed', (error as Error).message),
              ),
            );
          }
          if (event === 'put') await group.put('key', `${which}`);
          if (event === 'crash') world.crash(group.object(slot));
          if (event === 'isolate') {
            group.heal();
            group.isolate(slot);
          }
          await group.pass(passMs);
        }
        group.heal();
        await group.until(Promise.all(answers), DEADLINE_MS);
        expect(await group.put('between', 'v')).toBe('written');
        await askForVotesTwice(group, recorder);
        expect(await group.put('afterwards', 'v')).toBe('written');
        expect(await group.get('afterwards')).toBe('v');
        expect(await group.pass(10_000, () => group.equal(SLOTS))).toBe(true);
        expect(invariants.committed.slice(0, committed.length)).toEqual(committed);
        expect(world.failure).toBeNull();
      } finally {
        recorder.stop();
        group.close();
      }
    }),
    runs(6),
  );
});

test('every kind of message came again, and was answered', () => {
  tally.expectReached({
    PreVote: ['not granted'],
    RequestVote: ['not granted', 'granted'],
    AppendEntries: ['success', 'failure'],
    heartbeat: ['success', 'failure'],
    InstallSnapshot: ['staged'],
    'founding/ask': ['nonce groupId hasLog'],
    'founding/store': ['stored'],
  });
});
