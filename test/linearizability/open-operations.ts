import type { FreeRevisions } from './free-revisions.ts';
import type { Operation } from './history.ts';
import { type KeyOperation, type KeyState, stepOpen } from './key-state.ts';
import type { Bound } from './revision-bounds.ts';
import { UNSEEN, type ValueDigest } from './value-digest.ts';

/** One choice: an operation of unknown outcome happens now. */
export interface OpenChoice {
  /** Index among the open operations. */
  readonly open: number;
  readonly state: KeyState;
}

interface Open extends KeyOperation {
  readonly call: number;
  /** Operations of one class have the same effect on every state; null: its effect is its own. */
  readonly effectClass: string | null;
}

/**
 * The writes of one key whose outcome is unknown. Each may happen once, at any time after its call, or never. Many are
 * interchangeable (deletes; writes of values that no read has seen), and of those the one called first is always the best
 * choice, since it can stand in for the others: this keeps the search from trying all their subsets.
 */
export class OpenOperations {
  readonly #opens: readonly Open[];
  readonly #used: Uint8Array;

  readonly #free: FreeRevisions;

  /** `operations`: without gets, in the order of their calls. `seen`: the values that reads of the key returned. */
  constructor(
    operations: readonly Operation[],
    digestOf: (value: string) => ValueDigest,
    seen: ReadonlySet<string>,
    free: FreeRevisions,
    boundOf: (operation: Operation) => Bound,
  ) {
    this.#free = free;
    this.#opens = operations.map((operation) => prepare(operation, digestOf, seen, boundOf(operation)));
    this.#used = new Uint8Array(operations.length);
  }

  use(open: number): void {
    this.#used[open] = 1;
  }

  undo(open: number): void {
    this.#used[open] = 0;
  }

  /**
   * What may happen to `state` before `time` with a revision of at most `maxRevision`, promising choices first: those after which `goesOn` holds, then those whose
   * value no read has seen (another one's turn will come at the read that saw it).
   */
  choices(state: KeyState, time: number, maxRevision: number, goesOn: (state: KeyState) => boolean): OpenChoice[] {
    const choices: { readonly open: number; readonly state: KeyState; readonly merit: number }[] = [];
    const classes = new Set<string>();
    for (const [open, operation] of this.#opens.entries()) {
      if (operation.call > time) break;
      if (this.#used[open] === 1 || (operation.effectClass !== null && classes.has(operation.effectClass))) continue;
      if (operation.effectClass !== null) classes.add(operation.effectClass);
      const next = stepOpen(state, operation, this.#free);
      if (next === null || next.floor > maxRevision) continue;
      const merit = (goesOn(next) ? 2 : 0) + (operation.effectClass === null ? 0 : 1);
      choices.push({ open, state: next, merit });
    }
    return choices.sort((x, y) => y.merit - x.merit || x.open - y.open);
  }
}

function prepare(
  operation: Operation,
  digestOf: (value: string) => ValueDigest,
  seen: ReadonlySet<string>,
  bound: Bound,
): Open {
  const { input, call } = operation;
  const condition = input.type === 'get' ? null : (input.condition ?? null);
  const base = { input, output: null, call, bound };
  if (input.type === 'get') return { ...base, digest: null, effectClass: null };
  if (input.type === 'delete') return { ...base, digest: null, effectClass: JSON.stringify(['delete', condition]) };
  const { type, value } = input;
  // After a put, later values begin with its value until the next put or delete; after an append, they contain it.
  for (const read of seen) {
    const shows = type === 'put' ? read.startsWith(value) : read.includes(value);
    if (shows) return { ...base, digest: digestOf(value), effectClass: null };
  }
  return { ...base, digest: UNSEEN, effectClass: JSON.stringify(['unseen', condition]) };
}
