/** Histories of a store that is linearizable by construction. */
import type { Condition, Input, Operation, Output } from './history.ts';
import { compareKeys, type ListedPage, type Listing } from './listing.ts';

export interface GeneratorOptions {
  readonly operations: number;
  readonly clients: number;
  readonly keys: number;
  /** Probability that a client never learns the outcome. */
  readonly unknown: number;
  /** Values of puts and appends repeat if there are only this many of them. */
  readonly distinctValues: number;
  /** Share of writes with a condition. */
  readonly conditional: number;
  /** What is left out of the outputs. */
  readonly omit: 'nothing' | 'versions' | 'all revisions';
  /** Times are multiples of this; 0: any. Large ones make ties. */
  readonly granularity: number;
}

interface Planned {
  readonly clientId: number;
  readonly key: string;
  readonly input: Input;
  readonly call: number;
  /** When it takes effect; infinity: never. */
  readonly effect: number;
  readonly return: number | null;
}

interface Item {
  value: string;
  mod: number;
  create: number;
  version: number;
}

export interface StoreHistory {
  readonly operations: Operation[];
  readonly listings: Listing[];
}

export function generateHistory(random: () => number, options: GeneratorOptions): Operation[] {
  return generateStoreHistory(random, options, 0).operations;
}

/** With so many listings among the operations, each with two or more pages unless it is empty. */
export function generateStoreHistory(random: () => number, options: GeneratorOptions, listings: number): StoreHistory {
  const store = new Store(options.omit);
  const operations = plan(random, options).map((planned) => ({ planned, effect: planned.effect }));
  const endMs = Math.max(0, ...operations.map(({ planned }) => planned.call));
  const reads = Array.from({ length: listings }, (_, i) => {
    const callMs = random() * endMs;
    return { listed: { callMs, clientId: `lister${i % 3}` }, effect: callMs + random() * 10 };
  });
  const history: StoreHistory = { operations: [], listings: [] };
  for (const next of [...operations, ...reads].sort((x, y) => x.effect - y.effect)) {
    if ('listed' in next) {
      history.listings.push(
        inPages(random, store.list(somePrefix(random, options)), next.listed, next.effect, options),
      );
      continue;
    }
    const { effect, ...operation } = next.planned;
    // What never happens is not executed.
    const output = effect === Number.POSITIVE_INFINITY ? null : store.execute(operation.key, operation.input);
    history.operations.push({ ...operation, output: operation.return === null ? null : output });
  }
  return history;
}

function somePrefix(random: () => number, { keys }: GeneratorOptions): string {
  const dice = random();
  return dice < 0.6 ? '' : dice < 0.8 ? 'k' : `k${Math.floor(random() * Math.min(keys, 10))}`;
}

/** The snapshot was taken at `effectMs`, after the call and before the first page came. */
function inPages(
  random: () => number,
  { prefix, revision, items }: Pick<Listing, 'prefix' | 'revision' | 'items'>,
  { callMs, clientId }: { readonly callMs: number; readonly clientId: string },
  effectMs: number,
  { granularity }: GeneratorOptions,
): Listing {
  const round = (time: number) => (granularity === 0 ? time : Math.floor(time / granularity) * granularity);
  const pages: ListedPage[] = [];
  let pageCallMs = callMs;
  let from = 0;
  do {
    const returnMs = Math.max(pageCallMs, effectMs) + random() * 10;
    const count = 1 + Math.floor(random() * Math.ceil(items.length / 2));
    pages.push({
      callMs: round(pageCallMs),
      returnMs: round(returnMs),
      revision,
      items: items.slice(from, from + count),
    });
    pageCallMs = returnMs + random() * 10;
    from += count;
  } while (from < items.length);
  const base = { clientId, callMs: round(callMs), returnMs: pages.at(-1)!.returnMs, revision, items };
  return { ...base, ...(prefix === undefined ? {} : { prefix }), ...(random() < 0.7 ? { pages } : {}) };
}

function plan(random: () => number, options: GeneratorOptions): Planned[] {
  const { operations, clients, keys, unknown, granularity } = options;
  const round = (time: number) => (granularity === 0 ? time : Math.floor(time / granularity) * granularity);
  const clocks = new Array<number>(clients).fill(0);
  const planned: Planned[] = [];
  for (let i = 0; i < operations; i++) {
    const clientId = Math.floor(random() * clients);
    const call = clocks[clientId]! + random() * 5;
    const effect = call + random() * 10;
    const end = effect + random() * 10;
    clocks[clientId] = end;
    const key = `k${Math.floor(random() * keys)}`;
    const input = someInput(random, i, options);
    const base = { clientId, key, input, call: round(call) };
    if (random() >= unknown) planned.push({ ...base, effect, return: round(end) });
    else
      planned.push({
        ...base,
        effect: random() < 0.4 ? Number.POSITIVE_INFINITY : call + random() * 100,
        return: null,
      });
  }
  return planned;
}

function someInput(
  random: () => number,
  i: number,
  { distinctValues, conditional, operations }: GeneratorOptions,
): Input {
  const dice = random();
  const condition = random() < conditional ? someCondition(random, operations) : null;
  if (dice < 0.45) return { type: 'get' };
  if (dice < 0.52) return { type: 'delete', condition };
  const value =
    distinctValues >= operations ? `[${i}]` : 'ab'.repeat(3).slice(0, 1 + Math.floor(random() * distinctValues));
  return { type: dice < 0.8 ? 'put' : 'append', value, condition };
}

function someCondition(random: () => number, operations: number): Condition {
  const dice = random();
  if (dice < 0.3) return { type: 'exists' };
  if (dice < 0.6) return { type: 'absent' };
  const revision = () => 1 + Math.floor(random() * Math.min(operations, 8));
  return { type: 'match', revisions: [revision(), revision()] };
}

class Store {
  readonly #items = new Map<string, Item>();
  readonly #omit: GeneratorOptions['omit'];
  #revision = 0;

  constructor(omit: GeneratorOptions['omit']) {
    this.#omit = omit;
  }

  execute(key: string, input: Input): Output {
    const item = this.#items.get(key);
    if (input.type === 'get') return this.#read(item);
    if (input.condition && !holds(input.condition, item)) {
      return { type: 'precondition_failed', ...this.#revisions({ modRevision: item?.mod ?? null }) };
    }
    if (input.type === 'delete') {
      const deleted = this.#items.delete(key);
      if (deleted) this.#revision += 1;
      return { type: 'deleted', deleted, ...this.#revisions({ revision: this.#revision }) };
    }
    this.#revision += 1;
    const value = input.type === 'append' ? (item?.value ?? '') + input.value : input.value;
    const version = (item?.version ?? 0) + 1;
    this.#items.set(key, { value, mod: this.#revision, create: item?.create ?? this.#revision, version });
    const numbers = {
      ...this.#revisions({ revision: this.#revision }),
      ...this.#versions({ version, created: !item }),
    };
    return { type: 'written', ...numbers };
  }

  list(prefix: string): Pick<Listing, 'prefix' | 'revision' | 'items'> {
    const items = [...this.#items]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([x], [y]) => compareKeys(x, y))
      .map(([key, { value, mod, create, version }]) => ({
        key,
        value,
        modRevision: mod,
        ...(this.#omit === 'nothing' ? { createRevision: create, version } : {}),
      }));
    return { prefix, revision: this.#revision, items };
  }

  #read(item: Item | undefined): Output {
    const storeRevision = this.#revisions({ storeRevision: this.#revision });
    if (!item) return { type: 'missing', ...storeRevision };
    const { value, mod, version } = item;
    return {
      type: 'value',
      value,
      ...this.#revisions({ modRevision: mod }),
      ...this.#versions({ version }),
      ...storeRevision,
    };
  }

  #revisions<T extends object>(numbers: T): T | object {
    return this.#omit === 'all revisions' ? {} : numbers;
  }

  #versions<T extends object>(numbers: T): T | object {
    return this.#omit === 'nothing' ? numbers : {};
  }
}

function holds(condition: Condition, item: Item | undefined): boolean {
  if (condition.type === 'absent') return item === undefined;
  if (item === undefined) return false;
  return condition.type === 'exists' || condition.revisions.includes(item.mod);
}
