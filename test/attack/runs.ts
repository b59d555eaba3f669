/**
 * How much is tried. `ATTACK_RUNS=20 npx vitest run --config test/vitest.config.ts attack` tries twenty times as much (a soak);
 * `ATTACK_SEED=…` replays: the seed of every run is printed with its table, and fast-check shrinks what fails.
 */
import type { Parameters } from 'fast-check';

const factor = Number(process.env.ATTACK_RUNS ?? '1');
if (!Number.isFinite(factor) || factor <= 0) throw new Error('ATTACK_RUNS must be a positive number');

/** Drawn once for a process, unless given. */
export const seed = Number(process.env.ATTACK_SEED ?? Math.floor(Math.random() * 0x7fffffff));

/** What a test may take, ms: it grows with the number of runs. */
export const timeoutOf = (timeoutMs: number): number => timeoutMs * Math.max(1, factor);

/** Within a test's 60 s: what fails is told as far as it is shrunk by then. */
const SHRINK_WITHIN_MS = 50_000;

export function runs<T>(count: number): Parameters<T> {
  const numRuns = Math.max(1, Math.round(count * factor));
  return { numRuns, seed, interruptAfterTimeLimit: timeoutOf(SHRINK_WITHIN_MS), markInterruptAsFailure: true };
}
