/**
 * A thread of its own for each bug: modules are loaded once in a thread, so the bug must be there before the first of them.
 * Runs seeds until one fails.
 */
import { registerHooks } from 'node:module';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import type { simulate as Simulate } from '../simulation.ts';
import { applyEdits, StaleBug } from './bug.ts';
import { BUGS } from './catalogue.ts';

export interface BugJob {
  /** Null: nothing is changed, through the same loader. */
  readonly name: string | null;
  readonly from: number;
  readonly seeds: number;
}

export type BugReport =
  | { readonly type: 'passed'; readonly seed: number; readonly events: number }
  | { readonly type: 'caught'; readonly seed: number; readonly message: string }
  | { readonly type: 'done' };

const SRC = join(import.meta.dirname, '../../../src');

const { name, from, seeds } = workerData as BugJob;
const bug = name === null ? { name: 'none', edits: [], caughtBy: [], seeds } : BUGS.find((item) => item.name === name);
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

const tell = (report: BugReport): void => parentPort?.postMessage(report);

for (let seed = from; seed < from + seeds; seed += 1) {
  const outcome = await simulate({ seed }).then(
    ({ events }): BugReport => ({ type: 'passed', seed, events }),
    (error: Error): BugReport => ({ type: 'caught', seed, message: error.message }),
  );
  tell(outcome);
  if (outcome.type === 'caught') break;
}
tell({ type: 'done' });
