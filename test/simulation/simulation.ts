/**
 * One run: a group of 1, 3 or 5 peers, a few routers and clients, a mix of faults, all drawn from one seed. First everything goes
 * wrong and nothing may break (safety); then everything heals and all must go on (liveness): every client gets answers, all
 * peers reach the same state, and what the clients saw is linearizable.
 */
import { createKeyValueStore } from '../../src/kv/key-value-store.ts';
import type { PeerSettings } from '../../src/peer/peer.ts';
import { objectName } from '../../src/peer/protocol.ts';
import { statusOf } from '../../src/peer/report.ts';
import { DEFAULT_LIMITS } from '../../src/raft/types.ts';
import type { Operation } from '../linearizability/history.ts';
import { type Listing, SimClient, SimRouter } from './clients.ts';
import { checkHistories } from './histories.ts';
import { Invariants } from './invariants.ts';
import { drawMix, FAULT_KINDS, type FaultMix, Nemesis } from './nemesis.ts';
import { Random } from './random.ts';
import { SimulationError, World } from './world.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly trace?: boolean;
  /** Every kind of fault, whatever the seed would draw. */
  readonly allFaults?: boolean;
}

export interface SimulationResult {
  readonly seed: number;
  readonly peers: number;
  readonly mix: readonly string[];
  readonly events: number;
  readonly simulatedMs: number;
  readonly operations: number;
  readonly committed: number;
  readonly snapshots: number;
  readonly terms: number;
  readonly traceHash: string;
}

export class SimulationFailure extends Error {
  override readonly name = 'SimulationFailure';
  readonly lines: readonly string[];

  constructor(seed: number, description: string, cause: unknown, lines: readonly string[]) {
    super(`seed ${seed} (${description}): ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.lines = lines;
  }
}

const GROUP = 'default';
const CHAOS_MS = 15_000;
/** The labs' bound for a new leader is 5 s; a client needs that, and some tries. */
const HEAL_MS = 20_000;

export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const run = new Run(options);
  try {
    await run.toEnd();
    return run.result();
  } catch (error) {
    throw new SimulationFailure(options.seed, run.description, error, run.world.lines);
  } finally {
    run.world.close();
  }
}

/** Small limits, so that followers that miss a little need a snapshot, and messages that carry little. */
function drawSettings(random: Random): PeerSettings {
  const heartbeatMs = random.pick([50, 100]);
  const limits = {
    ...DEFAULT_LIMITS,
    tailEntries: random.pick([3, 8, 32]),
    tailBytes: 100_000,
    messageEntries: random.pick([1, 2, 1024]),
    callsInFlight: random.pick([2, 6, 12]),
  };
  return { heartbeatMs, electionTimeoutMs: heartbeatMs * random.pick([4, 8, 20]), limits };
}

class Run {
  readonly world: World;
  readonly #invariants: Invariants;
  readonly #peers: number;
  readonly #mix: FaultMix;
  readonly #nemesis: Nemesis;
  readonly #routers: SimRouter[];
  readonly #clients: SimClient[];

  constructor({ seed, trace = false, allFaults = false }: SimulationOptions) {
    // A generator of its own: the world's begins with the first event.
    const settings = drawSettings(new Random(seed ^ 0x5e771e5));
    this.world = new World({ seed, trace, createStateMachine: createKeyValueStore, settings });
    const { random } = this.world;
    this.#invariants = new Invariants(this.world);
    this.#peers = random.pick([1, 3, 3, 3, 5, 5]);
    this.#mix = allFaults ? new Set(FAULT_KINDS) : drawMix(this.world);
    this.#nemesis = new Nemesis(this.world, GROUP, this.#peers, this.#mix);
    this.#invariants.onLeader = (instance) => this.#nemesis.onLeader(instance.object);
    const hints = Array.from({ length: this.#peers }, () => 'weur');
    this.#routers = [1, 2].map((number) => new SimRouter(this.world, `router${number}`, hints));
    const keys = Array.from({ length: random.int(1, 6) }, (_, i) => `key${i}`);
    const peers = hints.map((_, i) => String(i + 1));
    const workload = { group: GROUP, peers, keys, maxThinkMs: random.pick([5, 30, 200]) };
    this.#clients = Array.from({ length: random.int(2, 7) }, (_, i) => {
      const clerkId = random.chance(0.7) ? `clerk${i}` : null;
      return new SimClient(this.world, i, this.#routers, workload, clerkId);
    });
  }

  get description(): string {
    return `${this.#peers} peers, ${this.#clients.length} clients, faults: ${[...this.#mix].join(' ') || 'none'}`;
  }

  async toEnd(): Promise<void> {
    const { scheduler, random } = this.world;
    const running = Promise.all(this.#clients.map((client) => client.run()));
    running.catch((error) => this.world.fail(String(error)));
    this.#nemesis.start();
    const restarts = [1, 2, 3].map(() => random.between(0, CHAOS_MS));
    for (const atMs of restarts) if (random.chance(0.3)) scheduler.at(atMs, () => random.pick(this.#routers).restart());
    await this.#until(CHAOS_MS);
    this.#nemesis.stop();
    await this.#demandProgress();
    for (const client of this.#clients) client.stopped = true;
    await this.#demandAgreement();
    this.#checkHistories();
  }

  async #until(endMs: number, done: () => boolean = () => false): Promise<boolean> {
    const { scheduler } = this.world;
    while (scheduler.nowMs < endMs) {
      if (!(await scheduler.step())) throw new SimulationError('nothing is left to happen');
      this.#invariants.check();
      if (this.world.failure !== null) throw this.world.failure;
      if (done()) return true;
    }
    return done();
  }

  async #demandProgress(): Promise<void> {
    const before = this.#clients.map((client) => client.completed);
    const everyone = (): boolean => this.#clients.every((client, i) => client.completed >= (before[i] ?? 0) + 2);
    const healedMs = this.world.scheduler.nowMs;
    // A client may be waiting for a router that vanished: its patience, once, comes on top.
    if (!(await this.#until(healedMs + HEAL_MS + 12_000, everyone))) {
      const stuck = this.#clients.filter((client, i) => client.completed < (before[i] ?? 0) + 2).length;
      throw new SimulationError(`liveness: ${stuck} clients got no answers after all was healed`);
    }
  }

  async #demandAgreement(): Promise<void> {
    const equal = (): boolean => {
      const states = this.#objects().map(({ instance }) => (instance === null ? undefined : statusOf(instance.peer)));
      const [first] = states;
      return (
        first !== undefined &&
        first.lastApplied === first.lastIndex &&
        states.every((state) => state?.lastApplied === first.lastApplied && state.stateHash === first.stateHash)
      );
    };
    if (!(await this.#until(this.world.scheduler.nowMs + HEAL_MS, equal))) {
      throw new SimulationError('liveness: the peers do not reach the same state');
    }
  }

  #objects() {
    return Array.from({ length: this.#peers }, (_, i) =>
      this.world.object(objectName(GROUP, { slot: i + 1, incarnation: 1 })),
    );
  }

  #checkHistories(): void {
    const operations: Operation[] = this.#clients.flatMap((client) => client.history);
    const listings: Listing[] = this.#clients.flatMap((client) => client.listings);
    checkHistories(operations, listings);
  }

  result(): SimulationResult {
    return {
      seed: this.world.options.seed,
      peers: this.#peers,
      mix: [...this.#mix],
      events: this.world.scheduler.count,
      simulatedMs: this.world.scheduler.nowMs,
      operations: this.#clients.reduce((sum, client) => sum + client.completed, 0),
      committed: this.#invariants.committed.length,
      snapshots: this.#invariants.snapshots,
      terms: this.#invariants.terms,
      traceHash: this.world.traceHash(),
    };
  }
}
