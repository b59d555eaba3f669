/**
 * The revisions that a write of unknown outcome can have: each revision is given once in the whole store, so those that
 * other writes were told, on whatever key, are taken. In a long history few are left, and the search has little to guess.
 */
import type { Operation } from './history.ts';
import type { Listing } from './listing.ts';
import { claimsOf, writtenRevision } from './revisions.ts';

/** All revisions that anybody was told of. */
export class ToldRevisions {
  /** By told revision: the least one above it that nobody was told of. */
  readonly #above = new Map<number, number>();
  /** Seen at a key by readers, while no write was told that it is its own: a write of unknown outcome made them. */
  readonly #onlySeen = new Map<string, number[]>();

  constructor(operations: readonly Operation[], listings: readonly Listing[]) {
    const keyOf = new Map<number, string>([...operations, ...listings].flatMap(claimsOf));
    const descending = [...keyOf.keys()].sort((x, y) => y - x);
    for (const revision of descending) this.#above.set(revision, this.#above.get(revision + 1) ?? revision + 1);
    for (const { output } of operations) keyOf.delete(writtenRevision(output) ?? -1);
    for (const [revision, key] of keyOf) {
      const seen = this.#onlySeen.get(key);
      if (seen) seen.push(revision);
      else this.#onlySeen.set(key, [revision]);
    }
  }

  /** What writes of unknown outcome to `key` can have, and those of `own`, whose answers are left out of account. */
  freeFor(key: string, own: Iterable<Operation> = []): FreeRevisions {
    const also = new Set(this.#onlySeen.get(key));
    for (const { output } of own) {
      const revision = writtenRevision(output);
      if (revision !== null) also.add(revision);
    }
    return new FreeRevisions(
      this.#above,
      [...also].sort((x, y) => x - y),
    );
  }
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
