/** A run failed since what its clients saw has no explanation: with all that its timeline shows. */
import type { Violation } from './check-result.ts';
import type { Operation } from './history.ts';
import type { Listing } from './listing.ts';

export class NotLinearizable extends Error {
  override readonly name = 'NotLinearizable';
  readonly violation: Violation;
  readonly operations: readonly Operation[];
  readonly listings: readonly Listing[];

  constructor(violation: Violation, operations: readonly Operation[], listings: readonly Listing[] = []) {
    super(`linearizability (${violation.kind}): ${violation.message}`);
    this.violation = violation;
    this.operations = operations;
    this.listings = listings;
  }
}
