/** From "this history is illegal" to the operation at which it became so. */
import { Budget } from './budget.ts';
import { FreeRevisions, takenBy } from './free-revisions.ts';
import type { Operation } from './history.ts';
import { searchKey } from './key-search.ts';

export interface BadWindow {
  /** The first operation whose return no linearization can explain. */
  readonly culprit: Operation;
  /** The culprit, what ran at the same time, and what returned shortly before, in the order of calls. */
  readonly operations: readonly Operation[];
}

const STEPS_PER_PREFIX = 2_000_000;
const RETURNED_BEFORE = 8;
const MAX_WINDOW = 64;

/**
 * The shortest illegal prefix of an illegal history, by bisection: a prefix of a legal history is legal, with the
 * operations that have not returned yet as open ones. A prefix that takes too long to judge counts as legal, so the result
 * is illegal in any case, if not always the shortest. `taken`: the revisions that writes of other keys were told.
 */
export function findBadWindow(
  history: readonly Operation[],
  taken: ReadonlySet<number>,
  timeoutMs: number,
  now: () => number,
): BadWindow {
  const byReturn = history.filter((operation) => operation.return !== null).sort((x, y) => x.return! - y.return!);
  const endMs = now() + timeoutMs;
  let legal = 0;
  let illegal = byReturn.length;
  while (illegal - legal > 1) {
    const middle = (legal + illegal) >> 1;
    const budget = new Budget(STEPS_PER_PREFIX, Math.max(0, endMs - now()), now);
    const begun = prefix(history, byReturn, middle);
    const result = searchKey(begun, budget, new FreeRevisions([...taken, ...takenBy(begun)]));
    if (result === 'violation') illegal = middle;
    else legal = middle;
  }
  const culprit = byReturn[illegal - 1]!;
  return { culprit, operations: windowAround(history, byReturn, illegal - 1) };
}

/** The history up to the return number `returns` (from 1). */
function prefix(history: readonly Operation[], byReturn: readonly Operation[], returns: number): Operation[] {
  const cut = byReturn[returns - 1]!.return!;
  const returned = new Set(byReturn.slice(0, returns));
  return history
    .filter((operation) => operation.call <= cut)
    .map((operation) => (returned.has(operation) ? operation : { ...operation, return: null, output: null }));
}

function windowAround(history: readonly Operation[], byReturn: readonly Operation[], culpritAt: number): Operation[] {
  const culprit = byReturn[culpritAt]!;
  const shown = new Set<Operation>([culprit]);
  for (const operation of byReturn.slice(Math.max(0, culpritAt - RETURNED_BEFORE), culpritAt)) shown.add(operation);
  const concurrent = history.filter(
    ({ call, return: returned }) => call <= culprit.return! && (returned ?? Number.POSITIVE_INFINITY) >= culprit.call,
  );
  // The latest calls tell the most.
  for (const operation of concurrent.sort((x, y) => y.call - x.call)) if (shown.size < MAX_WINDOW) shown.add(operation);
  return [...shown].sort((x, y) => x.call - y.call);
}
