import type { Operation } from './history.ts';

/**
 * Revisions only grow. So completed operations that tell the store's revision at their moment can be linearized only in that
 * order: a write with revision r before what saw the store at r, and that before the write with r + 1. This leaves the
 * search little to choose.
 */
export class RevisionOrder {
  /** By operation; -1: tells no revision of the store. */
  readonly #places: Float64Array;
  readonly #inOrder: Int32Array;
  readonly #linearized: Uint8Array;
  /** Everything before this index of `inOrder` is linearized. */
  #first = 0;

  constructor(operations: readonly Operation[]) {
    this.#places = Float64Array.from(operations, placeOf);
    this.#linearized = new Uint8Array(operations.length);
    const told = operations.map((_, i) => i).filter((i) => this.#places[i]! >= 0);
    this.#inOrder = Int32Array.from(told.sort((x, y) => this.#places[x]! - this.#places[y]!));
  }

  /** Whether no other operation must come first. */
  allows(operation: number): boolean {
    const place = this.#places[operation]!;
    const first = this.#inOrder[this.#first];
    return place < 0 || first === undefined || place <= this.#places[first]!;
  }

  /** The highest revision that a write can have if it comes next. */
  maxRevision(): number {
    const first = this.#inOrder[this.#first];
    return first === undefined ? Number.POSITIVE_INFINITY : Math.ceil(this.#places[first]! / 2) - 1;
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

function placeOf({ output }: Operation): number {
  switch (output?.type) {
    case 'written':
      return output.revision === undefined ? -1 : 2 * output.revision;
    case 'deleted':
      return output.revision === undefined ? -1 : 2 * output.revision + (output.deleted ? 0 : 1);
    case 'value':
    case 'missing':
      return output.storeRevision === undefined ? -1 : 2 * output.storeRevision + 1;
    default:
      return -1;
  }
}
