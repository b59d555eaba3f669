/** Many seeds, what they did in sum, and what those that failed have to say. */
import { replay, replayCommand, shrinkAndShow } from './failing-seed.ts';
import type { SimulationPlan } from './plan.ts';
import { Progress } from './progress.ts';
import { runSeeds, type SeedOutcome } from './seeds.ts';
import type { SimulationResult } from './simulation.ts';

/** Failures after these are counted only: they are often the same. */
const MAX_EXPLAINED = 3;
const SHRINK_MS = 60_000;

export interface SoakOptions {
  readonly from: number;
  readonly count: number;
  readonly allFaults: boolean;
  readonly plan: Partial<SimulationPlan>;
  readonly workers: number | null;
  /** Explain failing seeds by their traces, and shrink them. */
  readonly explain: boolean;
}

/** How many failed. */
export async function soakSeeds({ from, count, allFaults, plan, workers, explain }: SoakOptions): Promise<number> {
  const progress = new Progress(count);
  const totals = new Totals();
  const failed: number[] = [];
  const onDone = (outcome: SeedOutcome): void => {
    if (outcome.ok) totals.add(outcome.result);
    else {
      failed.push(outcome.seed);
      progress.failed += 1;
      console.log(`\n${outcome.message}\n  replay: ${replayCommand({ seed: outcome.seed, allFaults, plan })}`);
    }
    progress.step();
  };
  await runSeeds({ from, count, allFaults, plan, onDone, ...(workers === null ? {} : { workers }) });
  console.log(`\n${count} seeds from ${from}, ${failed.length} failed, ${progress.seconds.toFixed(0)} s`);
  console.log(totals.describe(progress.seconds));
  if (explain) {
    for (const seed of failed.slice(0, MAX_EXPLAINED)) {
      console.log(`\n── seed ${seed}`);
      await replay({ seed, allFaults, plan });
      await shrinkAndShow({ seed, allFaults, plan }, SHRINK_MS);
    }
  }
  return failed.length;
}

const COUNTED = [
  ['operations', 'operations'],
  ['committed', 'entries committed'],
  ['terms', 'terms'],
  ['snapshots', 'snapshots installed'],
  ['sleeps', 'times asleep'],
  ['ledAgain', 'leaders restored from their sleep'],
  ['acts', 'acts of the nemesis'],
  ['wiped', 'peers wiped'],
  ['deletions', 'groups deleted'],
  ['fillings', 'writes refused by a full store'],
  ['expiredSessions', 'sessions expired'],
] as const;

class Totals {
  readonly #sums = new Map<string, number>();
  #events = 0;
  #simulatedMs = 0;
  #seeds = 0;

  add(result: SimulationResult): void {
    this.#seeds += 1;
    this.#events += result.events;
    this.#simulatedMs += result.simulatedMs;
    for (const [name] of COUNTED) this.#sums.set(name, (this.#sums.get(name) ?? 0) + result[name]);
  }

  describe(seconds: number): string {
    const sums = COUNTED.map(([name, words]) => `${this.#sums.get(name) ?? 0} ${words}`);
    const perSeed = Math.round(this.#events / Math.max(1, this.#seeds));
    return [
      `${this.#events} events (${Math.round(this.#events / seconds)} a second, ${perSeed} a seed), ` +
        `${(this.#simulatedMs / 3_600_000).toFixed(1)} simulated hours`,
      sums.join(', '),
    ].join('\n');
  }
}
