/**
 * Makes a failing run smaller: the same seed under a plan with fewer peers, clients, kinds of fault, acts, and less time, as
 * long as it fails in the same way. A greedy search that ends where no single step makes it smaller, or at its limit.
 */
import type { AccidentKind } from './accidents.ts';
import { overridden, type SimulationPlan } from './plan.ts';
import { SimulationFailure, type SimulationOptions, simulate } from './simulation.ts';
import { drawPlan } from './swarm.ts';
import { CALM } from './world.ts';

const MAX_RUNS = 500;

export interface ShrinkOptions extends Omit<SimulationOptions, 'trace'> {
  readonly maxRuns?: number;
  /** Of real time. */
  readonly maxMs?: number;
  /** Told of every smaller run that was found. */
  readonly onSmaller?: (failure: SimulationFailure) => void;
}

export interface Shrunk {
  /** What differs from the plan that the seed draws. */
  readonly overrides: Partial<SimulationPlan>;
  readonly before: SimulationFailure;
  readonly after: SimulationFailure;
  readonly runs: number;
}

/** Null: the seed does not fail. */
export async function shrink(options: ShrinkOptions): Promise<Shrunk | null> {
  return new Search(options).run();
}

class Search {
  readonly #options: ShrinkOptions;
  readonly #endMs: number;
  #runs = 0;

  constructor(options: ShrinkOptions) {
    this.#options = options;
    this.#endMs = Date.now() + (options.maxMs ?? Number.POSITIVE_INFINITY);
  }

  async run(): Promise<Shrunk | null> {
    const { seed, allFaults, plan } = this.#options;
    const drawn = drawPlan(seed, allFaults);
    const before = await this.#fails(overridden(drawn, plan ?? {}));
    if (before === null) return null;
    let best = before;
    for (let smaller: SimulationFailure | null = best; smaller !== null; ) {
      smaller = await this.#pass(best);
      if (smaller !== null) best = smaller;
    }
    const changed = Object.entries(best.plan).filter(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(drawn[name as keyof SimulationPlan]),
    );
    return { overrides: Object.fromEntries(changed), before, after: best, runs: this.#runs };
  }

  /** Every kind of step once, each repeated for as long as it helps. Null: none did. */
  async #pass(start: SimulationFailure): Promise<SimulationFailure | null> {
    let best = start;
    for (const steps of STEPS) {
      for (let found = true; found && !this.#spent; ) {
        const smaller = await this.#first(best, steps(best.plan, best));
        found = smaller !== null;
        best = smaller ?? best;
      }
    }
    return best === start ? null : best;
  }

  async #first(best: SimulationFailure, plans: Iterable<Partial<SimulationPlan>>): Promise<SimulationFailure | null> {
    for (const overrides of plans) {
      if (this.#spent) return null;
      const failure = await this.#fails({ ...best.plan, ...overrides });
      if (failure === null || kindOf(failure) !== kindOf(best) || sizeOf(failure) >= sizeOf(best)) continue;
      this.#options.onSmaller?.(failure);
      return failure;
    }
    return null;
  }

  get #spent(): boolean {
    return this.#runs >= (this.#options.maxRuns ?? MAX_RUNS) || Date.now() >= this.#endMs;
  }

  async #fails(plan: SimulationPlan): Promise<SimulationFailure | null> {
    this.#runs += 1;
    try {
      await simulate({ ...this.#options, plan });
      return null;
    } catch (error) {
      if (error instanceof SimulationFailure) return error;
      throw error;
    }
  }
}

/** Two failures are of one kind if they say the same but for names and numbers. */
export function kindOf({ what }: SimulationFailure): string {
  const [line = ''] = what.split('\n');
  return line
    .replace(/^\S+#\d+~?: /, '')
    .replaceAll(/"[^"]*"/g, '"…"')
    .replaceAll(/\d+/g, '#')
    .slice(0, 120);
}

/** What somebody who reads the trace has to keep in mind. */
export function sizeOf({ plan, events, acts }: SimulationFailure): number {
  const { peers, clients, routers, faults, accidents, keys, tenant, newerPeers, leftOut, lastAct, store } = plan;
  const done = Math.min(acts, lastAct ?? acts) - leftOut.filter((act) => act <= Math.min(acts, lastAct ?? acts)).length;
  const kinds = faults.length + Object.keys(accidents).length + (tenant ? 3 : 0) + newerPeers;
  const limits = Object.values(store).filter((value) => value !== null && value !== 1).length;
  return 20 * peers + 10 * clients + 5 * routers + 10 * kinds + 2 * keys + 5 * limits + 5 * done + events / 20;
}

type Steps = (plan: SimulationPlan, failure: SimulationFailure) => Iterable<Partial<SimulationPlan>>;

/** Large steps first: each that succeeds makes all the others cheaper. */
const STEPS: readonly Steps[] = [
  function* ({ lastAct }, { acts }) {
    const last = Math.min(acts, lastAct ?? acts);
    for (const share of [0, 0.25, 0.5, 0.75]) yield { lastAct: Math.floor(last * share) };
    if (last > 0) yield { lastAct: last - 1 };
  },
  function* ({ chaosMs }) {
    for (const share of [0.1, 0.3, 0.5, 0.8]) if (chaosMs > 200) yield { chaosMs: Math.round(chaosMs * share) };
  },
  function* ({ peers, newerPeers }) {
    for (const fewer of [1, 3, 5]) if (fewer < peers) yield { peers: fewer, newerPeers: Math.min(newerPeers, fewer) };
  },
  function* ({ clients }) {
    for (const fewer of [1, Math.floor(clients / 2), clients - 1])
      if (fewer > 0 && fewer < clients) yield { clients: fewer };
  },
  function* ({ tenant, newerPeers, routers, keys, store }) {
    if (tenant) yield { tenant: false };
    if (newerPeers > 0) yield { newerPeers: 0 };
    if (routers > 1) yield { routers: 1 };
    if (keys > 1) yield { keys: 1 };
    for (const [name, value] of Object.entries(store)) {
      const none = name === 'logTimeRate' ? 1 : null;
      if (value !== none) yield { store: { ...store, [name]: none } };
    }
  },
  function* ({ faults }) {
    yield* withoutSome(faults, (some) => ({ faults: some }));
  },
  function* ({ accidents }) {
    const kinds = Object.keys(accidents) as AccidentKind[];
    yield* withoutSome(kinds, (some) => ({
      accidents: Object.fromEntries(some.map((kind) => [kind, accidents[kind]])),
    }));
  },
  function* ({ weather }) {
    const calmer = Object.entries(CALM).filter(([name, value]) => weather[name as keyof typeof weather] > value);
    for (const [name, value] of calmer) yield { weather: { ...weather, [name]: value } };
  },
  function* ({ leftOut, lastAct }, { acts }) {
    const all = Array.from({ length: Math.min(acts, lastAct ?? acts) }, (_, i) => i + 1);
    const done = all.filter((act) => !leftOut.includes(act));
    yield* withoutSome(done, (some) => ({ leftOut: all.filter((act) => !some.includes(act)) }));
  },
];

/** All but a half, then all but a quarter, … in the end all but one. */
function* withoutSome<T>(
  items: readonly T[],
  make: (some: readonly T[]) => Partial<SimulationPlan>,
): Iterable<Partial<SimulationPlan>> {
  if (items.length === 0) return;
  yield make([]);
  for (let size = Math.floor(items.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let from = 0; from < items.length; from += size) {
      yield make(items.filter((_, i) => i < from || i >= from + size));
    }
  }
}
