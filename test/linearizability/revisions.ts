/**
 * What revisions promise across keys, in one pass over the history in the order of time: no two writes share one, a revision
 * belongs to one key, and a revision never lies below what anybody had been told before the operation was called.
 */
import type { Operation, Output } from './history.ts';
import { chosenBy, isListing, type Listing } from './listing.ts';

export interface RevisionViolation {
  readonly message: string;
  /** Those that contradict each other, in the order of calls; the last one is the culprit. */
  readonly contradiction: readonly (Operation | Listing)[];
}

/** What one operation or listing made known of the store's revision. */
export interface Observation {
  readonly by: Operation | Listing;
  readonly call: number;
  /** By when the store had the revision that was told. */
  readonly return: number;
  /** Of a write that changed something. */
  readonly wrote: number | null;
  /** The store's revision as something that changed nothing saw it. */
  readonly saw: number | null;
  /** The highest revision that the store must have reached for this. */
  readonly told: number | null;
}

/** What was told by completed operations and listings, in the order of calls. */
export function observationsOf(operations: readonly Operation[], listings: readonly Listing[]): Observation[] {
  const observations: Observation[] = [];
  for (const by of operations) {
    if (by.return === null) continue;
    const [wrote, saw] = [writtenRevision(by.output), seenRevision(by.output)];
    const told = wrote ?? saw ?? modRevisionIn(by.output);
    observations.push({ by, call: by.call, return: by.return, wrote, saw, told });
  }
  for (const by of listings) {
    const { callMs, revision } = by;
    observations.push({ by, call: callMs, return: chosenBy(by), wrote: null, saw: revision, told: revision });
  }
  return observations.sort((x, y) => x.call - y.call);
}

/** The first contradiction, or null. */
export function findRevisionViolation(observations: readonly Observation[]): RevisionViolation | null {
  const byReturn = [...observations].sort((x, y) => x.return - y.return);
  const writers = new Map<number, Observation>();
  const owners = new Map<number, Claim>();
  let highest: Observation | null = null;
  let returned = 0;
  for (const observation of observations) {
    // Only what returned strictly earlier was there for certain.
    for (let next = byReturn[returned]; next && next.return < observation.call; next = byReturn[++returned]) {
      if ((next.told ?? 0) > (highest?.told ?? 0)) highest = next;
    }
    const violation =
      goesBack(observation, highest) ?? sharesRevision(observation, writers) ?? sharesOwner(observation, owners);
    if (violation) return violation;
  }
  return null;
}

function goesBack({ by, wrote, saw }: Observation, highest: Observation | null): RevisionViolation | null {
  if (highest === null) return null;
  const contradiction = [highest.by, by];
  const { told } = highest;
  if (wrote !== null && wrote <= told!)
    return { message: `a write got revision ${wrote} after revision ${told} had been told`, contradiction };
  if (saw !== null && saw < told!)
    return { message: `the store was seen at ${saw} after revision ${told} had been told`, contradiction };
  return null;
}

function sharesRevision(observation: Observation, writers: Map<number, Observation>): RevisionViolation | null {
  const { wrote, by } = observation;
  if (wrote === null) return null;
  const other = writers.get(wrote);
  if (other) return { message: `two writes got revision ${wrote}`, contradiction: [other.by, by] };
  writers.set(wrote, observation);
  return null;
}

interface Claim {
  readonly key: string;
  readonly by: Operation | Listing;
}

/** One revision is one write to one key, whoever tells of it. */
function sharesOwner({ by }: Observation, owners: Map<number, Claim>): RevisionViolation | null {
  for (const [revision, key] of claimsOf(by)) {
    const owner = owners.get(revision);
    if (owner === undefined) owners.set(revision, { key, by });
    else if (owner.key !== key) {
      const message = `revision ${revision} belongs to ${JSON.stringify(owner.key)} and to ${JSON.stringify(key)}`;
      return { message, contradiction: owner.by === by ? [by] : [owner.by, by] };
    }
  }
  return null;
}

/** The revisions that it tells to be those of writes, and the keys that these went to. */
export function claimsOf(by: Operation | Listing): [revision: number, key: string][] {
  if (isListing(by)) {
    return by.items.flatMap(({ key, modRevision, createRevision }): [number, string][] =>
      createRevision === undefined
        ? [[modRevision, key]]
        : [
            [modRevision, key],
            [createRevision, key],
          ],
    );
  }
  const revision = writtenRevision(by.output) ?? modRevisionIn(by.output);
  return revision === null ? [] : [[revision, by.key]];
}

/** Of a write that changed something; null if it was not told. */
export function writtenRevision(output: Output | null): number | null {
  if (output?.type === 'written') return output.revision ?? null;
  return output?.type === 'deleted' && output.deleted ? (output.revision ?? null) : null;
}

/** The store's revision as an operation that changed nothing saw it. */
function seenRevision(output: Output | null): number | null {
  if (output?.type === 'value' || output?.type === 'missing') return output.storeRevision ?? null;
  return output?.type === 'deleted' && !output.deleted ? (output.revision ?? null) : null;
}

function modRevisionIn(output: Output | null): number | null {
  return output?.type === 'value' || output?.type === 'precondition_failed' ? (output.modRevision ?? null) : null;
}
