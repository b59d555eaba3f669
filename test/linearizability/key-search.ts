/**
 * The search for a linearization of one key's history: Wing & Gong's depth-first search with Lowe's memoisation, without
 * recursion. At each point the operations that were called before the first return that is not linearized yet may come next.
 * Three things keep it short: reads that the state allows are taken at once (to move one forward never hurts), told
 * revisions fix the order, and operations of unknown outcome are tried only when nothing else goes on.
 */
import type { Budget } from './budget.ts';
import { callNode, EventList, isReturn, operationOf } from './event-list.ts';
import type { FreeRevisions } from './free-revisions.ts';
import type { Operation } from './history.ts';
import { EMPTY_KEY, type KeyOperation, type KeyState, step } from './key-state.ts';
import { type OpenChoice, OpenOperations } from './open-operations.ts';
import { type Bound, UNBOUNDED } from './revision-bounds.ts';
import { RevisionOrder, tellsPlace } from './revision-order.ts';
import { digestOf, type ValueDigest } from './value-digest.ts';
import { SetHash, Visited } from './visited.ts';

export type BoundOf = (operation: Operation) => Bound;

interface Frame {
  /** The state before this step. */
  readonly state: KeyState;
  /** Index of a completed operation, or -1. */
  readonly completed: number;
  /** What `RevisionOrder.undo` needs. */
  readonly order: number;
  /** There was no alternative worth trying. */
  readonly forced: boolean;
  /** The choices among open operations of which this step took number `choice`. */
  readonly choices: readonly OpenChoice[] | null;
  readonly choice: number;
}

/**
 * Whether `history` (all operations of one key) is linearizable; `unknown` if the budget is exceeded. `free`: the revisions
 * that operations of unknown outcome can have; `boundOf`: see revision-bounds.ts;
 * `initial`: what the key was before.
 */
export function searchKey(
  history: readonly Operation[],
  budget: Budget,
  free: FreeRevisions,
  boundOf: BoundOf,
  initial: KeyState = EMPTY_KEY,
): 'ok' | 'violation' | 'unknown' {
  return new KeySearch(history, budget, free, boundOf, initial).run();
}

class KeySearch {
  readonly #budget: Budget;
  readonly #completed: readonly KeyOperation[];
  readonly #returns: Float64Array;
  readonly #events: EventList;
  readonly #order: RevisionOrder;
  readonly #open: OpenOperations;
  readonly #linearized: SetHash;
  readonly #visited = new Visited();
  readonly #frames: Frame[] = [];
  /** Every change has a known revision. */
  readonly #allTold: boolean;
  #state: KeyState;
  #remaining: number;

  constructor(history: readonly Operation[], budget: Budget, free: FreeRevisions, boundOf: BoundOf, initial: KeyState) {
    this.#state = initial;
    const byCall = [...history].sort((x, y) => x.call - y.call);
    const completed = byCall.filter((operation) => operation.return !== null);
    const open = byCall.filter((operation) => operation.return === null && operation.input.type !== 'get');
    const digests = new DigestCache();
    this.#budget = budget;
    this.#completed = completed.map((operation) => digested(operation, digests.of, boundOf));
    this.#returns = Float64Array.from(completed, (operation) => operation.return!);
    this.#events = new EventList(completed.map(({ call }, i) => ({ call, return: this.#returns[i]! })));
    this.#order = new RevisionOrder(this.#completed);
    this.#open = new OpenOperations(
      open,
      digests.of,
      open.length === 0 ? new Set() : valuesSeen(completed),
      free,
      boundOf,
    );
    this.#allTold = open.length === 0 && completed.every((operation) => !writes(operation) || tellsPlace(operation));
    this.#linearized = new SetHash(completed.length + open.length);
    this.#remaining = completed.length;
  }

  run(): 'ok' | 'violation' | 'unknown' {
    let node = this.#absorbReads();
    // Operations of unknown outcome may just as well never have happened.
    while (this.#remaining > 0) {
      if (!this.#budget.spend()) return 'unknown';
      if (!isReturn(node)) {
        node = this.#tryCompleted(operationOf(node)) ? this.#absorbReads() : this.#events.after(node);
        continue;
      }
      const time = this.#returns[operationOf(node)]!;
      const choices = this.#open.choices(this.#state, time, this.#order.maxRevision(), this.#goesOn);
      const next = this.#tryChoices(choices, 0) ? this.#absorbReads() : this.#backtrack();
      if (next === null) return 'violation';
      node = next;
    }
    return 'ok';
  }

  /** Takes every operation that this state allows and that does not change it. Returns the first node to look at. */
  #absorbReads(): number {
    let node = this.#events.after(0);
    while (node !== 0 && !isReturn(node)) {
      const after = this.#events.after(node);
      const operation = operationOf(node);
      const next = this.#order.allows(operation) ? step(this.#state, this.#completed[operation]!) : null;
      if (next !== null && this.#changesNothing(next)) {
        this.#take(operation, next, true);
        // Its return may have been the very next event.
        node = this.#events.after(0);
      } else {
        node = after;
      }
    }
    return this.#events.after(0);
  }

  /** When all changes are told, those still to come have revisions above whatever the order lets anybody see by now. */
  #changesNothing(next: KeyState): boolean {
    return next === this.#state || (this.#allTold && next.value === this.#state.value && next.mod === this.#state.mod);
  }

  #tryCompleted(operation: number): boolean {
    if (!this.#order.allows(operation)) return false;
    const next = step(this.#state, this.#completed[operation]!);
    if (next === null) return false;
    this.#linearized.toggle(operation);
    const isNew = this.#visited.add(this.#linearized, next);
    this.#linearized.toggle(operation);
    if (isNew) this.#take(operation, next, false);
    return isNew;
  }

  #take(operation: number, next: KeyState, forced: boolean): void {
    const order = this.#order.linearize(operation);
    this.#frames.push({ state: this.#state, completed: operation, order, forced, choices: null, choice: -1 });
    this.#linearized.toggle(operation);
    this.#events.lift(operation);
    this.#remaining -= 1;
    this.#state = next;
  }

  /** Takes the first of `choices`, from number `from` on, that leads somewhere new. */
  #tryChoices(choices: readonly OpenChoice[], from: number): boolean {
    for (let choice = from; choice < choices.length; choice++) {
      const { open, state } = choices[choice]!;
      const member = this.#completed.length + open;
      this.#linearized.toggle(member);
      if (this.#visited.add(this.#linearized, state)) {
        this.#frames.push({ state: this.#state, completed: -1, order: 0, forced: false, choices, choice });
        this.#open.use(open);
        this.#state = state;
        return true;
      }
      this.#linearized.toggle(member);
    }
    return false;
  }

  /** Undoes steps up to one that has an alternative. Returns the node to go on with, or null: there is none. */
  #backtrack(): number | null {
    for (let frame = this.#frames.pop(); frame; frame = this.#frames.pop()) {
      this.#state = frame.state;
      if (frame.choices !== null) {
        const { open } = frame.choices[frame.choice]!;
        this.#open.undo(open);
        this.#linearized.toggle(this.#completed.length + open);
        if (this.#tryChoices(frame.choices, frame.choice + 1)) return this.#absorbReads();
        continue;
      }
      this.#order.undo(frame.completed, frame.order);
      this.#linearized.toggle(frame.completed);
      this.#events.unlift(frame.completed);
      this.#remaining += 1;
      if (!frame.forced) return this.#events.after(callNode(frame.completed));
    }
    return null;
  }

  /** Whether some operation that may come next is allowed in `state`. */
  readonly #goesOn = (state: KeyState): boolean => {
    for (let node = this.#events.after(0); node !== 0 && !isReturn(node); node = this.#events.after(node)) {
      const operation = operationOf(node);
      if (this.#order.allows(operation) && step(state, this.#completed[operation]!) !== null) return true;
    }
    return false;
  };
}

/** Values repeat, and the long ones are costly. */
class DigestCache {
  readonly #digests = new Map<string, ValueDigest>();

  readonly of = (value: string): ValueDigest => {
    const known = this.#digests.get(value);
    if (known) return known;
    const digest = digestOf(value);
    this.#digests.set(value, digest);
    return digest;
  };
}

function digested(operation: Operation, digest: (value: string) => ValueDigest, boundOf: BoundOf): KeyOperation {
  const { input, output } = operation;
  const bound = tellsPlace(operation) ? UNBOUNDED : boundOf(operation);
  if (input.type === 'put' || input.type === 'append') return { input, output, digest: digest(input.value), bound };
  return { input, output, digest: output?.type === 'value' ? digest(output.value) : null, bound };
}

function writes({ output }: Operation): boolean {
  return output?.type === 'written' || (output?.type === 'deleted' && output.deleted);
}

function valuesSeen(completed: readonly Operation[]): Set<string> {
  const seen = new Set<string>();
  for (const { output } of completed) if (output?.type === 'value') seen.add(output.value);
  return seen;
}
