/**
 * The entry point: whether everything that clients of one store did and saw is linearizable, listings included. See README.md
 * for the rules and why they are enough.
 */
import { type BadWindow, findBadWindow } from './bad-window.ts';
import { Budget } from './budget.ts';
import type { CheckOptions, CheckResult, Unknown, Violation } from './check-result.ts';
import { formatListing, formatOperations } from './format.ts';
import { FreeRevisions, type ToldRevision, ToldRevisions } from './free-revisions.ts';
import { assertWellFormed, type Operation } from './history.ts';
import { searchKey } from './key-search.ts';
import { assertWellFormedListing, isListing, type Listing, ListingReads, listingOf } from './listing.ts';
import { findListingViolation, type ListingViolation } from './listing-shape.ts';
import { RevisionBounds, UNBOUNDED } from './revision-bounds.ts';
import { findRevisionViolation, observationsOf, type RevisionViolation } from './revisions.ts';

/** Some ten seconds. A hot key with many unknown outcomes takes more than one would think: 22 million in seed 37848. */
const DEFAULT_MAX_STEPS_PER_KEY = 100_000_000;
const DEFAULT_TIMEOUT_MS = 120_000;
/** For making a violation that was found smaller. */
const BAD_WINDOW_TIMEOUT_MS = 6_000;
/** Of many revisions of other keys that leave none for a write of unknown outcome, so many are shown. */
const MAX_TELLERS = 3;

/**
 * Checks a history; the order of `operations` and `listings` means nothing. A violation found anywhere goes before keys whose
 * search exceeded its budget.
 * @throws Error if an operation or a listing is malformed
 */
export function checkStoreHistory(
  operations: readonly Operation[],
  listings: readonly Listing[],
  options: CheckOptions = {},
): CheckResult {
  for (const operation of operations) assertWellFormed(operation);
  for (const listing of listings) assertWellFormedListing(listing);
  const shape = findListingViolation(listings);
  if (shape) return describeListing(shape);
  const store = new StoreHistory(operations, listings, options.revisions ?? true);
  if (store.contradiction) return describeRevisions(store.contradiction);
  return store.searchKeys(options);
}

class StoreHistory {
  readonly contradiction: RevisionViolation | null = null;
  readonly #operations: ReadonlyMap<string, readonly Operation[]>;
  readonly #reads: ListingReads;
  /** Null: without the promise that a revision is given once, and in the order of time. */
  readonly #told: ToldRevisions | null = null;
  readonly #bounds: RevisionBounds | null = null;

  constructor(operations: readonly Operation[], listings: readonly Listing[], revisions: boolean) {
    this.#operations = Map.groupBy(operations, (operation) => operation.key);
    this.#reads = new ListingReads(listings);
    if (!revisions) return;
    const observations = observationsOf(operations, listings);
    this.contradiction = findRevisionViolation(observations);
    this.#told = new ToldRevisions(operations, listings);
    this.#bounds = new RevisionBounds(observations);
  }

  searchKeys(options: CheckOptions): CheckResult {
    const now = options.now ?? (() => performance.now());
    const endMs = now() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    const keys = new Set([...this.#operations.keys(), ...this.#reads.keys()]);
    let steps = 0;
    let unknown: Unknown | null = null;
    for (const key of keys) {
      const history = [...(this.#operations.get(key) ?? []), ...this.#reads.of(key)];
      const budget = new Budget(options.maxStepsPerKey ?? DEFAULT_MAX_STEPS_PER_KEY, endMs - now(), now);
      const free = this.#told?.freeFor(key) ?? FreeRevisions.all;
      const result = searchKey(history, budget, free, this.#boundOf);
      steps += budget.steps;
      if (result === 'violation') return this.#describe(key, history, now);
      if (result === 'unknown') unknown ??= { type: 'unknown', key, reason: budget.exceeded ?? 'steps', steps };
    }
    return unknown ?? { type: 'ok', keys: keys.size, steps };
  }

  readonly #boundOf = (operation: Operation) => this.#bounds?.of(operation) ?? UNBOUNDED;

  #describe(key: string, operations: readonly Operation[], now: () => number): Violation {
    const history = { key, operations, told: this.#told, boundOf: this.#boundOf };
    return describeKey(key, operations.length, findBadWindow(history, BAD_WINDOW_TIMEOUT_MS, now));
  }
}

function describeKey(key: string, of: number, { culprit, core, bounds, taken, context }: BadWindow): Violation {
  const lines = [
    `key ${JSON.stringify(key)} is not linearizable: no order of its writes explains this`,
    formatOperations(core, culprit),
  ];
  const witnesses = new Set(bounds.flatMap(({ minBy, maxBy }) => [minBy, maxBy]).filter((by) => by !== null));
  if (witnesses.size > 0) lines.push('with what was told elsewhere', ...[...witnesses].map((by) => format(by, false)));
  if (taken.length > 0) lines.push(...describeTaken(taken));
  lines.push(`whatever became of the other writes; around it (of ${of} that saw this key)`, formatOperations(context));
  const tellers = taken.slice(0, MAX_TELLERS).map(({ by }) => by);
  const involved = [...core.map((operation) => listingOf(operation) ?? operation), ...witnesses, ...tellers];
  return violation('linearizability', key, lines.join('\n'), listingOf(culprit) ?? culprit, involved);
}

function describeTaken(taken: readonly ToldRevision[]): string[] {
  const shown = taken.slice(0, MAX_TELLERS).map(({ revision, key, by }) => {
    const line = isListing(by) ? formatListing(by, key) : formatOperations([by]);
    return `${line} (revision ${revision})`;
  });
  const more = taken.length - shown.length;
  const lines = ['with revisions that are those of other keys, and not of a write whose outcome is unknown', ...shown];
  return more > 0 ? [...lines, `and ${more} more, up to revision ${taken.at(-1)!.revision}`] : lines;
}

function describeRevisions({ message, contradiction }: RevisionViolation): Violation {
  const culprit = contradiction.at(-1)!;
  const lines = [message, ...contradiction.map((by) => format(by, by === culprit))];
  return violation('revisions', keyOf(culprit), lines.join('\n'), culprit, contradiction);
}

function describeListing({ listing, key, message }: ListingViolation): Violation {
  const lines = [message, formatListing(listing, key)];
  return violation('listing', key ?? keyOf(listing), lines.join('\n'), listing, [listing]);
}

function violation(
  kind: Violation['kind'],
  key: string,
  message: string,
  culprit: Operation | Listing,
  involved: readonly (Operation | Listing)[],
): Violation {
  const all = [...new Set(involved)];
  const window = all.filter((by): by is Operation => !isListing(by)).sort((x, y) => x.call - y.call);
  const windowListings = all.filter(isListing).sort((x, y) => x.callMs - y.callMs);
  return { type: 'violation', kind, key, message, culprit, window, windowListings };
}

function format(by: Operation | Listing, isCulprit: boolean): string {
  return isListing(by) ? formatListing(by, null, isCulprit) : formatOperations([by], isCulprit ? by : null);
}

function keyOf(by: Operation | Listing): string {
  return isListing(by) ? (by.prefix ?? '') : by.key;
}
