/**
 * The sequential specification of one key: which outputs a state allows, and which state follows. States are immutable; an
 * operation that changes nothing returns the very same object.
 */
import type { FreeRevisions } from './free-revisions.ts';
import type { Condition, Input, Operation, Output } from './history.ts';
import type { Bound } from './revision-bounds.ts';
import { concatenated, digestOf, sameValue, UNSEEN, type ValueDigest } from './value-digest.ts';

export interface KeyState {
  /** Null: there is no such key. */
  readonly value: ValueDigest | null;
  /** Writes since the key was created; 0 without one. */
  readonly version: number;
  /** The key's modRevision, or the least that it can be, if `modKnown` is false. */
  readonly mod: number;
  readonly modKnown: boolean;
  /** The revision that created the key, or the least that it can be; 0 without a key. */
  readonly create: number;
  readonly createKnown: boolean;
  /** The store's revision was at least this: what comes next has a higher one, or sees at least this one. */
  readonly floor: number;
}

export const EMPTY_KEY: KeyState = absent(0);

/** An operation on one key, with its strings digested. */
export interface KeyOperation {
  readonly input: Input;
  readonly output: Output | null;
  /** Of a put or append (UNSEEN: no read can have seen it), or of the value that a get returned. */
  readonly digest: ValueDigest | null;
  /** Of an operation that was told no revision of the store. */
  readonly bound: Bound;
}

/** The state that an operation left or saw, if its answer alone tells everything about it; otherwise null. */
export function stateAfter({ input, output }: Operation): KeyState | null {
  if (output?.type === 'missing' && output.storeRevision !== undefined) return absent(output.storeRevision);
  if (output?.type === 'deleted' && output.revision !== undefined) return absent(output.revision);
  const [value, mod, floor] =
    output?.type === 'value'
      ? [output.value, output.modRevision, output.storeRevision]
      : output?.type === 'written' && input.type === 'put'
        ? [input.value, output.revision, output.revision]
        : [];
  if (value === undefined || mod === undefined || floor === undefined) return null;
  const version = output !== null && 'version' in output ? output.version : undefined;
  if (version === undefined) return null;
  const [create, createKnown] = version === 1 ? [mod, true] : [0, false];
  return { value: digestOf(value), version, mod, modKnown: true, create, createKnown, floor };
}

/** The state after a completed operation, or null if this state does not allow its output. */
export function step(state: KeyState, operation: KeyOperation): KeyState | null {
  const { input, output, bound } = operation;
  switch (output?.type) {
    case 'value':
      return stepValue(state, operation, output);
    case 'missing':
      return state.value === null ? observe(state, output.storeRevision, bound) : null;
    case 'written':
      return stepWritten(state, operation, output);
    case 'deleted':
      return output.deleted
        ? stepDeleted(state, operation, output.revision)
        : stepNothingDeleted(state, operation, output.revision);
    case 'precondition_failed': {
      const known = stepFailed(state, conditionOf(input), output.modRevision);
      return known && observe(known, undefined, bound);
    }
    case undefined:
      return null;
  }
}

/**
 * The state after an operation of unknown outcome that happens here, with the least revision that is `free`; null if it
 * cannot happen, or would change nothing.
 */
export function stepOpen(state: KeyState, operation: KeyOperation, free: FreeRevisions): KeyState | null {
  const { input, digest, bound } = operation;
  if (input.type === 'get' || (input.type === 'delete' && state.value === null)) return null;
  const least = leastRevisionAllowing(state, conditionOf(input));
  if (least === null) return null;
  const revision = free.after(Math.max(state.floor, least, bound.min));
  return input.type === 'delete' ? absent(revision) : written(state, input, digest, revision, false);
}

type Of<T extends Output['type']> = Extract<Output, { type: T }>;

function stepValue(state: KeyState, { digest, bound }: KeyOperation, output: Of<'value'>): KeyState | null {
  if (state.value === null || digest === null || !sameValue(state.value, digest)) return null;
  if (output.version !== undefined && output.version !== state.version) return null;
  const known = output.modRevision === undefined ? state : withModRevision(state, output.modRevision);
  const created =
    known && (output.createRevision === undefined ? known : withCreateRevision(known, output.createRevision));
  return created && observe(created, output.storeRevision, bound);
}

function stepWritten(state: KeyState, operation: KeyOperation, output: Of<'written'>): KeyState | null {
  const { input, digest } = operation;
  if (output.created !== undefined && output.created !== (state.value === null)) return null;
  const version = (state.value === null ? 0 : state.version) + 1;
  if (output.version !== undefined && output.version !== version) return null;
  const revision = nextRevision(state, operation, output.revision);
  return revision === null ? null : written(state, input, digest, revision, output.revision !== undefined);
}

function stepDeleted(state: KeyState, operation: KeyOperation, told: number | undefined): KeyState | null {
  if (state.value === null) return null;
  const revision = nextRevision(state, operation, told);
  return revision === null ? null : absent(revision);
}

function stepNothingDeleted(
  state: KeyState,
  { input, bound }: KeyOperation,
  storeRevision: number | undefined,
): KeyState | null {
  const condition = conditionOf(input);
  if (state.value !== null || (condition !== null && condition.type !== 'absent')) return null;
  return observe(state, storeRevision, bound);
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
function nextRevision(state: KeyState, { input, bound }: KeyOperation, told: number | undefined): number | null {
  const least = leastRevisionAllowing(state, conditionOf(input));
  if (least === null) return null;
  const above = Math.max(state.floor, least);
  if (told !== undefined) return told > above ? told : null;
  const next = Math.max(above, bound.min) + 1;
  return next <= bound.max ? next : null;
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
  const created = state.version === 1 ? { create: modRevision, createKnown: true } : {};
  return { ...state, ...created, mod: modRevision, modKnown: true, floor: Math.max(state.floor, modRevision) };
}

function withCreateRevision(state: KeyState, createRevision: number): KeyState | null {
  if (state.createKnown) return state.create === createRevision ? state : null;
  if (createRevision < state.create) return null;
  // A key whose only write is its creation; of any other, each write since took a revision of its own.
  if (state.version === 1) return withModRevision(state, createRevision);
  const mod = createRevision + state.version - 1;
  if (state.modKnown) return mod <= state.mod ? { ...state, create: createRevision, createKnown: true } : null;
  const least = Math.max(mod, state.mod);
  return { ...state, create: createRevision, createKnown: true, mod: least, floor: Math.max(state.floor, least) };
}

function observe(state: KeyState, storeRevision: number | undefined, bound: Bound): KeyState | null {
  if (storeRevision === undefined) {
    if (state.floor > bound.max) return null;
    return bound.min <= state.floor ? state : { ...state, floor: bound.min };
  }
  if (storeRevision === state.floor) return state;
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
  const value = newValue(state, input, digest ?? UNSEEN);
  const [create, createKnown] = state.value === null ? [revision, modKnown] : [state.create, state.createKnown];
  return { value, version, mod: revision, modKnown, create, createKnown, floor: revision };
}

function newValue(state: KeyState, input: Input, digest: ValueDigest): ValueDigest {
  if (digest === UNSEEN || input.type !== 'append' || state.value === null) return digest;
  return state.value === UNSEEN ? UNSEEN : concatenated(state.value, digest);
}

function absent(revision: number): KeyState {
  return { value: null, version: 0, mod: 0, modKnown: true, create: 0, createKnown: true, floor: revision };
}

function conditionOf(input: Input): Condition | null {
  return input.type === 'get' ? null : (input.condition ?? null);
}
