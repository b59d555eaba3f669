/**
 * The definition, taken literally, for histories of a few operations on one key: is there an order of the completed
 * operations and of some of the open ones, in which nothing comes before what had returned before its call, and a revision
 * for every write that was told none, such that a plain register gives these outputs?
 */
import type { Condition, Operation } from './history.ts';

interface Register {
  readonly value: string | null;
  readonly mod: number;
  readonly version: number;
  /** The store's revision is this or more. */
  readonly revision: number;
}

export function isLinearizable(history: readonly Operation[]): boolean {
  const told = history.flatMap(({ input, output }) => [
    ...Object.values(output ?? {}).filter((field) => typeof field === 'number'),
    ...('condition' in input && input.condition?.type === 'match' ? input.condition.revisions : []),
  ]);
  const maxRevision = Math.max(0, ...told) + history.length + 1;
  return explore({ value: null, mod: 0, version: 0, revision: 0 }, history, maxRevision);
}

function explore(register: Register, left: readonly Operation[], maxRevision: number): boolean {
  if (left.every((operation) => operation.return === null)) return true;
  const firstReturn = Math.min(...left.map((operation) => operation.return ?? Number.POSITIVE_INFINITY));
  for (const operation of left) {
    if (operation.call > firstReturn) continue;
    const rest = left.filter((other) => other !== operation);
    for (const after of outcomes(register, operation, maxRevision)) {
      if (explore(after, rest, maxRevision)) return true;
    }
  }
  return false;
}

/** Every register that the operation may leave, given what it told. */
function outcomes(register: Register, operation: Operation, maxRevision: number): Register[] {
  const { input, output } = operation;
  const { value, mod, version, revision } = register;
  const seenAt = (storeRevision: number | undefined) =>
    storeRevision === undefined
      ? [register]
      : storeRevision >= revision
        ? [{ ...register, revision: storeRevision }]
        : [];
  if (input.type === 'get') {
    if (output === null) return [];
    if (output.type === 'missing') return value === null ? seenAt(output.storeRevision) : [];
    if (output.type !== 'value' || output.value !== value) return [];
    const agrees = (output.modRevision ?? mod) === mod && (output.version ?? version) === version;
    return agrees ? seenAt(output.storeRevision) : [];
  }
  if (!allowed(input.condition ?? null, register)) {
    if (output === null) return [register];
    if (output.type !== 'precondition_failed') return [];
    return output.modRevision === undefined || output.modRevision === (value === null ? null : mod) ? [register] : [];
  }
  if (output?.type === 'precondition_failed') return [];
  if (input.type === 'delete' && value === null) {
    if (output === null) return [register];
    return output.type === 'deleted' && !output.deleted ? seenAt(output.revision) : [];
  }
  const next = input.type === 'delete' ? null : input.type === 'put' ? input.value : (value ?? '') + input.value;
  const nextVersion = next === null ? 0 : version + 1;
  if (output?.type === 'deleted' && !output.deleted) return [];
  if (output?.type === 'written') {
    if (output.version !== undefined && output.version !== nextVersion) return [];
    if (output.created !== undefined && output.created !== (value === null)) return [];
  }
  const toldRevision = output?.type === 'written' || output?.type === 'deleted' ? output.revision : undefined;
  const from = toldRevision ?? revision + 1;
  const to = toldRevision ?? maxRevision;
  const registers: Register[] = [];
  for (let given = Math.max(from, revision + 1); given <= to; given++) {
    registers.push({ value: next, mod: next === null ? 0 : given, version: nextVersion, revision: given });
  }
  return registers;
}

function allowed(condition: Condition | null, { value, mod }: Register): boolean {
  if (condition === null) return true;
  if (condition.type === 'absent') return value === null;
  return value !== null && (condition.type === 'exists' || condition.revisions.includes(mod));
}
