/** The clients' histories against the contract: each key linearizable, revisions in real-time order, listings consistent. */
import { checkStoreHistory } from '../linearizability/check-store-history.ts';
import type { Operation } from '../linearizability/history.ts';
import type { Listing } from '../linearizability/listing.ts';
import { NotLinearizable } from '../linearizability/not-linearizable.ts';
import { SimulationError } from './world.ts';

/** @throws NotLinearizable with the smallest bad window; SimulationError: an answer that could not be found is a failure too */
export function checkHistories(operations: readonly Operation[], listings: readonly Listing[]): void {
  const result = checkStoreHistory(operations, listings);
  if (result.type === 'violation') throw new NotLinearizable(result, operations, listings);
  if (result.type === 'unknown')
    throw new SimulationError(`linearizability of ${result.key}: unknown (${result.reason})`);
}
