/** Histories of a store that is linearizable by construction, and ways to break them. */
import type { Condition, Input, Operation, Output } from './history.ts';

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
  version: number;
}

export function generateHistory(random: () => number, options: GeneratorOptions): Operation[] {
  const store = new Store(options.omit);
  const planned = plan(random, options).sort((x, y) => x.effect - y.effect);
  return planned.map(({ effect, ...operation }) => {
    // What never happens is not executed.
    const output = effect === Number.POSITIVE_INFINITY ? null : store.execute(operation.key, operation.input);
    return { ...operation, output: operation.return === null ? null : output };
  });
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
    this.#items.set(key, { value, mod: this.#revision, version });
    const numbers = {
      ...this.#revisions({ revision: this.#revision }),
      ...this.#versions({ version, created: !item }),
    };
    return { type: 'written', ...numbers };
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

/** The history with one output changed in one place; null if the chosen output has nothing to change. */
export function breakOneOutput(random: () => number, history: readonly Operation[]): Operation[] | null {
  const at = Math.floor(random() * history.length);
  const operation = history[at];
  if (!operation?.output) return null;
  const output = broken(random, operation.output, history);
  return output && history.map((other, i) => (i === at ? { ...operation, output } : other));
}

function broken(random: () => number, output: Output, history: readonly Operation[]): Output | null {
  const fields = Object.entries(output).filter(([name]) => name !== 'type');
  const [name, value] = fields[Math.floor(random() * fields.length)] ?? [];
  if (name === undefined) return null;
  if (typeof value === 'boolean') return { ...output, [name]: !value };
  if (typeof value === 'number') return { ...output, [name]: Math.max(0, value + (random() < 0.5 ? -1 : 1)) };
  if (typeof value !== 'string') return null;
  const others = history.flatMap((other) => (other.output?.type === 'value' ? [other.output.value] : []));
  return { ...output, [name]: others[Math.floor(random() * others.length)] ?? '?' };
}
