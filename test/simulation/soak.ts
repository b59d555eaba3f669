/**
 *     npm run soak -- --seeds 2000 [--from 1] [--all-faults] [--workers 2]
 *     npm run soak -- --replay 42 [--all-faults]
 *
 * Runs many simulations, or one again with its whole trace. Ends with status 1 if any seed fails.
 */
import { parseArgs } from 'node:util';
import { runSeeds, type SeedOutcome } from './seeds.ts';
import { SimulationFailure, simulate } from './simulation.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    replay: { type: 'string' },
    'all-faults': { type: 'boolean', default: false },
    workers: { type: 'string' },
  },
});
const allFaults = values['all-faults'];

if (values.replay !== undefined) await replay(Number(values.replay));
else await soak(Number(values.from), Number(values.seeds));

async function replay(seed: number): Promise<void> {
  try {
    console.log(await simulate({ seed, allFaults, trace: true }));
  } catch (error) {
    if (error instanceof SimulationFailure) console.log(error.lines.join('\n'));
    console.error(error);
    process.exitCode = 1;
  }
}

async function soak(from: number, count: number): Promise<void> {
  const startMs = Date.now();
  const totals = { done: 0, events: 0, operations: 0, snapshots: 0, terms: 0, simulatedMs: 0 };
  const failures: string[] = [];
  const onDone = (outcome: SeedOutcome): void => {
    totals.done += 1;
    if (outcome.ok) {
      totals.events += outcome.result.events;
      totals.operations += outcome.result.operations;
      totals.snapshots += outcome.result.snapshots;
      totals.terms += outcome.result.terms;
      totals.simulatedMs += outcome.result.simulatedMs;
    } else {
      const replayWith = `npm run soak -- --replay ${outcome.seed}${allFaults ? ' --all-faults' : ''}`;
      failures.push(`${outcome.message}\n  replay: ${replayWith}`);
      console.log(`\n${failures.at(-1)}`);
    }
    progress(totals.done, count, failures.length, startMs);
  };
  const workers = values.workers === undefined ? {} : { workers: Number(values.workers) };
  await runSeeds({ from, count, allFaults, onDone, ...workers });
  const seconds = (Date.now() - startMs) / 1000;
  console.log(`\n${count} seeds from ${from}, ${failures.length} failed, ${seconds.toFixed(0)} s`);
  console.log(
    `${totals.events} events (${Math.round(totals.events / seconds)}/s), ${totals.operations} operations, ` +
      `${totals.terms} terms, ${totals.snapshots} snapshots, ${(totals.simulatedMs / 3_600_000).toFixed(1)} simulated hours`,
  );
  if (failures.length > 0) process.exitCode = 1;
}

function progress(done: number, count: number, failed: number, startMs: number): void {
  const leftS = Math.round((((Date.now() - startMs) / done) * (count - done)) / 1000);
  const bar = '█'.repeat(Math.round((30 * done) / count)).padEnd(30, '░');
  const line = `${bar} ${done}/${count}  ${failed} failed  ${leftS} s left`;
  if (process.stdout.isTTY) process.stdout.write(`\r${line}  `);
  else if (done === count || done % Math.ceil(count / 20) === 0) console.log(line);
}
