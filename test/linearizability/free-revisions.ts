import type { Operation } from './history.ts';
import { writtenRevision } from './revisions.ts';

/**
 * The revisions that a write of unknown outcome can have: each revision is given once in the whole store, so those that
 * other writes were told, on whatever key, are taken. In a long history few are left, and the search has little to guess.
 */
export class FreeRevisions {
  /** By taken revision: the least free one above it. */
  readonly #above = new Map<number, number>();

  constructor(taken: Iterable<number>) {
    const descending = [...new Set(taken)].sort((x, y) => y - x);
    for (const revision of descending) this.#above.set(revision, this.#above.get(revision + 1) ?? revision + 1);
  }

  /** The least free revision above `revision`. */
  after(revision: number): number {
    return this.#above.get(revision + 1) ?? revision + 1;
  }
}

/** The revisions that writes of these operations were told. */
export function takenBy(operations: Iterable<Operation>): Set<number> {
  const taken = new Set<number>();
  for (const { output } of operations) {
    const revision = writtenRevision(output);
    if (revision !== null) taken.add(revision);
  }
  return taken;
}
