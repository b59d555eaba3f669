/**
 * What goes wrong less often than what nemesis.ts does: storage lost, foundings that break off, messages of long ago, alarms
 * that the platform forgets, everything evicted at once, crashes aimed at an installation. Each kind has a strength, above 0
 * and at most 1: how often, and how much.
 */
import { objectName } from '../../src/peer/protocol.ts';
import type { SimClient, SimRouter } from './clients.ts';
import type { SimulationPlan } from './plan.ts';
import type { Random } from './random.ts';
import { NEWER_VERSION, storeVariant } from './store-variants.ts';
import type { SentRequest, SimObject, World } from './world.ts';

export const ACCIDENT_KINDS = [
  /** The leader crashes and is away, or is cut off, until another has to be elected. */
  'leaderLost',
  /** A follower misses so much that what it needs is compacted. */
  'lag',
  /** A peer's storage is lost; never so many that no majority is left. */
  'wipe',
  /** Crashes and losses for as long as the group is being founded. */
  'foundingBreaks',
  /** A request of a founding or a deletion is delivered once more, however late. */
  'lateFounding',
  /** Sender or receiver of a snapshot crashes when a chunk of it is stored. */
  'installCrash',
  /** Alarms that do not fire until a client comes. */
  'stuckAlarms',
  /** All objects lose their memory at once, with nothing left to flush. */
  'evictAll',
  /** A router's isolate goes, and what it was doing is never answered. */
  'routerGone',
  /** A router's clock jumps. */
  'routerClock',
  /** All clients send many requests at once, as after an outage. */
  'storm',
  /** A peer is restarted with the newest code. */
  'deploy',
] as const;
export type AccidentKind = (typeof ACCIDENT_KINDS)[number];

const FOUNDING_ROUTES = new Set(['founding/ask', 'founding/store', 'found', 'delete']);
const MAX_KEPT_REQUESTS = 64;
const STORM_REQUESTS = 16;

export interface AccidentScene {
  readonly world: World;
  readonly plan: SimulationPlan;
  /** Of the group that everything is done to. */
  readonly group: string;
  readonly routers: readonly SimRouter[];
  readonly clients: readonly SimClient[];
}

export class Accidents {
  readonly #scene: AccidentScene;
  readonly #random: Random;
  readonly #kept: SentRequest[] = [];
  readonly wiped = new Set<SimObject>();
  #stopped = false;
  #founded = false;

  constructor(scene: AccidentScene) {
    this.#scene = scene;
    this.#random = scene.world.stream('accidents');
  }

  start(): void {
    const { world } = this.#scene;
    if (this.#strength('installCrash') > 0) world.onStaging = (object) => this.#crashInstallation(object);
    if (this.#strength('lateFounding') > 0) world.onRequest = (request) => this.#keep(request);
    if (this.#strength('foundingBreaks') > 0) this.#breakFounding();
    this.#next();
  }

  /** Wiped peers stay out of the group; all else ends. */
  stop(): void {
    this.#stopped = true;
    const { world } = this.#scene;
    world.onStaging = null;
    world.onRequest = null;
    for (const object of world.objects.values()) world.alarms.remember(object);
    for (const object of this.objects()) this.#deploy(object);
  }

  objects(): SimObject[] {
    const { world, plan, group } = this.#scene;
    return Array.from({ length: plan.peers }, (_, i) =>
      world.object(objectName(group, { slot: i + 1, incarnation: 1 })),
    );
  }

  #strength(kind: AccidentKind): number {
    return this.#scene.plan.accidents[kind] ?? 0;
  }

  #next(): void {
    const { world, plan } = this.#scene;
    const kinds = ACCIDENT_KINDS.filter((kind) => kind in this.#acts && this.#strength(kind) > 0);
    if (kinds.length === 0) return;
    world.scheduler.after(this.#random.between(20, plan.accidentPauseMs), () => {
      if (this.#stopped) return;
      const kind = this.#random.pick(kinds);
      if (this.#random.chance(this.#strength(kind))) this.#acts[kind]?.(this.#strength(kind));
      this.#next();
    });
  }

  readonly #acts: Partial<Record<AccidentKind, (strength: number) => void>> = {
    leaderLost: (strength) => {
      const leader = this.#leader();
      if (leader === null) return;
      const forMs = this.#random.between(0.5, 1 + 2 * strength) * this.#scene.plan.electionTimeoutMs;
      if (this.#random.chance(0.4)) return this.#isolate(leader, forMs);
      this.#scene.world.crash(leader);
      if (this.#random.chance(0.7)) leader.downUntilMs = this.#scene.world.scheduler.nowMs + forMs;
    },
    lag: (strength) => {
      const leader = this.#leader();
      const followers = this.objects().filter((object) => object !== leader);
      if (followers.length > 0)
        this.#isolate(this.#random.pick(followers), 200 + 3000 * strength * this.#random.float());
    },
    wipe: () => this.#wipe(this.#random.pick(this.objects())),
    lateFounding: () => this.#deliverAgain(),
    stuckAlarms: (strength) => {
      const victims = this.#random.chance(strength) ? this.objects() : [this.#random.pick(this.objects())];
      for (const object of victims) this.#scene.world.alarms.forget(object);
    },
    evictAll: () => {
      const { world } = this.#scene;
      const asleep = (object: SimObject): boolean => !object.disk.unflushed && object.instance?.unanswered.size === 0;
      for (const object of this.objects()) if (asleep(object)) world.crash(object);
    },
    routerGone: () => {
      if (this.#scene.world.acts.permit()) this.#random.pick(this.#scene.routers).restart();
    },
    routerClock: (strength) => {
      const router = this.#random.pick(this.#scene.routers);
      const jumpMs = Math.round(this.#random.pick([-5000, -300, 700, 3000, 60_000]) * strength);
      if (!this.#scene.world.acts.permit()) return;
      router.clockOffsetMs += jumpMs;
      this.#scene.world.note(router.name, 'clock', `${router.clockOffsetMs}`);
    },
    storm: (strength) => this.#storm(strength),
    deploy: () => {
      const object = this.#random.pick(this.objects());
      if (this.#scene.world.acts.permit()) this.#deploy(object);
    },
  };

  #leader(): SimObject | null {
    return this.objects().find((object) => object.instance?.peer?.raft?.role === 'leader') ?? null;
  }

  /** Nothing passes between it and the other peers; routers still reach it. */
  #isolate(object: SimObject, forMs: number): void {
    const { world } = this.#scene;
    const others = this.objects().filter((other) => other !== object);
    const pairs = others.flatMap((other) => [`${object.name}>${other.name}`, `${other.name}>${object.name}`]);
    world.note(object.name, 'isolated', `for ${forMs.toFixed(0)} ms`);
    for (const pair of pairs) world.cut.add(pair);
    world.scheduler.after(forMs, () => {
      for (const pair of pairs) world.cut.delete(pair);
    });
  }

  /** Only a minority ever, and only of a group that is founded: before that, a peer that lost all may be given it again. */
  #wipe(object: SimObject): void {
    const { world, plan } = this.#scene;
    this.#founded ||= this.objects().some(({ instance }) => (instance?.peer?.raft?.commitIndex ?? 0) > 0);
    if (!this.#founded || this.wiped.has(object) || this.wiped.size >= Math.floor((plan.peers - 1) / 2)) return;
    if (!world.acts.permit()) return;
    this.wiped.add(object);
    world.wipe(object);
  }

  /** Every few milliseconds something is lost or crashes, until entry 1 is there; in the end it may come to be. */
  #breakFounding(untilMs = this.#random.between(0.05, 0.5) * this.#scene.plan.chaosMs): void {
    const { world } = this.#scene;
    const strength = this.#strength('foundingBreaks');
    const founded = (): boolean =>
      this.objects().some((object) => (object.instance?.peer?.raft?.log.lastIndex ?? 0) > 0);
    world.scheduler.after(this.#random.between(0.5, 30), () => {
      if (this.#stopped || founded() || world.scheduler.nowMs > untilMs) return;
      const object = this.#random.pick(this.objects());
      const luck = this.#random.float() / strength;
      if (luck < 0.2) world.crash(object);
      else if (luck < 0.4) object.downUntilMs = world.scheduler.nowMs + this.#random.between(5, 200);
      this.#breakFounding(untilMs);
    });
  }

  #keep(request: SentRequest): void {
    if (!FOUNDING_ROUTES.has(request.route)) return;
    if (this.#kept.length < MAX_KEPT_REQUESTS) this.#kept.push(request);
    else this.#kept[this.#random.int(0, MAX_KEPT_REQUESTS - 1)] = request;
  }

  #deliverAgain(): void {
    const { world } = this.#scene;
    if (this.#kept.length === 0 || !world.acts.permit()) return;
    const { to, route, body } = this.#random.pick(this.#kept);
    world.note('network', 'late', `${route} to ${to} once more`);
    world.request('network', to, route, body).catch(() => {});
  }

  #crashInstallation(receiver: SimObject): void {
    const { world } = this.#scene;
    if (this.#stopped || !this.#random.chance(Math.sqrt(this.#strength('installCrash')))) return;
    const leader = this.#leader();
    const victim = leader !== null && this.#random.chance(0.3) ? leader : receiver;
    world.scheduler.after(this.#random.between(0, 3 * world.weather.maxDelayMs), () => {
      if (!this.#stopped) world.crash(victim);
    });
  }

  #storm(strength: number): void {
    const { world, clients } = this.#scene;
    if (!world.acts.permit()) return;
    world.note('clients', 'storm');
    for (const client of clients) client.burst(Math.ceil(strength * STORM_REQUESTS));
  }

  /** A deploy resets the object; code never goes back to an older version. */
  #deploy(object: SimObject): void {
    const { world, plan } = this.#scene;
    if (plan.newerPeers === 0 || !this.#renew(object)) return;
    world.note(object.name, 'deploy', `version ${NEWER_VERSION}`);
    world.crash(object);
  }

  /** False: it runs the newest code already. */
  #renew(object: SimObject): boolean {
    if (object.createStateMachine !== null) return false;
    object.createStateMachine = storeVariant(this.#scene.plan.store, NEWER_VERSION);
    return true;
  }
}
