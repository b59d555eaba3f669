/**
 * What revisions promise across keys, in one pass over the history in the order of time: no two writes share one, and a
 * revision never lies below what anybody had been told before the operation was called.
 */
import type { Operation, Output } from './history.ts';

export interface RevisionViolation {
  readonly message: string;
  /** The two operations that contradict each other. */
  readonly operations: readonly Operation[];
}

interface Told {
  readonly revision: number;
  readonly by: Operation;
}

/** The first contradiction, or null. */
export function findRevisionViolation(operations: readonly Operation[]): RevisionViolation | null {
  const completed = operations.filter((operation) => operation.return !== null);
  const byCall = [...completed].sort((x, y) => x.call - y.call);
  const byReturn = [...completed].sort((x, y) => x.return! - y.return!);
  const writers = new Map<number, Operation>();
  let highest: Told | null = null;
  let returned = 0;
  for (const operation of byCall) {
    // Only what returned strictly earlier was there for certain.
    for (let next = byReturn[returned]; next && next.return! < operation.call; next = byReturn[++returned]) {
      const revision = toldRevision(next.output);
      if (revision !== null && revision > (highest?.revision ?? 0)) highest = { revision, by: next };
    }
    const violation = contradicts(operation, highest) ?? sharesRevision(operation, writers);
    if (violation) return violation;
  }
  return null;
}

function contradicts(operation: Operation, highest: Told | null): RevisionViolation | null {
  if (highest === null) return null;
  const operations = [highest.by, operation];
  const written = writtenRevision(operation.output);
  if (written !== null && written <= highest.revision) {
    return { message: `a write got revision ${written} after revision ${highest.revision} had been told`, operations };
  }
  const seen = storeRevision(operation.output);
  if (seen !== null && seen < highest.revision) {
    return { message: `the store was seen at ${seen} after revision ${highest.revision} had been told`, operations };
  }
  return null;
}

function sharesRevision(operation: Operation, writers: Map<number, Operation>): RevisionViolation | null {
  const revision = writtenRevision(operation.output);
  if (revision === null) return null;
  const other = writers.get(revision);
  if (other) return { message: `two writes got revision ${revision}`, operations: [other, operation] };
  writers.set(revision, operation);
  return null;
}

/** Of a write that changed something; null if it was not told. */
export function writtenRevision(output: Output | null): number | null {
  if (output?.type === 'written') return output.revision ?? null;
  return output?.type === 'deleted' && output.deleted ? (output.revision ?? null) : null;
}

/** The store's revision as an operation that changed nothing saw it. */
function storeRevision(output: Output | null): number | null {
  if (output?.type === 'value' || output?.type === 'missing') return output.storeRevision ?? null;
  return output?.type === 'deleted' && !output.deleted ? (output.revision ?? null) : null;
}

/** The highest revision that the store must have reached for this output. */
function toldRevision(output: Output | null): number | null {
  const mod = output?.type === 'value' || output?.type === 'precondition_failed' ? output.modRevision : null;
  return writtenRevision(output) ?? storeRevision(output) ?? mod ?? null;
}
