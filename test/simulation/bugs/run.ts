/**
 *     npm run soak -- --bugs [--bug NAME]… [--seeds N] [--from S] [--workers W]
 *
 * Puts the known bugs back, one at a time, and prints what caught each, as a table for the README. Ends with status 1 if
 * one is not caught within its seeds.
 */
import { parseArgs } from 'node:util';
import { BUGS } from './catalogue.ts';
import { type Hunt, huntBugs } from './hunt.ts';
import { table } from './table.ts';

const { values } = parseArgs({
  options: {
    bugs: { type: 'boolean' },
    bug: { type: 'string', multiple: true },
    seeds: { type: 'string' },
    from: { type: 'string' },
    workers: { type: 'string' },
  },
});

const wanted = values.bug ?? BUGS.map((bug) => bug.name);
const bugs = BUGS.filter((bug) => wanted.some((name) => bug.name.includes(name)));
if (bugs.length === 0) throw new Error(`no bug is called ${wanted.join(', ')}`);

let done = 0;
const startMs = Date.now();
const onDone = ({ bug, caught, seedsRun, elapsedMs }: Hunt): void => {
  done += 1;
  const leftS = Math.round((((Date.now() - startMs) / done) * (bugs.length - done)) / 1000);
  const outcome = caught === null ? `NOT CAUGHT in ${seedsRun} seeds` : `${seedsRun} seeds: ${caught.message}`;
  const seconds = (elapsedMs / 1000).toFixed(1);
  console.log(`${done}/${bugs.length}  ${leftS} s left  ${seconds} s  ${bug}: ${outcome.slice(0, 220)}`);
};

const number = (text: string | undefined, name: string) => (text === undefined ? {} : { [name]: Number(text) });
const hunts = await huntBugs({
  bugs,
  onDone,
  ...number(values.seeds, 'seeds'),
  ...number(values.from, 'from'),
  ...number(values.workers, 'workers'),
});
console.log(`\n${table(bugs, hunts)}`);
if (hunts.some(({ caught }) => caught === null || !caught.expected)) process.exitCode = 1;
