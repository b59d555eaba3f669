/**
 * A failing seed explains itself: its trace in a file, the last lines of it, the timeline of what its clients saw where that is what
 * is wrong, and the smallest plan under which it still fails.
 */
import { FaultWatch } from './fault-watch.ts';
import type { SimulationPlan } from './plan.ts';
import { shrink, sizeOf } from './shrink.ts';
import { SimulationFailure, type SimulationResult, simulate } from './simulation.ts';
import { writeLines, writeTimelineOf } from './soak-files.ts';
import { TRACE_HEADER } from './trace.ts';

const LINES_SHOWN = 60;

export interface Replay {
  readonly seed: number;
  readonly allFaults: boolean;
  readonly plan: Partial<SimulationPlan>;
}

/** Runs it again with its trace and its timeline, written to files. Null: it failed, and the end of the trace was printed. */
export async function replay(run: Replay, suffix = ''): Promise<SimulationResult | null> {
  const watch = new FaultWatch();
  try {
    return await simulate({ ...run, trace: true, alsoCheck: watch.look });
  } catch (error) {
    if (!(error instanceof SimulationFailure)) throw error;
    const path = writeTrace(error, suffix);
    console.log(TRACE_HEADER);
    console.log(error.lines.slice(-LINES_SHOWN).join('\n'));
    console.log(
      `\n${error.message}\n\nplan: ${JSON.stringify(error.plan)}\nwhole trace (${error.lines.length} lines): ${path}`,
    );
    const title = `Simulation, seed ${run.seed}${suffix}`;
    const timeline = writeTimelineOf(`seed-${run.seed}${suffix}.html`, { title, error, faults: watch.faults });
    if (timeline !== null) console.log(`timeline: ${timeline}`);
    return null;
  }
}

function writeTrace(failure: SimulationFailure, suffix: string): string {
  const head = [failure.message, `plan: ${JSON.stringify(failure.plan)}`, '', TRACE_HEADER];
  return writeLines(`seed-${failure.seed}${suffix}.trace`, [...head, ...failure.lines]);
}

/** Shrinks it, and replays what is left. False: it does not fail. */
export async function shrinkAndShow(run: Replay, maxMs: number): Promise<boolean> {
  const shrunk = await shrink({
    ...run,
    maxMs,
    onSmaller: ({ events, acts, plan }) =>
      console.log(`  ${plan.peers} peers, ${plan.clients} clients, ${events} events, ${acts} acts …`),
  });
  if (shrunk === null) return false;
  const { before, after, overrides, runs } = shrunk;
  console.log(`seed ${run.seed} after ${runs} runs: size ${sizeOf(before).toFixed(0)} → ${sizeOf(after).toFixed(0)}`);
  await replay({ ...run, plan: { ...run.plan, ...overrides } }, '-small');
  console.log(`again: ${replayCommand({ ...run, plan: { ...run.plan, ...overrides } })}`);
  return true;
}

export function replayCommand({ seed, allFaults, plan }: Replay): string {
  const planned = Object.keys(plan).length === 0 ? '' : ` --plan '${JSON.stringify(plan)}'`;
  return `npm run soak -- --replay ${seed}${allFaults ? ' --all-faults' : ''}${planned}`;
}
