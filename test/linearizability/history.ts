/** What clients did and saw: the input of the linearizability checker. */

/** When a write may happen; as in the HTTP contract. */
export type Condition =
  /** The key's modRevision is one of these. */
  | { readonly type: 'match'; readonly revisions: readonly number[] }
  | { readonly type: 'exists' }
  | { readonly type: 'absent' };

/** Values are strings, compared by code units; for bytes, use one character for each. */
export type Input =
  | { readonly type: 'get' }
  | { readonly type: 'put' | 'append'; readonly value: string; readonly condition?: Condition | null }
  | { readonly type: 'delete'; readonly condition?: Condition | null };

/**
 * What a client was told. Numbers that it was not told are left out, and weaken the check only by that much. Operations of
 * which it is certain that they had no effect and that told nothing (429, 503, 507, …) do not belong into a history.
 */
export type Output =
  | {
      readonly type: 'value';
      readonly value: string;
      readonly modRevision?: number;
      /** Only listings tell it. */
      readonly createRevision?: number;
      readonly version?: number;
      /** The store's revision at that moment (`Raft-Revision`). */
      readonly storeRevision?: number;
    }
  | { readonly type: 'missing'; readonly storeRevision?: number }
  /** Of a put or append; `revision` is the key's modRevision from now on. */
  | { readonly type: 'written'; readonly revision?: number; readonly version?: number; readonly created?: boolean }
  /** `revision`: of the deletion, or the store's if there was nothing to delete. */
  | { readonly type: 'deleted'; readonly deleted: boolean; readonly revision?: number }
  /** `modRevision`: the key's; null: there was no such key. */
  | { readonly type: 'precondition_failed'; readonly modRevision?: number | null };

export interface Operation {
  readonly clientId: string | number;
  readonly key: string;
  readonly input: Input;
  /** Any unit, as long as it is one clock for all clients. */
  readonly call: number;
  /** At or after `call`; null: the outcome is unknown (it may happen at any time after the call, or never). */
  readonly return: number | null;
  /** Null exactly if `return` is. */
  readonly output: Output | null;
}

const OUTPUTS_OF: Readonly<Record<Input['type'], readonly Output['type'][]>> = {
  get: ['value', 'missing'],
  put: ['written', 'precondition_failed'],
  append: ['written', 'precondition_failed'],
  delete: ['deleted', 'precondition_failed'],
};

/** @throws Error if `operation` makes no sense: a mistake of whoever recorded it, not of the store. */
export function assertWellFormed(operation: Operation): void {
  const { input, output, call, return: returned } = operation;
  const refuse = (why: string) => {
    throw new Error(`${why}: ${JSON.stringify(operation)}`);
  };
  if (!Number.isFinite(call)) refuse('the call has no time');
  if ((returned === null) !== (output === null)) refuse('an operation has an output exactly if it has returned');
  if (returned !== null && !(Number.isFinite(returned) && returned >= call))
    refuse('an operation returned before its call');
  if (output !== null && !OUTPUTS_OF[input.type].includes(output.type))
    refuse('the output is not one of this operation');
  const unconditional = input.type === 'get' || !input.condition;
  if (output?.type === 'precondition_failed' && unconditional) refuse('no condition, and yet it failed');
}
