/** The clients' histories against the contract: each key linearizable, revisions in real-time order, listings consistent. */
import type { Unknown, Violation } from '../linearizability/check-result.ts';
import { checkStoreHistory } from '../linearizability/check-store-history.ts';
import type { Operation, Output } from '../linearizability/history.ts';
import type { Listing } from '../linearizability/listing.ts';
import { NotLinearizable } from '../linearizability/not-linearizable.ts';
import { SimulationError } from './world.ts';

/** Two seconds or so: few histories take longer, and then what was done is looked up. */
const MAX_GUESSES = 20_000_000;

/** What a put or an append of this value did; null: nothing, and it never will. */
export type OutcomeOf = (value: string) => Output | null;

/**
 * `outcomeOf`: asked for what no client was told, and only if there is too much of it to guess (190 of 600 operations on one key in
 * seed 21782). More is demanded of the history then, not less: what is legal with it is legal without it.
 * @throws NotLinearizable with the smallest bad window; SimulationError: an answer that could not be found is a failure too
 */
export function checkHistories(
  operations: readonly Operation[],
  listings: readonly Listing[],
  outcomeOf?: OutcomeOf,
  maxGuesses = MAX_GUESSES,
): void {
  if (outcomeOf === undefined) return demand(checkStoreHistory(operations, listings), operations, listings);
  const result = checkStoreHistory(operations, listings, { maxStepsPerKey: maxGuesses });
  if (result.type !== 'unknown') return demand(result, operations, listings);
  const known = lookedUp(operations, outcomeOf);
  demand(checkStoreHistory(known, listings), known, listings);
}

type Result = { readonly type: 'ok' } | Violation | Unknown;

function demand(result: Result, operations: readonly Operation[], listings: readonly Listing[]): void {
  if (result.type === 'violation') throw new NotLinearizable(result, operations, listings);
  if (result.type === 'unknown')
    throw new SimulationError(`linearizability of ${result.key}: unknown (${result.reason})`);
}

/** Deletes stay unknown: nothing tells one from another. What has no return may return after everything else. */
function lookedUp(operations: readonly Operation[], outcomeOf: OutcomeOf): Operation[] {
  const endMs = Math.max(...operations.map(({ call, return: returnMs }) => returnMs ?? call));
  return operations.flatMap((operation) => {
    const { input, output } = operation;
    if (output !== null || input.type === 'get' || input.type === 'delete') return [operation];
    const done = outcomeOf(input.value);
    return done === null ? [] : [{ ...operation, return: endMs, output: done }];
  });
}
