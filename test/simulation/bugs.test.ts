/**
 * The simulator is itself tested: known bugs are put back, one at a time, and each must be caught within its seeds. What changes the
 * source is a loader at test time; a change whose place in `src` is gone fails here, before any seed is run.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { applyEdits, type Bug, StaleBug } from './bugs/bug.ts';
import { BUGS } from './bugs/catalogue.ts';
import { huntBugs, huntNothing } from './bugs/hunt.ts';

const SRC = join(import.meta.dirname, '../../src');
const textOf = (file: string): string => readFileSync(join(SRC, file), 'utf8');

const filesOf = (bug: Bug): string[] => [...new Set(bug.edits.map((edit) => edit.file))];

test('there are as many bugs as the READMEs say, each with a name of its own', () => {
  expect(BUGS.length).toBe(85);
  expect(new Set(BUGS.map((bug) => bug.name)).size).toBe(BUGS.length);
});

test.each(BUGS)('$name: every place is in src, exactly once, and changes', (bug) => {
  for (const file of filesOf(bug)) expect(applyEdits(bug, file, textOf(file))).not.toBe(textOf(file));
});

test('a bug whose place in src is gone, or is there twice, is an error', () => {
  const edit = { file: 'raft/quorum.ts', search: 'no such text', replacement: '' };
  const bug = { name: 'stale', edits: [edit], caughtBy: [], seeds: 1 };
  expect(() => applyEdits(bug, edit.file, textOf(edit.file))).toThrow(StaleBug);
  expect(() => applyEdits(bug, edit.file, 'no such text, no such text')).toThrow(StaleBug);
});

test('unchanged code passes, through the same loader', async () => {
  expect(await huntNothing(1, 20)).toMatchObject({ caught: null, seedsRun: 20 });
}, 60_000);

test('each bug is caught within its seeds, by what is meant to catch it', async () => {
  const hunts = await huntBugs({ bugs: BUGS });
  const missed = hunts.filter(({ caught }) => caught === null || !caught.expected);
  expect(
    missed.map(({ bug, seedsRun, caught }) => `${bug}: ${caught?.message ?? `not caught in ${seedsRun} seeds`}`),
    'again, with progress: npm run soak -- --bugs',
  ).toEqual([]);
}, 300_000);
