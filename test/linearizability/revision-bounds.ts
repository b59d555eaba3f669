/**
 * Where in the order of revisions an operation must lie that was told none itself: above all that was told before its call,
 * and below all that was told to operations called after its return. This carries real time from key to key, which the
 * search of one key alone would not see.
 */
import type { Operation } from './history.ts';
import type { Listing } from './listing.ts';
import type { Observation } from './revisions.ts';

export interface Bound {
  /** The store's revision when the operation happens is at least this (of a write: just before it). */
  readonly min: number;
  /** And at most this. */
  readonly max: number;
  /** Who told so; null: nobody. */
  readonly minBy: Operation | Listing | null;
  readonly maxBy: Operation | Listing | null;
}

export const UNBOUNDED: Bound = { min: 0, max: Number.POSITIVE_INFINITY, minBy: null, maxBy: null };

interface Extreme {
  readonly time: number;
  readonly revision: number;
  readonly by: Operation | Listing;
}

export class RevisionBounds {
  /** The highest told so far, by the time of returns. */
  readonly #told: readonly Extreme[];
  /** The lowest ceiling from here on, by the time of calls. */
  readonly #ceilings: readonly Extreme[];

  /** `observations`: in the order of calls. */
  constructor(observations: readonly Observation[]) {
    this.#told = risingMaxima(observations);
    this.#ceilings = risingMinima(observations);
  }

  of({ call, return: returned }: Operation): Bound {
    const floor = this.#told[countWhile(this.#told, (extreme) => extreme.time < call) - 1];
    const after = returned ?? Number.POSITIVE_INFINITY;
    const ceiling = this.#ceilings[countWhile(this.#ceilings, (extreme) => extreme.time <= after)];
    return {
      min: floor?.revision ?? 0,
      max: ceiling?.revision ?? Number.POSITIVE_INFINITY,
      minBy: floor?.by ?? null,
      maxBy: ceiling?.by ?? null,
    };
  }
}

function risingMaxima(observations: readonly Observation[]): Extreme[] {
  const maxima: Extreme[] = [];
  for (const { told, return: time, by } of [...observations].sort((x, y) => x.return - y.return)) {
    if (told !== null && told > (maxima.at(-1)?.revision ?? 0)) maxima.push({ time, revision: told, by });
  }
  return maxima;
}

function risingMinima(observations: readonly Observation[]): Extreme[] {
  const minima: Extreme[] = [];
  for (const { wrote, saw, call: time, by } of observations.toReversed()) {
    const revision = wrote === null ? saw : wrote - 1;
    if (revision !== null && revision < (minima.at(-1)?.revision ?? Number.POSITIVE_INFINITY))
      minima.push({ time, revision, by });
  }
  return minima.reverse();
}

/** How many at the start of `sorted` hold, by bisection. */
function countWhile(sorted: readonly Extreme[], holds: (extreme: Extreme) => boolean): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(sorted[middle]!)) low = middle + 1;
    else high = middle;
  }
  return low;
}
