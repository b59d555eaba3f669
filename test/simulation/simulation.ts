/**
 * One run: a group of 1 to 7 peers, a few routers and clients, a mix of faults, all drawn from one seed. First everything goes
 * wrong and nothing may break (safety); then everything heals and all must go on (liveness): every client gets answers, all
 * peers reach the same state, and what the clients saw is linearizable.
 */
import type { Answer, Query } from '../../src/kv/commands.ts';
import type { PeerSettings } from '../../src/peer/peer.ts';
import { objectName } from '../../src/peer/protocol.ts';
import { statusOf } from '../../src/peer/report.ts';
import { recomputedHash } from '../kv/recomputed-hash.ts';
import type { Operation } from '../linearizability/history.ts';
import { Accidents } from './accidents.ts';
import { type Listing, SimClient, SimRouter } from './clients.ts';
import type { Disk } from './disk.ts';
import { FullStore } from './full-store.ts';
import { checkHistories } from './histories.ts';
import { hasLeader } from './leadership.ts';
import { listed } from './listings.ts';
import { type FaultMix, Nemesis } from './nemesis.ts';
import { describePlan, overridden, type SimulationPlan } from './plan.ts';
import { NEWER_VERSION, storeSettings, storeVariant } from './store-variants.ts';
import { drawPlan } from './swarm.ts';
import { TENANT, Tenant } from './tenant.ts';
import { Watch } from './watch.ts';
import { type SimObject, SimulationError, type Weather, World } from './world.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly trace?: boolean;
  /** Every kind of fault, whatever the seed would draw. */
  readonly allFaults?: boolean;
  /** Instead of what the seed draws. */
  readonly plan?: Partial<SimulationPlan>;
  /** Called after every event, and may throw. */
  readonly alsoCheck?: (world: World) => void;
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
  /** How often a whole group fell asleep. */
  readonly sleeps: number;
  /** How often a leader was restored from the record of its sleep. */
  readonly ledAgain: number;
  readonly terms: number;
  /** What was done to the world: crashes, cuts … */
  readonly acts: number;
  readonly wiped: number;
  /** Groups that were deleted. */
  readonly deletions: number;
  /** Writes that were refused because the store was full. */
  readonly fillings: number;
  readonly expiredSessions: number;
  readonly traceHash: string;
}

export class SimulationFailure extends Error {
  override readonly name = 'SimulationFailure';
  readonly seed: number;
  readonly plan: SimulationPlan;
  readonly lines: readonly string[];
  /** When it happened, in simulated time, and in how many events and acts. */
  readonly atMs: number;
  readonly events: number;
  readonly acts: number;

  constructor(plan: SimulationPlan, world: World, cause: unknown) {
    const { seed } = world.options;
    const what = cause instanceof Error ? cause.message : String(cause);
    super(`seed ${seed} (${describePlan(plan)}): ${what}`, { cause });
    this.seed = seed;
    this.plan = plan;
    this.lines = world.lines;
    this.atMs = world.scheduler.nowMs;
    this.events = world.scheduler.count;
    this.acts = world.acts.count;
  }

  /** What failed, without the description of the run. */
  get what(): string {
    return this.cause instanceof Error ? this.cause.message : String(this.cause);
  }
}

const GROUP = 'default';
/** A client needs a leader, and some tries. */
const HEAL_MS = 20_000;
/** A client may be waiting for a router that vanished: its patience, once, comes on top. */
const PATIENCE_MS = 12_000;
const WAKE_EVERY_MS = 2000;
/** The labs' bound for a new leader. It comes on top of the longest election timeout that somebody may have begun to wait for. */
const ELECTION_MS = 5000;

export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const plan = overridden(drawPlan(options.seed, options.allFaults), options.plan ?? {});
  const run = new Run(options, plan);
  try {
    await run.toEnd();
    return run.result();
  } catch (error) {
    throw new SimulationFailure(plan, run.world, error);
  } finally {
    run.world.close();
  }
}

class Run {
  readonly world: World;
  readonly #plan: SimulationPlan;
  readonly #alsoCheck: (world: World) => void;
  readonly #watch: Watch;
  readonly #nemeses: readonly Nemesis[];
  readonly #accidents: Accidents;
  readonly #routers: readonly SimRouter[];
  readonly #clients: readonly SimClient[];
  readonly #ended = new Set<SimClient>();
  readonly #tenant: Tenant | null;

  constructor({ seed, trace = false, alsoCheck = () => {} }: SimulationOptions, plan: SimulationPlan) {
    this.#plan = plan;
    this.#alsoCheck = alsoCheck;
    const { heartbeatMs, electionTimeoutMs, quiesceAfterMs, limits, store } = plan;
    const settings: PeerSettings = { heartbeatMs, electionTimeoutMs, quiesceAfterMs, limits };
    const stateMachine = { createStateMachine: storeVariant(store, 1), stateMachineSettings: storeSettings(store) };
    this.world = new World({ seed, trace, settings, ...stateMachine });
    this.world.malformedRequests = false;
    this.#watch = new Watch(this.world);
    const hints = Array.from({ length: plan.peers }, () => 'weur');
    const router = (i: number) => new SimRouter(this.world, `router${i + 1}`, hints, plan.coalescing);
    this.#routers = Array.from({ length: plan.routers }, (_, i) => router(i));
    this.#clients = this.#createClients();
    this.#tenant = plan.tenant ? new Tenant(this.world, this.#routers, this.#workload()) : null;
    const mix = new Set(plan.faults) as FaultMix;
    const groups = plan.tenant ? [GROUP, TENANT] : [GROUP];
    const nemeses = groups.map((group) => new Nemesis(this.world, group, plan.peers, mix));
    this.#nemeses = nemeses;
    this.#watch.onLeader = ({ object, peer }) => nemeses[groups.indexOf(peer.group)]?.onLeader(object);
    this.#accidents = new Accidents({
      world: this.world,
      plan,
      group: GROUP,
      routers: this.#routers,
      clients: this.#clients,
    });
  }

  #workload() {
    const { peers, keys, hotShare, maxThinkMs, store } = this.#plan;
    return {
      group: GROUP,
      peers: Array.from({ length: peers }, (_, i) => String(i + 1)),
      keys: Array.from({ length: keys }, (_, i) => `key${i}`),
      hotShare,
      maxThinkMs,
      sessionsExpire: store.logTimeRate > 1,
    };
  }

  #createClients(): SimClient[] {
    const { clients, clerkShare } = this.#plan;
    const workload = this.#workload();
    return Array.from({ length: clients }, (_, i) => {
      const isClerk = this.world.stream(`kind of client ${i}`).chance(clerkShare);
      return new SimClient(this.world, `clerk${i}`, this.#routers, workload, isClerk);
    });
  }

  async toEnd(): Promise<void> {
    const plan = this.#plan;
    this.world.acts.limit(plan.leftOut, plan.lastAct);
    this.world.climate = (weather) => this.#strengthOf(weather);
    for (const object of this.#objects().slice(plan.peers - plan.newerPeers)) {
      object.createStateMachine = storeVariant(plan.store, NEWER_VERSION);
    }
    // A tick comes after all microtasks only where a microtask asks for it (see Scheduler): so from the very first event on.
    await Promise.resolve();
    const clients = this.#clients.map((client) => client.run().finally(() => this.#ended.add(client)));
    const everybody = [...clients, this.#tenant?.run()];
    for (const running of everybody) running?.catch((error) => this.world.fail(String(error)));
    for (const nemesis of this.#nemeses) nemesis.start();
    this.#accidents.start();
    await this.#until(plan.chaosMs);
    this.#heal();
    await this.#demandLeader();
    await this.#demandProgress();
    for (const client of this.#clients) client.stopped = true;
    await this.#demandAgreement();
    const operations: Operation[] = this.#clients.flatMap((client) => client.history);
    const listings: Listing[] = [...this.#clients.flatMap((client) => client.listings), ...this.#finalListings()];
    checkHistories(operations, listings, this.#watch.outcomeOf);
    await this.#demandRoom();
  }

  /** The nemesis says which kinds are on, and when; the plan says how strong. */
  #strengthOf(drawn: Weather): Weather {
    const { weather, faults } = this.#plan;
    return {
      ...weather,
      minDelayMs: drawn.minDelayMs,
      maxDelayMs: Math.max(weather.maxDelayMs, 1.5 * drawn.minDelayMs),
      dropRate: drawn.dropRate > 0 ? weather.dropRate : 0,
      duplicateRate: drawn.duplicateRate > 0 ? weather.duplicateRate : 0,
      longDelayRate: drawn.longDelayRate > 0 ? weather.longDelayRate : 0,
      maxFlushMs: faults.includes('slowDisk')
        ? Math.max(weather.maxFlushMs, drawn.maxFlushMs)
        : Math.min(weather.maxFlushMs, 15),
      alarmJitterMs: faults.includes('lateAlarms') ? weather.alarmJitterMs : 2,
    };
  }

  #heal(): void {
    this.world.climate = null;
    this.world.acts.limit([], null);
    for (const nemesis of this.#nemeses) nemesis.stop();
    this.#accidents.stop();
    this.world.alarms.makePunctual();
  }

  async #until(endMs: number, done: () => boolean = () => false): Promise<boolean> {
    const { scheduler } = this.world;
    while (scheduler.nowMs < endMs) {
      if (!(await scheduler.step())) throw new SimulationError('nothing is left to happen');
      this.#watch.check();
      this.#alsoCheck(this.world);
      if (this.world.failure !== null) throw this.world.failure;
      if (done()) return true;
    }
    return done();
  }

  /**
   * Soon, and long before the last client gets its answers. Somebody asks for it: all clients may be waiting for routers that vanished,
   * and without a request a group that sleeps, or was never founded, needs no leader.
   */
  async #demandLeader(): Promise<void> {
    this.#ask();
    // Each election timeout is drawn anew between this and twice as much.
    const longestTimeoutMs = 2 * this.#plan.electionTimeoutMs;
    const untilMs = this.world.scheduler.nowMs + longestTimeoutMs + ELECTION_MS;
    if (!(await this.#until(untilMs, () => hasLeader(this.#objects()))))
      throw new SimulationError('liveness: no leader after all was healed');
  }

  #ask(): void {
    const query = { type: 'get' as const, key: new TextEncoder().encode('nothing') };
    this.#routers[0]?.client.read(GROUP, { query, consistency: 'linearizable', peer: null });
  }

  async #demandProgress(): Promise<void> {
    const before = this.#clients.map(({ completed, writes }) => ({ completed, writes }));
    // Two answers, one of them to a write: reads alone would hide that nothing can be written any more.
    const waits = (client: SimClient, i: number): boolean =>
      client.completed < before[i]!.completed + 2 || client.writes === before[i]!.writes;
    const waiting = (): number => this.#clients.filter(waits).length;
    const healedMs = this.world.scheduler.nowMs;
    if (!(await this.#until(healedMs + HEAL_MS + PATIENCE_MS, () => waiting() === 0))) {
      throw new SimulationError(`liveness: ${waiting()} clients got no answers after all was healed`);
    }
    const tenant = this.#tenant;
    if (tenant === null) return;
    const lives = tenant.lives;
    // The life at hand ends: its clients were perhaps half way through their tries.
    if (!(await this.#until(healedMs + HEAL_MS + 8 * PATIENCE_MS, () => tenant.lives > lives))) {
      throw new SimulationError('liveness: the second group cannot be created or deleted after all was healed');
    }
    tenant.stopped = true;
  }

  async #demandAgreement(): Promise<void> {
    const wiped = this.#objects().filter((object) => this.#accidents.wiped.has(object));
    const others = this.#objects().filter((object) => !this.#accidents.wiped.has(object));
    const equal = (): boolean => {
      const states = others.map(({ instance }) => (instance === null ? undefined : statusOf(instance.peer)));
      const [first] = states;
      return (
        first !== undefined &&
        others.every(({ instance }) => instance?.peer.platform.sql.pending === false) &&
        first.lastApplied === first.lastIndex &&
        states.every((state) => state?.lastApplied === first.lastApplied && state.stateHash === first.stateHash)
      );
    };
    this.#wakeFor(others);
    if (!(await this.#until(this.world.scheduler.nowMs + HEAL_MS, equal))) {
      throw new SimulationError('liveness: the peers do not reach the same state');
    }
    for (const { label, object, peer } of others.flatMap(({ instance }) => instance ?? [])) {
      // The hash is kept up to date, write by write: here it is held against what lies in the tables.
      if (hashOfTables(object.disk) !== peer.stateMachine.stateHash())
        throw new SimulationError(`${label}: its tables do not make its state hash`);
    }
    const groupId = others[0]?.instance?.peer.identity?.groupId;
    for (const { instance } of wiped) {
      // Another groupId may be there: peer 1 may have begun a founding that the others refuse.
      if (instance?.peer.identity?.groupId === groupId)
        throw new SimulationError(`${instance?.label}: wiped, and yet a member of the group again`);
    }
  }

  /** Who holds no log knows nobody whom it could ask: it is found when its group is awake next (seed 14300), and started (3327). */
  #wakeFor(members: readonly SimObject[]): void {
    if (members.every(({ instance }) => instance !== null && instance.peer.raft?.log.lastIndex !== 0)) return;
    this.#ask();
    this.world.scheduler.after(WAKE_EVERY_MS, () => this.#wakeFor(members));
  }

  /** What each peer holds in the end, all being equal: nothing that was acknowledged is missing, nothing else is there. */
  #finalListings(): Listing[] {
    const nowMs = this.world.scheduler.nowMs;
    const members = this.#objects().filter((object) => !this.#accidents.wiped.has(object));
    return members.map(({ name, instance }) => {
      const query: Query = { type: 'list', prefix: new Uint8Array(), after: null, limit: 1000, revision: null };
      const page = instance!.peer.stateMachine.query(query) as Answer;
      if (page.type !== 'page' || page.more) throw new SimulationError(`${name}: it cannot list what it holds`);
      const { revision } = page;
      return { clientId: name, callMs: nowMs, returnMs: nowMs, revision, items: page.items.map(listed) };
    });
  }

  /** A full store takes deletes, whoever leads, and what there is room for after them. */
  async #demandRoom(): Promise<void> {
    if (this.#plan.store.storageLimitBytes === null) return;
    // What clients have under way would fill it again (seed 39324).
    const untilMs = this.world.scheduler.nowMs + HEAL_MS + PATIENCE_MS;
    await this.#until(untilMs, () => this.#ended.size === this.#clients.length);
    const members = this.#objects().flatMap((object, i) =>
      this.#accidents.wiped.has(object) ? [] : ([[i + 1, object]] as const),
    );
    const store = new FullStore({
      world: this.world,
      router: this.#routers[0]!,
      group: GROUP,
      members: new Map(members),
      keys: this.#workload().keys,
      electionTimeoutMs: this.#plan.electionTimeoutMs,
    });
    let done = false;
    // An event of its own, so that what it begins with happens before time goes on: for all that is asleep it goes far (seed 13506).
    this.world.scheduler.after(0, () => {
      store.demandRoom().then(
        () => {
          done = true;
        },
        (error: Error) => this.world.fail(error.message),
      );
    });
    const longestMs = members.length * (HEAL_MS + PATIENCE_MS) + HEAL_MS;
    if (!(await this.#until(this.world.scheduler.nowMs + longestMs, () => done)))
      throw new SimulationError('liveness: a full store is not emptied');
  }

  #objects(): SimObject[] {
    return Array.from({ length: this.#plan.peers }, (_, i) =>
      this.world.object(objectName(GROUP, { slot: i + 1, incarnation: 1 })),
    );
  }

  result(): SimulationResult {
    const ofClients = (of: (client: SimClient) => number): number =>
      this.#clients.reduce((sum, client) => sum + of(client), 0);
    return {
      seed: this.world.options.seed,
      peers: this.#plan.peers,
      mix: [...this.#plan.faults, ...Object.keys(this.#plan.accidents)],
      events: this.world.scheduler.count,
      simulatedMs: this.world.scheduler.nowMs,
      operations: ofClients((client) => client.completed),
      committed: this.#watch.sum((invariants) => invariants.committed.length),
      snapshots: this.#watch.sum((invariants) => invariants.snapshots),
      sleeps: this.#watch.sum((invariants) => invariants.sleeps),
      ledAgain: this.#watch.sum((invariants) => invariants.ledAgain),
      terms: this.#watch.sum((invariants) => invariants.terms),
      acts: this.world.acts.count,
      wiped: this.#accidents.wiped.size,
      deletions: this.#tenant?.lives ?? 0,
      fillings: ofClients((client) => client.told.storageFull),
      expiredSessions: ofClients((client) => client.told.sessionExpired),
      traceHash: this.world.traceHash(),
    };
  }
}

function hashOfTables(disk: Disk): string {
  const sql = { exec: disk.inspect.bind(disk) };
  // Of a store that is no replica of its tests; and whatever the next release is called, its hashes are today's.
  const summary = () => disk.inspect('SELECT summary FROM peer_state')[0]![0];
  return recomputedHash({ sql, machine: { applyVersion: 1, summary } } as unknown as Parameters<
    typeof recomputedHash
  >[0]);
}
