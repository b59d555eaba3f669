/**
 * What a leader and a candidate are answered: garbage, answers of others, of before, of another group. None counts as an answer: only
 * what a majority has truly said commits an entry or elects, only what all who live have truly said lets a leader sleep, and once the
 * others speak plainly again, all goes on.
 * Longer, or again: see test/attack/runs.ts.
 */
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { runs, seed, timeoutOf } from '../attack/runs.ts';
import { Tally } from '../attack/tally.ts';
import { AttackedGroup, STEP_MS } from './attacked-group.ts';
import type { Call } from './lone-peer.ts';
import { answer, WRONG, WRONG_ABOUT_A_CHUNK } from './wrong-answers.ts';

const tally = new Tally();
afterAll(() => tally.print(`Answers to a leader, seed ${seed}`));

/** Answers all of these calls, each in its way. */
async function answerAll(group: AttackedGroup, calls: readonly Call[], kinds: readonly string[], draw: number) {
  for (const [i, call] of calls.entries()) {
    const { asked, how, end } = answer(group, call, kinds[i % kinds.length] ?? 'lost', draw + i);
    tally.note(asked, how, end);
  }
  await group.settle();
  group.check();
}

test('what nobody truly said counts for nothing', { timeout: timeoutOf(60_000) }, async () => {
  const step = fc.record({
    kinds: fc.array(fc.constantFrom('honest', 'honest', 'honest', 'lost', ...Object.keys(WRONG)), {
      minLength: 8,
      maxLength: 8,
    }),
    draw: fc.nat(),
    passesMs: fc.constantFrom(STEP_MS, STEP_MS, 100, 300),
    write: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40, size: 'max' }), async (steps) => {
      const group = new AttackedGroup();
      await group.found();
      for (const { kinds, draw, passesMs, write } of steps) {
        if (write) group.write('x');
        await answerAll(group, await group.pass(passesMs), kinds, draw);
      }
      await allIsWell(group);
    }),
    runs(60),
  );
});

test('a leader sleeps only when all who live have truly said that they do', {
  timeout: timeoutOf(60_000),
}, async () => {
  const QUIESCE_AFTER_MS = 300;
  const BUSY = new Array(6).fill('busy');
  const step = fc.record({
    // Mostly the truth, or the leader would never sleep.
    kinds: fc.array(fc.constantFrom(...new Array(40).fill('honest'), ...BUSY, 'lost', ...Object.keys(WRONG)), {
      minLength: 8,
      maxLength: 8,
    }),
    draw: fc.nat(),
    write: fc.constantFrom(true, ...new Array(9).fill(false)),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), async (steps) => {
      const group = new AttackedGroup({ quiesceAfterMs: QUIESCE_AFTER_MS });
      await group.found();
      const take = async (kinds: readonly string[], draw: number, write: boolean): Promise<void> => {
        if (write) group.write('x');
        await answerAll(group, await group.pass(STEP_MS), kinds, draw);
        if (group.checkSleep()) tally.note('the leader', 'idle', 'sleeps');
      };
      for (const { kinds, draw, write } of steps) await take(kinds, draw, write);
      // They speak plainly again. A write wakes them; afterwards all of them go to sleep.
      await take(['honest'], 0, true);
      for (let i = 0; i < 100 && !group.checkSleep(); i += 1) await take(['honest'], i, false);
      expect(group.checkSleep(), 'the leader sleeps').toBe(true);
      expect(group.isWhole, 'everybody has everything').toBe(true);
      await Promise.all(group.written);
    }),
    runs(60),
  );
});

test('a follower is sent a snapshot, whatever it answers, until it has truly installed it', {
  timeout: timeoutOf(60_000),
}, async () => {
  const LIMITS = { tailEntries: 2, tailBytes: 400, retainedBytes: 4000 };
  const COUNTERS = 9;
  const LAGGARDS = ['default/4.1', 'default/5.1'];
  const chunkKind = fc.constantFrom('honest', 'honest', 'lost', ...Object.keys(WRONG_ABOUT_A_CHUNK));
  const step = fc.record({
    chunkKinds: fc.array(chunkKind, { minLength: 4, maxLength: 4 }),
    // Mostly the truth, or nobody would lead for long enough to send one.
    kind: fc.constantFrom(...new Array(60).fill('honest'), 'lost', ...Object.keys(WRONG)),
    draw: fc.nat(),
    write: fc.constantFrom(true, false, false, false),
  });
  const isChunk = ({ body }: Call): boolean => (body.messages as { type: string }[])[0]?.type === 'InstallSnapshot';
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 50, size: 'max' }), async (steps) => {
      const group = new AttackedGroup({ limits: LIMITS });
      await group.found();
      // Two are away until what they need is compacted.
      for (let i = 0; i < 2 * COUNTERS; i += 1) {
        group.write(`counter ${i % COUNTERS}`);
        const calls = await group.pass(STEP_MS);
        await answerAll(
          group,
          calls.filter(({ to }) => LAGGARDS.includes(to)),
          ['lost'],
          i,
        );
        await answerAll(
          group,
          calls.filter(({ to }) => !LAGGARDS.includes(to)),
          ['honest'],
          i,
        );
      }
      expect(group.lone.peer.raft?.log.lastIncludedIndex).toBeGreaterThan(COUNTERS);
      for (const { chunkKinds, kind, draw, write } of steps) {
        if (write) group.write('counter 0');
        const calls = await group.pass(STEP_MS);
        await answerAll(group, calls.filter(isChunk), chunkKinds, draw);
        await answerAll(
          group,
          calls.filter((call) => !isChunk(call)),
          [kind, 'honest', 'honest', 'honest'],
          draw,
        );
      }
      await allIsWell(group);
    }),
    runs(60),
  );
});

/** They speak plainly again: everything is committed, everywhere, and every client has its answer. */
async function allIsWell(group: AttackedGroup): Promise<void> {
  for (let i = 0; i < 100 && !group.isWhole; i += 1) await answerAll(group, await group.pass(STEP_MS), ['honest'], i);
  expect(group.isWhole, 'everybody has everything').toBe(true);
  await Promise.all(group.written);
}

test('leaders and candidates were answered in every way', () => {
  tally.expectReached({ AppendEntries: ['answered', 'lost'], RequestVote: ['answered', 'lost'] });
  tally.expectReached({ InstallSnapshot: ['answered', 'lost'], 'the leader': ['sleeps'] });
});
