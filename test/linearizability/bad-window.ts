/** From "this key's history is illegal" to the few operations that contradict each other. */
import { Budget } from './budget.ts';
import { FreeRevisions, type ToldRevision, type ToldRevisions } from './free-revisions.ts';
import type { Operation } from './history.ts';
import { type BoundOf, searchKey } from './key-search.ts';
import { EMPTY_KEY, stateAfter } from './key-state.ts';
import { type Bound, UNBOUNDED } from './revision-bounds.ts';
import { placeOf } from './revision-order.ts';

export interface BadWindow {
  /** The first operation whose return no linearization can explain. */
  readonly culprit: Operation;
  /**
   * In the order of calls: together they are illegal, whatever became of the other writes and without the other reads;
   * and each of them is needed (as far as the time allowed to find out).
   */
  readonly core: readonly Operation[];
  /** What the revisions told to operations on other keys add: where these bound an operation of the core. */
  readonly bounds: readonly Bound[];
  /** Revisions of other keys, ascending: were they free, a write of unknown outcome would explain the core. */
  readonly taken: readonly ToldRevision[];
  /** What ran at the culprit's time or shortly before, the core left out. */
  readonly context: readonly Operation[];
}

/** One key's history, and what the rest of the store says about it. */
export interface KeyHistory {
  readonly key: string;
  readonly operations: readonly Operation[];
  /** Null: revisions promise nothing. */
  readonly told: ToldRevisions | null;
  readonly boundOf: BoundOf;
}

const STEPS_PER_PREFIX = 2_000_000;
/** Enough where the answer is found at all; where a search does not end, the operation stays in the window. */
const STEPS_PER_WEAKENING = 5_000;
/** Of what the window may take, for the shortest prefix. */
const PREFIX_SHARE = 0.75;
/** So many are tried one by one, before the steps get longer. */
const LATEST_ANCHORS = 16;
const MAX_CONTEXT = 12;

export function findBadWindow(history: KeyHistory, timeoutMs: number, now: () => number): BadWindow {
  const startMs = now();
  const isIllegal = (candidate: Candidate, maxSteps: number, endMs: number): boolean => {
    const leftMs = endMs - now();
    return leftMs > 0 && judge(history, candidate, new Budget(maxSteps, leftMs, now)) === 'violation';
  };
  const prefixEndMs = startMs + timeoutMs * PREFIX_SHARE;
  const { culprit, candidate } = shortestPrefix(history, (prefix) => isIllegal(prefix, STEPS_PER_PREFIX, prefixEndMs));
  const stillIllegal = (weaker: Candidate) => isIllegal(weaker, STEPS_PER_WEAKENING, startMs + timeoutMs);
  const small = weakened(anchored(candidate, culprit, stillIllegal), culprit, stillIllegal);
  const smallest = withFewTaken(history, small, stillIllegal);
  // A culprit that changed nothing may have been left out before the anchor; until it returned, it could have explained the others.
  const core = [...new Set([...(smallest.anchor ? [smallest.anchor] : []), ...smallest.kept, culprit])].sort(byCall);
  const bounds = core.map((operation) => (smallest.bounded.has(operation) ? history.boundOf(operation) : UNBOUNDED));
  const taken = [...(smallest.taken ?? [])].sort((x, y) => x.revision - y.revision);
  return { culprit, core, bounds, taken, context: contextOf(history.operations, culprit, new Set(core)) };
}

/** A history that is legal if the whole one is. */
interface Candidate {
  /** Begins with what this operation left, whatever came before it; null: with no such key. */
  readonly anchor: Operation | null;
  /** Completed, and answered as they were. */
  readonly kept: readonly Operation[];
  /** Of unknown outcome, or taken to be so: may happen at any time after the call, or never. */
  readonly open: readonly Operation[];
  /** Those of `kept` and `open` whose bounds count. */
  readonly bounded: ReadonlySet<Operation>;
  /** The revisions of other keys that count as taken; null: all of them. */
  readonly taken: ReadonlySet<ToldRevision> | null;
}

function judge(history: KeyHistory, candidate: Candidate, budget: Budget) {
  const { boundOf } = history;
  const { anchor, kept, open, bounded } = candidate;
  const originals = new Map(open.map((operation) => [unanswered(operation), operation]));
  const free = freeOf(history, candidate);
  const boundIfWanted = (operation: Operation) => {
    const original = originals.get(operation) ?? operation;
    return bounded.has(original) ? boundOf(original) : UNBOUNDED;
  };
  const initial = (anchor && stateAfter(anchor)) ?? EMPTY_KEY;
  return searchKey([...kept, ...originals.keys()], budget, free, boundIfWanted, initial);
}

/** For writes of unknown outcome; also what those had whose answers are left out of account. */
function freeOf({ key, told }: KeyHistory, { open, taken }: Candidate): FreeRevisions {
  if (told === null) return FreeRevisions.all;
  const own = open.filter((operation) => operation.return !== null);
  return taken === null ? told.freeFor(key, own) : told.freeBut(taken, key, own);
}

function unanswered(operation: Operation): Operation {
  return { ...operation, return: null, output: null };
}

/**
 * The shortest illegal prefix, by bisection: a prefix of a legal history is legal, with the operations that have not
 * returned yet as open ones. A prefix that takes too long to judge counts as legal, so the result is illegal in any case, if
 * not always the shortest.
 */
function shortestPrefix({ operations }: KeyHistory, isIllegal: (candidate: Candidate) => boolean) {
  const byReturn = operations.filter((operation) => operation.return !== null).sort((x, y) => x.return! - y.return!);
  const prefix = (returns: number): Candidate => {
    const culprit = byReturn[returns - 1]!;
    const kept = byReturn.slice(0, returns);
    const returned = new Set(kept);
    const open = operations.filter((operation) => !returned.has(operation) && operation.call <= culprit.return!);
    return { anchor: null, kept, open, bounded: new Set([...kept, ...open]), taken: null };
  };
  let legal = 0;
  let illegal = byReturn.length;
  while (illegal - legal > 1) {
    const middle = (legal + illegal) >> 1;
    if (isIllegal(prefix(middle))) illegal = middle;
    else legal = middle;
  }
  return { culprit: byReturn[illegal - 1]!, candidate: prefix(illegal) };
}

/**
 * Leaves out everything that the order of revisions puts before some operation that tells the key's whole state: the latest
 * such operation from which on the history is illegal.
 */
function anchored(whole: Candidate, culprit: Operation, isIllegal: (candidate: Candidate) => boolean): Candidate {
  const place = placeOf(culprit) ?? Number.POSITIVE_INFINITY;
  const anchors = whole.kept
    .filter((operation) => operation !== culprit && stateAfter(operation) !== null && placeOf(operation)! <= place)
    .sort((x, y) => placeOf(y)! - placeOf(x)!);
  for (let i = 0; i < anchors.length; i += i < LATEST_ANCHORS ? 1 : i) {
    const candidate = from(anchors[i]!, whole);
    if (isIllegal(candidate)) return candidate;
  }
  return whole;
}

/** What is certain to come after `anchor`; of what is not, a write may happen or not, and the rest is left out. */
function from(anchor: Operation, { kept, open, bounded, taken }: Candidate): Candidate {
  const place = placeOf(anchor)!;
  const others = kept.filter((operation) => operation !== anchor);
  const isAfter = (operation: Operation) => (placeOf(operation) ?? -1) >= place || operation.call > anchor.return!;
  const maybe = others.filter((operation) => placeOf(operation) === null && isWrite(operation) && !isAfter(operation));
  return { anchor, kept: others.filter(isAfter), open: [...open, ...maybe], bounded, taken };
}

/**
 * Leaves out what is not needed for the contradiction. To drop something that changed nothing keeps a legal history legal,
 * and so does to forget how a write ended; to drop a write would not.
 */
function weakened(whole: Candidate, culprit: Operation, isIllegal: (candidate: Candidate) => boolean): Candidate {
  let smallest = whole;
  const attempt = (candidate: Candidate): boolean => {
    const stays = isIllegal(candidate);
    if (stays) smallest = candidate;
    return stays;
  };
  const others = whole.kept.filter((operation) => operation !== culprit);
  leaveOut(
    others.filter((operation) => !isWrite(operation)),
    (out) => attempt({ ...smallest, kept: without(smallest.kept, out) }),
  );
  leaveOut(others.filter(isWrite), (out) =>
    attempt({ ...smallest, kept: without(smallest.kept, out), open: [...smallest.open, ...out] }),
  );
  leaveOut([...smallest.bounded], (out) =>
    attempt({ ...smallest, bounded: new Set(without([...smallest.bounded], out)) }),
  );
  return smallest;
}

/** Frees what other keys have, as far as that explains nothing. */
function withFewTaken({ key, told }: KeyHistory, small: Candidate, isIllegal: (candidate: Candidate) => boolean) {
  if (told === null) return small;
  const all = told.elsewhere(key);
  let taken: ReadonlySet<ToldRevision> = new Set(all);
  leaveOut(all, (out) => {
    const fewer = new Set(without([...taken], out));
    const stays = isIllegal({ ...small, taken: fewer });
    if (stays) taken = fewer;
    return stays;
  });
  return { ...small, taken };
}

/** Tries to leave out half of `items` at once, then a quarter, and so on; in the end each by itself. */
function leaveOut<T>(items: readonly T[], attempt: (out: ReadonlySet<T>) => boolean): void {
  if (items.length === 0) return;
  let left = items;
  for (let size = items.length; ; size = Math.ceil(size / 2)) {
    for (let from = 0; from < left.length; ) {
      const out = new Set(left.slice(from, from + size));
      if (attempt(out)) left = without(left, out);
      else from += size;
    }
    if (size === 1) return;
  }
}

function without<T>(items: readonly T[], out: ReadonlySet<T>): T[] {
  return items.filter((item) => !out.has(item));
}

function isWrite({ output }: Operation): boolean {
  return output?.type === 'written' || (output?.type === 'deleted' && output.deleted);
}

/** Those nearest in time; those of unknown outcome by their calls, and no gets among them. */
function contextOf(all: readonly Operation[], culprit: Operation, core: ReadonlySet<Operation>): Operation[] {
  const distance = ({ call, return: returned }: Operation): number =>
    Math.max(0, culprit.call - (returned ?? call), call - culprit.return!);
  return all
    .filter((operation) => !core.has(operation) && (operation.return !== null || operation.input.type !== 'get'))
    .sort((x, y) => distance(x) - distance(y) || y.call - x.call)
    .slice(0, MAX_CONTEXT)
    .sort(byCall);
}

function byCall(left: Operation, right: Operation): number {
  return left.call - right.call;
}
