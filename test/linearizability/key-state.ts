/**
 * The sequential specification of one key: which outputs a state allows, and which state follows. States are immutable; an
 * operation that changes nothing returns the very same object.
 */
import type { FreeRevisions } from './free-revisions.ts';
import type { Condition, Input, Output } from './history.ts';
import { concatenated, sameValue, UNSEEN, type ValueDigest } from './value-digest.ts';

export interface KeyState {
  /** Null: there is no such key. */
  readonly value: ValueDigest | null;
  /** Writes since the key was created; 0 without one. */
  readonly version: number;
  /** The key's modRevision, or the least that it can be, if `modKnown` is false. */
  readonly mod: number;
  readonly modKnown: boolean;
  /** The store's revision was at least this: what comes next has a higher one, or sees at least this one. */
  readonly floor: number;
}

export const EMPTY_KEY: KeyState = { value: null, version: 0, mod: 0, modKnown: true, floor: 0 };

/** An operation on one key, with its strings digested. */
export interface KeyOperation {
  readonly input: Input;
  readonly output: Output | null;
  /** Of a put or append (UNSEEN: no read can have seen it), or of the value that a get returned. */
  readonly digest: ValueDigest | null;
}

/** The state after a completed operation, or null if this state does not allow its output. */
export function step(state: KeyState, { input, output, digest }: KeyOperation): KeyState | null {
  switch (output?.type) {
    case 'value':
      return stepValue(state, output, digest);
    case 'missing':
      return state.value === null ? observe(state, output.storeRevision) : null;
    case 'written':
      return stepWritten(state, input, output, digest);
    case 'deleted':
      return output.deleted
        ? stepDeleted(state, input, output.revision)
        : stepNothingDeleted(state, input, output.revision);
    case 'precondition_failed':
      return stepFailed(state, conditionOf(input), output.modRevision);
    case undefined:
      return null;
  }
}

/**
 * The state after an operation of unknown outcome that happens here, with the least revision that is `free`; null if it
 * cannot happen, or would change nothing.
 */
export function stepOpen(state: KeyState, { input, digest }: KeyOperation, free: FreeRevisions): KeyState | null {
  if (input.type === 'get' || (input.type === 'delete' && state.value === null)) return null;
  const least = leastRevisionAllowing(state, conditionOf(input));
  if (least === null) return null;
  const revision = free.after(Math.max(state.floor, least));
  return input.type === 'delete' ? absent(revision) : written(state, input, digest, revision, false);
}

type Of<T extends Output['type']> = Extract<Output, { type: T }>;

function stepValue(state: KeyState, output: Of<'value'>, digest: ValueDigest | null): KeyState | null {
  if (state.value === null || digest === null || !sameValue(state.value, digest)) return null;
  if (output.version !== undefined && output.version !== state.version) return null;
  const known = output.modRevision === undefined ? state : withModRevision(state, output.modRevision);
  return known && observe(known, output.storeRevision);
}

function stepWritten(
  state: KeyState,
  input: Input,
  output: Of<'written'>,
  digest: ValueDigest | null,
): KeyState | null {
  if (output.created !== undefined && output.created !== (state.value === null)) return null;
  const version = (state.value === null ? 0 : state.version) + 1;
  if (output.version !== undefined && output.version !== version) return null;
  const revision = nextRevision(state, conditionOf(input), output.revision);
  return revision === null ? null : written(state, input, digest, revision, output.revision !== undefined);
}

function stepDeleted(state: KeyState, input: Input, told: number | undefined): KeyState | null {
  if (state.value === null) return null;
  const revision = nextRevision(state, conditionOf(input), told);
  return revision === null ? null : absent(revision);
}

function stepNothingDeleted(state: KeyState, input: Input, storeRevision: number | undefined): KeyState | null {
  const condition = conditionOf(input);
  if (state.value !== null || (condition !== null && condition.type !== 'absent')) return null;
  return observe(state, storeRevision);
}

function stepFailed(
  state: KeyState,
  condition: Condition | null,
  modRevision: number | null | undefined,
): KeyState | null {
  if (condition === null) return null;
  if (state.value === null) return condition.type !== 'absent' && (modRevision ?? null) === null ? state : null;
  if (modRevision === null || condition.type === 'exists') return null;
  const known = modRevision === undefined ? state : withModRevision(state, modRevision);
  if (known === null || condition.type === 'absent') return known;
  return known.modKnown && condition.revisions.includes(known.mod) ? null : known;
}

/** The revision of a write that happens here: as told, or the least possible; null if it cannot happen. */
function nextRevision(state: KeyState, condition: Condition | null, told: number | undefined): number | null {
  const least = leastRevisionAllowing(state, condition);
  if (least === null) return null;
  const above = Math.max(state.floor, least);
  if (told === undefined) return above + 1;
  return told > above ? told : null;
}

/** The least modRevision that the key can have if `condition` holds (0 without a key); null if it cannot hold. */
function leastRevisionAllowing(state: KeyState, condition: Condition | null): number | null {
  const exists = state.value !== null;
  switch (condition?.type) {
    case undefined:
      return state.mod;
    case 'exists':
      return exists ? state.mod : null;
    case 'absent':
      return exists ? null : state.mod;
    case 'match': {
      if (!exists) return null;
      const possible = condition.revisions.filter((r) => (state.modKnown ? r === state.mod : r >= state.mod));
      return possible.length === 0 ? null : Math.min(...possible);
    }
  }
}

function withModRevision(state: KeyState, modRevision: number): KeyState | null {
  if (state.modKnown) return state.mod === modRevision ? state : null;
  if (modRevision < state.mod) return null;
  return { ...state, mod: modRevision, modKnown: true, floor: Math.max(state.floor, modRevision) };
}

function observe(state: KeyState, storeRevision: number | undefined): KeyState | null {
  if (storeRevision === undefined || storeRevision === state.floor) return state;
  return storeRevision < state.floor ? null : { ...state, floor: storeRevision };
}

function written(
  state: KeyState,
  input: Input,
  digest: ValueDigest | null,
  revision: number,
  modKnown: boolean,
): KeyState {
  const version = (state.value === null ? 0 : state.version) + 1;
  return { value: newValue(state, input, digest ?? UNSEEN), version, mod: revision, modKnown, floor: revision };
}

function newValue(state: KeyState, input: Input, digest: ValueDigest): ValueDigest {
  if (digest === UNSEEN || input.type !== 'append' || state.value === null) return digest;
  return state.value === UNSEEN ? UNSEEN : concatenated(state.value, digest);
}

function absent(revision: number): KeyState {
  return { value: null, version: 0, mod: 0, modKnown: true, floor: revision };
}

function conditionOf(input: Input): Condition | null {
  return input.type === 'get' ? null : (input.condition ?? null);
}
