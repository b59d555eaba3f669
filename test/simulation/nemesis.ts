/**
 * What goes wrong, drawn by seed ("swarm testing": each run has some kinds of fault, and others not, since faults mask
 * each other). Everything here happens to Durable Objects in production.
 */
import { encodeBody, objectName } from '../../src/peer/protocol.ts';
import { CALM, type SimObject, type Weather, type World } from './world.ts';

export const FAULT_KINDS = [
  'loss',
  'duplicates',
  'longDelays',
  'slowDisk',
  'lateAlarms',
  'partition',
  'oneWay',
  'partialCut',
  'crash',
  'crashAll',
  'evict',
  'supersede',
  'storageRefused',
  'down',
  'clockJump',
  'newLeader',
  'splitBrain',
  'slowNetwork',
  'slowLinks',
  'crashInstalling',
  'crashWriting',
  'storageBreaks',
  'doubleAlarm',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export type FaultMix = ReadonlySet<FaultKind>;

/** Where certain bugs live: some faults together, and nothing else, since every other one would only interrupt them. */
const PROFILES: readonly (readonly FaultKind[])[] = [
  // Figure 8: leaders come and go.
  ['newLeader'],
  ['newLeader', 'slowLinks'],
  ['newLeader', 'slowNetwork', 'slowLinks'],
  // Two leaders, both of whom clients still reach.
  ['splitBrain'],
  ['splitBrain', 'longDelays', 'duplicates'],
  // What is on disk when.
  ['slowDisk', 'crashWriting', 'storageRefused', 'supersede'],
  ['crashWriting', 'storageBreaks'],
  ['doubleAlarm', 'lateAlarms', 'evict'],
  ['partition', 'crashInstalling'],
  ['newLeader', 'slowDisk', 'crashInstalling'],
];

export function drawMix(world: World): FaultMix {
  const { random } = world;
  if (random.chance(0.5)) return new Set(random.pick(PROFILES));
  const likelihood = random.pick([0.15, 0.35, 0.6, 1]);
  return new Set(FAULT_KINDS.filter(() => random.chance(likelihood)));
}

const MAX_ALARM_REPEAT_MS = 2000;
const MIN_REFUSAL_MS = 20;
const MAX_REFUSAL_MS = 30_000;

/** Clients reach the peers through these: as many of them as there are. */
const ROUTERS = ['router1', 'router2', 'router3'];

export class Nemesis {
  readonly #world: World;
  readonly #group: string;
  readonly #peers: number;
  readonly #mix: FaultMix;
  #stopped = false;
  /** The longest pause between two acts. */
  readonly #maxPauseMs: number;

  constructor(world: World, group: string, peers: number, mix: FaultMix) {
    this.#world = world;
    this.#group = group;
    this.#peers = peers;
    this.#mix = mix;
    this.#maxPauseMs = world.random.pick([300, 800, 2500]);
  }

  start(): void {
    const world = this.#world;
    world.weather = this.#drawWeather();
    if (this.#mix.has('crashInstalling')) {
      for (const object of this.#objects()) object.disk.onInstalling = () => this.#onInstalling(object);
    }
    this.#next();
  }

  /**
   * What Figure 8 is made of: a leader that is lost when its first entries have reached some peers and not others; and
   * the one that was lost before it is back, with what it wrote alone.
   */
  onLeader(object: SimObject): void {
    const world = this.#world;
    if (this.#stopped || !this.#mix.has('newLeader') || !world.random.chance(0.8)) return;
    const { maxDelayMs, maxFlushMs } = world.weather;
    const inTimeMs = world.random.between(0, world.random.pick([2 * maxDelayMs, 5 * maxDelayMs + 3 * maxFlushMs]));
    world.scheduler.after(inTimeMs, () => {
      if (this.#stopped) return;
      if (world.random.chance(0.7)) this.#bringBack();
      const fate = world.random.float();
      if (fate < 0.25) return world.crash(object);
      if (fate < 0.5) return this.#takeDown(object, world.random.between(300, 4000));
      const others = world.random.shuffle(this.#objects().filter((other) => other !== object));
      const unreachable = world.random.chance(0.5) ? others : others.slice(world.random.int(0, others.length - 1));
      this.#cutFor(bothWays(object, unreachable), 'new leader cut off');
    });
  }

  /** A snapshot is complete: a crash before, while or after it takes the state's place. */
  #onInstalling(object: SimObject): void {
    const world = this.#world;
    if (this.#stopped || !world.random.chance(0.7)) return;
    world.scheduler.after(world.random.between(0, 2 * world.weather.maxFlushMs), () => {
      if (!this.#stopped) world.crash(object);
    });
  }

  /** The next turn that writes is lost: the crash comes before its flush. */
  #crashWriting(object: SimObject): void {
    const world = this.#world;
    const share = world.random.float();
    object.disk.onTurn = (flushedAtMs) => {
      object.disk.onTurn = () => {};
      const { nowMs } = world.scheduler;
      world.scheduler.at(nowMs + share * (flushedAtMs - nowMs), () => {
        if (!this.#stopped) world.crash(object);
      });
    };
  }

  /** The next alarm that fires is delivered twice, the second time perhaps to an instance that knows nothing of the first. */
  #doubleAlarm(object: SimObject): void {
    const world = this.#world;
    const afterMs = world.random.between(0, MAX_ALARM_REPEAT_MS);
    const restarts = world.random.chance(0.5);
    object.onAlarmHandled = (alarm) => {
      object.onAlarmHandled = () => {};
      world.scheduler.after(afterMs, () => {
        if (this.#stopped) return;
        if (restarts) world.crash(object);
        world.alarms.repeat(object, alarm);
      });
    };
  }

  /** Whoever was lost is there again. */
  #bringBack(): void {
    const { cut, scheduler } = this.#world;
    cut.clear();
    for (const object of this.#objects()) object.downUntilMs = Math.min(object.downUntilMs, scheduler.nowMs);
  }

  /** Everything heals: what is left to show is progress. */
  stop(): void {
    this.#stopped = true;
    const world = this.#world;
    world.weather = { ...CALM };
    world.cut.clear();
    world.slowLinks.clear();
    for (const object of this.#objects()) {
      object.slowClock(false, world.scheduler.nowMs);
      object.downUntilMs = 0;
      object.disk.onTurn = () => {};
      object.onAlarmHandled = () => {};
      object.mendStorage();
    }
    world.note('nemesis', 'heals everything');
  }

  #drawWeather(): Weather {
    const { random } = this.#world;
    const on = (kind: FaultKind): boolean => this.#mix.has(kind);
    const minDelayMs = on('slowNetwork') ? random.between(10, 120) : CALM.minDelayMs;
    return {
      ...CALM,
      minDelayMs,
      dropRate: on('loss') ? random.pick([0.02, 0.1, 0.2]) : 0,
      duplicateRate: on('duplicates') ? random.pick([0.05, 0.3]) : 0,
      maxDelayMs: Math.max(random.pick([2, 10, 60]), 1.5 * minDelayMs),
      longDelayRate: on('longDelays') ? random.pick([0.02, 0.1, 0.3]) : 0,
      maxFlushMs: on('slowDisk') ? random.pick([50, 400]) : random.pick([2, 15]),
      alarmJitterMs: on('lateAlarms') ? random.pick([100, 1000, 5000]) : 2,
    };
  }

  #next(): void {
    const world = this.#world;
    world.scheduler.after(world.random.between(50, this.#maxPauseMs), () => {
      if (this.#stopped) return;
      const kinds = [...this.#mix].filter((kind) => kind in this.#acts);
      if (kinds.length > 0) this.#acts[world.random.pick(kinds)]?.();
      if (world.random.chance(0.1)) world.weather = this.#drawWeather();
      this.#next();
    });
  }

  #objects(): SimObject[] {
    return Array.from({ length: this.#peers }, (_, i) =>
      this.#world.object(objectName(this.#group, { slot: i + 1, incarnation: 1 })),
    );
  }

  /** The leader as often as any other: it is where things break. */
  #victim(): SimObject {
    const { random } = this.#world;
    const alive = this.#objects().filter(({ instance }) => instance !== null);
    const objects = alive.length > 0 ? alive : this.#objects();
    const leader = this.#leader();
    return leader !== undefined && random.chance(0.5) ? leader : random.pick(objects);
  }

  #takeDown(victim: SimObject, forMs: number): void {
    const world = this.#world;
    world.crash(victim);
    victim.downUntilMs = world.scheduler.nowMs + forMs;
    world.note('nemesis', `${victim.name} is down until ${victim.downUntilMs.toFixed(0)}`);
  }

  /**
   * The leader falls silent for the others, and does not know it: its clock may be slow, and some clients still ask it. Others
   * do not reach it, so they make another one stand. What was sent before the cut arrives late.
   */
  #splitBrain(): void {
    const world = this.#world;
    const { random, scheduler } = world;
    const leader = this.#leader();
    if (leader === undefined || this.#peers === 1) return;
    const others = this.#objects().filter((object) => object !== leader);
    const minority = random.shuffle(others).slice(0, random.int(0, Math.floor((others.length - 1) / 2)));
    const cutOff = others.filter((object) => !minority.includes(object));
    const links = bothWays(leader, cutOff).map(([from, to]) => `${from.name}>${to.name}`);
    const lateMs = random.pick([150, 300, 600]);
    const healsMs = random.between(300, 2500);
    const slow = links.filter(() => random.chance(0.5));
    for (const link of slow) world.slowLinks.set(link, [lateMs, 2 * lateMs]);
    scheduler.after(random.between(20, 200), () => {
      for (const link of slow) world.slowLinks.delete(link);
      if (this.#stopped) return;
      if (random.chance(0.6)) leader.slowClock(true, scheduler.nowMs);
      scheduler.after(healsMs, () => leader.slowClock(false, scheduler.nowMs));
      const sides = minority.flatMap((object) => bothWays(object, cutOff));
      this.#cutFor([...bothWays(leader, cutOff), ...sides], 'split brain', healsMs);
      const lost = random.pick([[], ROUTERS.slice(1), ROUTERS]);
      for (const router of lost) this.#cutRouter(router, leader, healsMs);
      this.#pester(leader, cutOff, healsMs, random.pick([0, lateMs, 2 * lateMs]));
    });
  }

  /** One client that keeps asking the deposed leader, and one that finds no leader. */
  #pester(deposed: SimObject, others: readonly SimObject[], forMs: number, quietMs: number): void {
    const world = this.#world;
    const { random, scheduler } = world;
    const untilMs = scheduler.nowMs + forMs;
    // A read that waits since before would keep the next one from beginning a round.
    const readsFromMs = scheduler.nowMs + quietMs;
    const query = { type: 'list', prefix: new Uint8Array(), after: null, limit: 1, revision: null };
    const read = encodeBody({ requests: [{ type: 'query', consistency: 'linearizable', query }] });
    const stand = encodeBody({});
    const again = (): void => {
      if (this.#stopped || scheduler.nowMs > untilMs) return;
      if (scheduler.nowMs >= readsFromMs) world.request('pesterer', deposed.name, 'client', read).catch(() => {});
      world.request('pesterer', random.pick(others).name, 'stand', stand).catch(() => {});
      scheduler.after(random.between(20, 120), again);
    };
    again();
  }

  /** Some links are slow for a moment: what is sent now arrives after what is sent later. */
  #slowLinks(): void {
    const world = this.#world;
    const { random, scheduler, slowLinks } = world;
    const delayMs = random.pick([
      [40, 120],
      [100, 400],
      [300, 1000],
    ] as const);
    const objects = this.#objects();
    const links = objects.flatMap((from) => objects.map((to) => `${from.name}>${to.name}`));
    const slow = links.filter(() => random.chance(0.35));
    for (const link of slow) slowLinks.set(link, delayMs);
    scheduler.after(random.between(50, 600), () => {
      for (const link of slow) slowLinks.delete(link);
    });
  }

  #cutRouter(router: string, object: SimObject, forMs: number): void {
    const { cut, scheduler } = this.#world;
    const keys = [`${router}>${object.name}`, `${object.name}>${router}`];
    for (const key of keys) cut.add(key);
    scheduler.after(forMs, () => {
      for (const key of keys) cut.delete(key);
    });
  }

  #leader(): SimObject | undefined {
    return this.#objects().find((object) => object.instance?.peer.raft?.role === 'leader');
  }

  #cutFor(pairs: readonly [SimObject, SimObject][], what: string, forMs = this.#world.random.between(100, 4000)): void {
    const world = this.#world;
    const keys = pairs.map(([from, to]) => `${from.name}>${to.name}`);
    world.note('nemesis', `${what} ${keys.join(' ')}`);
    for (const key of keys) world.cut.add(key);
    world.scheduler.after(forMs, () => {
      for (const key of keys) world.cut.delete(key);
    });
  }

  readonly #acts: Partial<Record<FaultKind, () => void>> = {
    partition: () => {
      const shuffled = this.#world.random.shuffle(this.#objects());
      const size = this.#world.random.int(1, Math.max(1, Math.floor(shuffled.length / 2)));
      const pairs: [SimObject, SimObject][] = [];
      for (const a of shuffled.slice(0, size)) for (const b of shuffled.slice(size)) pairs.push([a, b], [b, a]);
      this.#cutFor(pairs, 'partition');
    },
    oneWay: () => {
      const victim = this.#victim();
      const others = this.#objects().filter((object) => object !== victim);
      const inwards = this.#world.random.chance(0.5);
      const pairs = others.map((other): [SimObject, SimObject] => (inwards ? [other, victim] : [victim, other]));
      this.#cutFor(pairs, 'one-way cut');
    },
    partialCut: () => {
      const [a, b] = this.#world.random.shuffle(this.#objects());
      if (a !== undefined && b !== undefined) this.#cutFor(bothWays(a, [b]), 'partial cut');
    },
    crash: () => this.#world.crash(this.#victim()),
    crashAll: () => {
      for (const object of this.#objects()) this.#world.crash(object);
    },
    evict: () => {
      const victim = this.#victim();
      if (!victim.disk.unflushed && victim.instance?.unanswered.size === 0) this.#world.crash(victim);
    },
    supersede: () => this.#world.supersede(this.#victim(), this.#world.random.between(10, 5000)),
    storageRefused: () => {
      const victim = this.#victim();
      // Short ones as likely as long ones: some end by themselves, some outlast the run.
      const forMs = MIN_REFUSAL_MS * (MAX_REFUSAL_MS / MIN_REFUSAL_MS) ** this.#world.random.float();
      victim.refusesUntilMs = this.#world.scheduler.nowMs + forMs;
      this.#world.note('nemesis', `${victim.name} storage refuses until ${victim.refusesUntilMs.toFixed(0)}`);
    },
    crashWriting: () => this.#crashWriting(this.#victim()),
    storageBreaks: () => {
      const { random } = this.#world;
      const victim = this.#victim();
      victim.breakStorage(random.int(0, 12), random.pick([1, 50, 1000]));
      this.#world.note('nemesis', `${victim.name} storage breaks soon`);
    },
    down: () => this.#takeDown(this.#victim(), this.#world.random.between(500, 8000)),
    splitBrain: () => this.#splitBrain(),
    slowLinks: () => this.#slowLinks(),
    doubleAlarm: () => this.#doubleAlarm(this.#victim()),
    clockJump: () => {
      const victim = this.#victim();
      victim.clockOffsetMs += this.#world.random.pick([-3_600_000, -800, 300, 900, 120_000]);
      this.#world.note('nemesis', `${victim.name} clock ${victim.clockOffsetMs}`);
    },
  };
}

function bothWays(object: SimObject, others: readonly SimObject[]): [SimObject, SimObject][] {
  return others.flatMap((other): [SimObject, SimObject][] => [
    [object, other],
    [other, object],
  ]);
}
