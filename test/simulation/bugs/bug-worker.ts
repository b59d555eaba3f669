/**
 * A process of its own for each bug, whose name is its argument: modules are loaded once in a process, so the bug must be there
 * before the first of them.
 */
import { registerHooks } from 'node:module';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serveJobs } from '../job-process.ts';
import type { simulate as Simulate } from '../simulation.ts';
import { applyEdits, type Bug, StaleBug } from './bug.ts';
import { type BugJob, type BugReport, UNCHANGED } from './bug-job.ts';
import { BUGS } from './catalogue.ts';

const SRC = join(import.meta.dirname, '../../../src');

const name = process.argv[2];
const nothing: Bug = { name: UNCHANGED, edits: [], caughtBy: [], seeds: 0 };
const bug = name === UNCHANGED ? nothing : BUGS.find((item) => item.name === name);
if (bug === undefined) throw new Error(`there is no bug "${name}"`);

const loaded = new Set<string>();
registerHooks({
  load(url, context, nextLoad) {
    const result = nextLoad(url, context);
    if (!url.startsWith('file:')) return result;
    const file = relative(SRC, fileURLToPath(url));
    if (file.startsWith('..') || result.source === undefined || result.source === null) return result;
    loaded.add(file);
    const text = typeof result.source === 'string' ? result.source : new TextDecoder().decode(result.source);
    return { ...result, source: applyEdits(bug, file, text) };
  },
});

const { simulate } = (await import('../simulation.ts')) as { simulate: typeof Simulate };
for (const { file } of bug.edits) {
  if (!loaded.has(file)) throw new StaleBug(`bug "${bug.name}": the simulator does not load src/${file}`);
}

serveJobs<BugJob, BugReport>(({ seed }) =>
  simulate({ seed }).then(
    ({ events }) => ({ type: 'passed', events }),
    (error: Error) => ({ type: 'caught', message: error.message }),
  ),
);
