import type { Operation } from './history.ts';
import type { Bound } from './revision-bounds.ts';

/**
 * Revisions only grow. So completed operations that tell the store's revision at their moment can be linearized only in that
 * order: a write with revision r before what saw the store at r, and that before the write with r + 1. Those that tell none
 * have at least bounds. This leaves the search little to choose.
 */
export class RevisionOrder {
  /** By operation: its place in the order is at least this, and at most that. */
  readonly #lowest: Float64Array;
  readonly #highest: Float64Array;
  /** Those whose highest place is finite, by that place. */
  readonly #inOrder: Int32Array;
  readonly #linearized: Uint8Array;
  /** Everything before this index of `inOrder` is linearized. */
  #first = 0;

  constructor(operations: readonly { readonly output: Operation['output']; readonly bound: Bound }[]) {
    const places = operations.map(placeOf);
    // Between the write of a revision and what saw the store at it, and behind the latter.
    this.#lowest = Float64Array.from(operations, ({ bound }, i) => places[i] ?? 2 * bound.min + 0.5);
    this.#highest = Float64Array.from(operations, ({ bound }, i) => places[i] ?? 2 * bound.max + 1.5);
    this.#linearized = new Uint8Array(operations.length);
    const ordered = operations.map((_, i) => i).filter((i) => this.#highest[i]! < Number.POSITIVE_INFINITY);
    this.#inOrder = Int32Array.from(ordered.sort((x, y) => this.#highest[x]! - this.#highest[y]!));
  }

  /** Whether no other operation must come first. */
  allows(operation: number): boolean {
    const first = this.#inOrder[this.#first];
    return first === undefined || this.#lowest[operation]! <= this.#highest[first]!;
  }

  /** The highest revision that a write can have if it comes next. */
  maxRevision(): number {
    const first = this.#inOrder[this.#first];
    return first === undefined ? Number.POSITIVE_INFINITY : Math.ceil(this.#highest[first]! / 2) - 1;
  }

  /** Takes note of a linearized operation. Returns what `undo` needs. */
  linearize(operation: number): number {
    const before = this.#first;
    this.#linearized[operation] = 1;
    while (this.#first < this.#inOrder.length && this.#linearized[this.#inOrder[this.#first]!] === 1) this.#first += 1;
    return before;
  }

  undo(operation: number, before: number): void {
    this.#linearized[operation] = 0;
    this.#first = before;
  }
}

/** Whether it was told the store's revision at its moment. */
export function tellsPlace(operation: Operation): boolean {
  return placeOf(operation) !== null;
}

/** Its place in the order of revisions: 2r for the write of r, 2r + 1 for what saw the store at r; null if it was not told. */
export function placeOf({ output }: { readonly output: Operation['output'] }): number | null {
  switch (output?.type) {
    case 'written':
      return output.revision === undefined ? null : 2 * output.revision;
    case 'deleted':
      return output.revision === undefined ? null : 2 * output.revision + (output.deleted ? 0 : 1);
    case 'value':
    case 'missing':
      return output.storeRevision === undefined ? null : 2 * output.storeRevision + 1;
    default:
      return null;
  }
}
