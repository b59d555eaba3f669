/**
 * The definition, taken literally, for histories of a few operations: is there an order of the completed operations, the
 * listings and some of the open operations, in which nothing comes before what had returned before its call, and a revision
 * for every write that was told none, such that a plain map gives these answers?
 */
import type { Condition, Operation } from './history.ts';
import type { Listing } from './listing.ts';

interface Register {
  readonly value: string | null;
  readonly mod: number;
  readonly create: number;
  readonly version: number;
  /** The store's revision is this or more. */
  readonly revision: number;
}

interface Store {
  readonly registers: ReadonlyMap<string, Register>;
  readonly revision: number;
}

/** An operation or a listing, and the time in which it took effect. */
interface Step {
  readonly call: number;
  readonly return: number;
  readonly isOpen: boolean;
  /** Every store that it may leave, given what it told. */
  after(store: Store): Store[];
}

const EMPTY: Register = { value: null, mod: 0, create: 0, version: 0, revision: 0 };

/** For the operations of one key. */
export function isLinearizable(history: readonly Operation[]): boolean {
  return isStoreLinearizable(history, []);
}

/** For a whole store: one order of everything, one revision for every write, on whatever key. */
export function isStoreLinearizable(operations: readonly Operation[], listings: readonly Listing[]): boolean {
  const told = [
    ...operations.flatMap(({ output }) => numbersIn(output ?? {})),
    ...listings.flatMap(({ revision, items }) => [revision, ...items.flatMap(numbersIn)]),
  ];
  const matched = operations.flatMap(({ input }) =>
    'condition' in input && input.condition?.type === 'match' ? input.condition.revisions : [],
  );
  const maxRevision = Math.max(0, ...told, ...matched) + operations.length + 1;
  if (!listings.every(isInOrder)) return false;
  const steps = [
    ...operations.map((operation) => operationStep(operation, maxRevision)),
    ...listings.map((listing) => listingStep(listing, keysOf(operations, listings))),
  ];
  return explore({ registers: new Map(), revision: 0 }, steps);
}

function explore(store: Store, left: readonly Step[]): boolean {
  if (left.every((step) => step.isOpen)) return true;
  const firstReturn = Math.min(...left.map((step) => step.return));
  for (const step of left) {
    if (step.call > firstReturn) continue;
    const rest = left.filter((other) => other !== step);
    for (const after of step.after(store)) if (explore(after, rest)) return true;
  }
  return false;
}

function operationStep(operation: Operation, maxRevision: number): Step {
  const { call, return: returned, key } = operation;
  const after = ({ registers, revision }: Store): Store[] =>
    outcomes({ ...(registers.get(key) ?? EMPTY), revision }, operation, maxRevision).map((register) => ({
      registers: new Map(registers).set(key, register),
      revision: register.revision,
    }));
  return { call, return: returned ?? Number.POSITIVE_INFINITY, isOpen: returned === null, after };
}

function listingStep(listing: Listing, keys: readonly string[]): Step {
  const { prefix = '', revision, items, complete = true } = listing;
  const last = items.at(-1)?.key ?? '';
  const covered = keys.filter(
    (key) => key.startsWith(prefix) && (complete || Buffer.compare(Buffer.from(key), Buffer.from(last)) <= 0),
  );
  const shows = (key: string, { value, mod, create, version }: Register): boolean => {
    const item = items.find((candidate) => candidate.key === key);
    if (item === undefined) return value === null;
    const agrees = (item.createRevision ?? create) === create && (item.version ?? version) === version;
    return item.value === value && item.modRevision === mod && agrees;
  };
  const after = (store: Store): Store[] =>
    store.revision <= revision && covered.every((key) => shows(key, store.registers.get(key) ?? EMPTY))
      ? [{ ...store, revision }]
      : [];
  return { call: listing.callMs, return: listing.pages?.[0]?.returnMs ?? listing.returnMs, isOpen: false, after };
}

/** One revision; keys each once, in order, under the prefix. */
function isInOrder({ items, pages = [], prefix = '', revision }: Listing): boolean {
  const keys = items.map((item) => item.key);
  const sorted = [...new Set(keys)].sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));
  return (
    keys.length === sorted.length &&
    keys.every((key, i) => key === sorted[i] && key.startsWith(prefix)) &&
    pages.every((page) => page.revision === revision)
  );
}

function keysOf(operations: readonly Operation[], listings: readonly Listing[]): string[] {
  const listed = listings.flatMap((listing) => listing.items.map((item) => item.key));
  return [...new Set([...operations.map((operation) => operation.key), ...listed])];
}

function numbersIn(fields: object): number[] {
  return Object.values(fields).filter((field) => typeof field === 'number' && Number.isInteger(field));
}

/** Every register that the operation may leave, given what it told. */
function outcomes(register: Register, operation: Operation, maxRevision: number): Register[] {
  const { input, output } = operation;
  const { value, mod, create, version, revision } = register;
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
    const created = next === null ? 0 : value === null ? given : create;
    registers.push({
      value: next,
      mod: next === null ? 0 : given,
      create: created,
      version: nextVersion,
      revision: given,
    });
  }
  return registers;
}

function allowed(condition: Condition | null, { value, mod }: Register): boolean {
  if (condition === null) return true;
  if (condition.type === 'absent') return value === null;
  return value !== null && (condition.type === 'exists' || condition.revisions.includes(mod));
}
