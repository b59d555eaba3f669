/**
 * The revisions that a write of unknown outcome can have: each revision is given once in the whole store, so those that
 * other writes were told, on whatever key, are taken. In a long history few are left, and the search has little to guess.
 */
import type { Operation } from './history.ts';
import type { Listing } from './listing.ts';
import { claimsOf, writtenRevision } from './revisions.ts';

/** A revision, the key that it belongs to, and who told so first. */
export interface ToldRevision {
  readonly revision: number;
  readonly key: string;
  readonly by: Operation | Listing;
}

/** All revisions that anybody was told of. */
export class ToldRevisions {
  readonly #told = new Map<number, ToldRevision>();
  /** By told revision: the least one above it that nobody was told of. */
  readonly #above: ReadonlyMap<number, number>;
  /** Seen at a key by readers, while no write was told that it is its own: a write of unknown outcome made them. */
  readonly #onlySeen = new Map<string, number[]>();

  constructor(operations: readonly Operation[], listings: readonly Listing[]) {
    for (const by of [...operations, ...listings]) {
      for (const [revision, key] of claimsOf(by)) {
        if (!this.#told.has(revision)) this.#told.set(revision, { revision, key, by });
      }
    }
    this.#above = leastAbove(this.#told.keys());
    const written = new Set(operations.map(({ output }) => writtenRevision(output)));
    for (const { revision, key } of this.#told.values()) {
      if (written.has(revision)) continue;
      const seen = this.#onlySeen.get(key);
      if (seen) seen.push(revision);
      else this.#onlySeen.set(key, [revision]);
    }
  }

  /** What writes of unknown outcome to `key` can have, and those of `own`, whose answers are left out of account. */
  freeFor(key: string, own: Iterable<Operation> = []): FreeRevisions {
    return new FreeRevisions(this.#above, this.#freeAtKey(key, own));
  }

  /** The same, if of what other keys have only `elsewhere` were taken. */
  freeBut(elsewhere: Iterable<ToldRevision>, key: string, own: Iterable<Operation> = []): FreeRevisions {
    const ofKey = [...this.#told.values()].filter((told) => told.key === key);
    const taken = [...ofKey, ...elsewhere].map(({ revision }) => revision);
    return new FreeRevisions(leastAbove(taken), this.#freeAtKey(key, own));
  }

  /** What other keys than `key` have. */
  elsewhere(key: string): ToldRevision[] {
    return [...this.#told.values()].filter((told) => told.key !== key);
  }

  #freeAtKey(key: string, own: Iterable<Operation>): number[] {
    const free = new Set(this.#onlySeen.get(key));
    for (const { output } of own) {
      const revision = writtenRevision(output);
      if (revision !== null) free.add(revision);
    }
    return [...free].sort((x, y) => x - y);
  }
}

/** By taken revision: the least one above it that is not taken. */
function leastAbove(taken: Iterable<number>): Map<number, number> {
  const above = new Map<number, number>();
  for (const revision of [...taken].sort((x, y) => y - x)) {
    above.set(revision, above.get(revision + 1) ?? revision + 1);
  }
  return above;
}

/** The revisions that writes of unknown outcome to one key can have. */
export class FreeRevisions {
  readonly #above: ReadonlyMap<number, number>;
  readonly #also: readonly number[];

  /** `above`: by taken revision, the least one above it that is not; `also`: taken ones that are free here, ascending. */
  constructor(above: ReadonlyMap<number, number>, also: readonly number[]) {
    this.#above = above;
    this.#also = also;
  }

  static readonly all: FreeRevisions = new FreeRevisions(new Map(), []);

  /** The least free revision above `revision`. */
  after(revision: number): number {
    const next = this.#above.get(revision + 1) ?? revision + 1;
    let [low, high] = [0, this.#also.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#also[middle]! <= revision) low = middle + 1;
      else high = middle;
    }
    return Math.min(next, this.#also[low] ?? Number.POSITIVE_INFINITY);
  }
}
