/** The clients' histories against the contract: each key linearizable, revisions in real-time order, listings consistent. */
import { checkHistory } from '../linearizability/check-history.ts';
import type { Operation } from '../linearizability/history.ts';
import type { Listing } from './clients.ts';
import { SimulationError } from './world.ts';

export function checkHistories(operations: readonly Operation[], listings: readonly Listing[]): void {
  const result = checkHistory(operations);
  if (result.type === 'violation') throw new SimulationError(`linearizability: ${result.message}`);
  if (result.type === 'unknown')
    throw new SimulationError(`linearizability of ${result.key}: unknown (${result.reason})`);
  checkListings(operations, listings);
}

interface Known {
  readonly revision: number;
  /** Null: deleted. */
  readonly value: string | null;
}

/**
 * A listing is one read of everything at one revision: each item must be what that revision's last write to its key left, as far as
 * that is known, and the revision must be at least that of every write that was answered before the listing was called.
 */
function checkListings(operations: readonly Operation[], listings: readonly Listing[]): void {
  const writes = operations.filter((operation) => revisionOf(operation) !== null);
  const puts = knownPuts(writes);
  for (const listing of listings) {
    for (const operation of writes) {
      const revision = revisionOf(operation) ?? 0;
      if ((operation.return ?? Number.POSITIVE_INFINITY) < listing.callMs && revision > listing.revision) {
        throw new SimulationError(`a listing at revision ${listing.revision} misses ${JSON.stringify(operation)}`);
      }
    }
    checkItems(listing, puts);
  }
}

function checkItems(listing: Listing, puts: ReadonlyMap<string, readonly Known[]>): void {
  const items = new Map(listing.items.map((item) => [item.key, item]));
  if (items.size !== listing.items.length)
    throw new SimulationError(`a listing shows a key twice: ${JSON.stringify(listing)}`);
  for (const [key, history] of puts) {
    const last = history.findLast((known) => known.revision <= listing.revision);
    if (last === undefined) continue;
    const item = items.get(key);
    const modRevision = item?.modRevision ?? null;
    // A write whose answer was lost may lie in between: then the listing shows a revision that nobody was told of.
    if (modRevision !== null && modRevision > last.revision) continue;
    const wrong =
      last.value === null ? item !== undefined : item === undefined ? false : item.modRevision < last.revision;
    const different = modRevision === last.revision && last.value !== null && item?.value !== last.value;
    if (wrong || different) {
      throw new SimulationError(
        `a listing at ${listing.revision} shows ${JSON.stringify(item)} for ${JSON.stringify(last)}`,
      );
    }
  }
}

/** By key, in the order of revisions: what answered puts and deletes left. */
function knownPuts(writes: readonly Operation[]): Map<string, Known[]> {
  const byKey = new Map<string, Known[]>();
  for (const { key, input, output } of writes) {
    if (input.type === 'put' && output?.type === 'written') {
      push(byKey, key, { revision: output.revision ?? 0, value: input.value });
    } else if (output?.type === 'deleted' && output.deleted) {
      push(byKey, key, { revision: output.revision ?? 0, value: null });
    }
  }
  for (const known of byKey.values()) known.sort((a, b) => a.revision - b.revision);
  return byKey;
}

function push(byKey: Map<string, Known[]>, key: string, known: Known): void {
  const list = byKey.get(key) ?? [];
  list.push(known);
  byKey.set(key, list);
}

/** The revision that a write made; null for what is no answered write. */
function revisionOf({ output }: Operation): number | null {
  if (output?.type === 'written') return output.revision ?? null;
  return output?.type === 'deleted' && output.deleted ? (output.revision ?? null) : null;
}
