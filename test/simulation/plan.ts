/**
 * Everything that one run depends on besides chance, as plain data: drawn from the seed first (swarm.ts), printed with a
 * failure, and overridden by whoever replays or shrinks it.
 */
import type { RaftLimits } from '../../src/raft/types.ts';
import type { AccidentKind } from './accidents.ts';
import type { Weather } from './weather.ts';

export interface SimulationPlan {
  readonly peers: number;
  /** Peers whose code's apply version is 2 from the start: a deploy that is half done. The rest follow in the end. */
  readonly newerPeers: number;
  readonly routers: number;
  /** Whether concurrent requests of a router share calls: the variable COALESCING. */
  readonly coalescing: boolean;
  readonly clients: number;
  /** This share of the clients brings an identity of its own. */
  readonly clerkShare: number;
  readonly keys: number;
  /** This share of all operations goes to the first key. */
  readonly hotShare: number;
  readonly maxThinkMs: number;
  /** How long everything goes wrong. */
  readonly chaosMs: number;
  /** The kinds of nemesis.ts that are on. */
  readonly faults: readonly string[];
  /** Those of accidents.ts, each with its strength: above 0, at most 1. */
  readonly accidents: Readonly<Partial<Record<AccidentKind, number>>>;
  /** The longest pause between two accidents. */
  readonly accidentPauseMs: number;
  /** What the weather is like, whenever it is not calm. */
  readonly weather: Weather;
  readonly heartbeatMs: number;
  readonly electionTimeoutMs: number;
  /** A group that nobody uses for so long goes to sleep; 0: never. */
  readonly quiesceAfterMs: number;
  readonly limits: Readonly<Partial<RaftLimits>>;
  readonly store: StorePlan;
  /** A second group comes and goes beside the first. */
  readonly tenant: boolean;
  /** Numbers of acts (see acts.ts) that do not happen, and the last one that does; null: no last one. */
  readonly leftOut: readonly number[];
  readonly lastAct: number | null;
}

/** Null: as in production. */
export interface StorePlan {
  readonly storageLimitBytes: number | null;
  readonly historyLimitBytes: number | null;
  /** Sessions of each pool. */
  readonly sessionLimit: number | null;
  /** So many times as fast as time goes the store's log time; more than 1: sessions expire, and clerks bring new ones. */
  readonly logTimeRate: number;
  /** Of snapshots; small ones make many chunks. */
  readonly pageBytes: number | null;
}

/** @throws Error on a field that no plan has */
export function overridden(plan: SimulationPlan, overrides: Partial<SimulationPlan>): SimulationPlan {
  for (const name of Object.keys(overrides)) if (!(name in plan)) throw new Error(`a plan has no ${name}`);
  return { ...plan, ...overrides };
}

/** What is on, and how strong: short enough to stand beside a seed. */
export function describePlan(plan: SimulationPlan): string {
  const accidents = Object.entries(plan.accidents).map(([kind, strength]) => `${kind}:${strength}`);
  const store = Object.entries(plan.store).filter(([, value]) => value !== null && value !== 1);
  const weather = Object.entries(plan.weather).filter(([, value]) => value !== 0);
  const parts = [
    `${plan.peers} peers${plan.newerPeers > 0 ? ` (${plan.newerPeers} newer)` : ''}`,
    `${plan.clients} clients`,
    `${plan.routers} routers${plan.coalescing ? '' : ' without coalescing'}`,
    `${plan.chaosMs} ms`,
    ...(plan.quiesceAfterMs > 0 ? [`sleeps after ${plan.quiesceAfterMs} ms`] : []),
    `faults: ${[...plan.faults, ...accidents].join(' ') || 'none'}`,
    ...(plan.tenant ? ['a tenant'] : []),
    ...(store.length > 0 ? [`store: ${store.map(([name, value]) => `${name}:${value}`).join(' ')}`] : []),
    `weather: ${weather.map(([name, value]) => `${name}:${value}`).join(' ')}`,
  ];
  return parts.join(', ');
}
