/**
 * What goes wrong, drawn by seed ("swarm testing": each run has some kinds of fault, and others not, since faults mask
 * each other). Everything here happens to Durable Objects in production.
 */
import { objectName } from '../../src/peer/protocol.ts';
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
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export type FaultMix = ReadonlySet<FaultKind>;

export function drawMix(world: World): FaultMix {
  // Where Figure 8 lives: leaders come and go, and little else happens.
  if (world.random.chance(0.15)) return new Set(['newLeader']);
  const likelihood = world.random.pick([0.15, 0.35, 0.6, 1]);
  return new Set(FAULT_KINDS.filter(() => world.random.chance(likelihood)));
}

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
    this.#maxPauseMs = world.random.pick([500, 1500, 4000]);
  }

  start(): void {
    this.#world.weather = this.#drawWeather();
    this.#next();
  }

  /**
   * What Figure 8 is made of: a leader that is lost when its first entries have reached some peers and not others.
   */
  onLeader(object: SimObject): void {
    const world = this.#world;
    if (this.#stopped || !this.#mix.has('newLeader') || !world.random.chance(0.8)) return;
    world.scheduler.after(world.random.between(0, 4 * world.weather.maxDelayMs), () => {
      if (this.#stopped) return;
      if (world.random.chance(0.5)) return world.crash(object);
      const others = world.random.shuffle(this.#objects().filter((other) => other !== object));
      const unreachable = others.slice(world.random.int(0, others.length - 1));
      this.#cutFor(
        unreachable.flatMap((other): [SimObject, SimObject][] => [
          [object, other],
          [other, object],
        ]),
        'new leader cut off',
      );
    });
  }

  /** Everything heals: what is left to show is progress. */
  stop(): void {
    this.#stopped = true;
    const world = this.#world;
    world.weather = { ...CALM };
    world.cut.clear();
    for (const object of this.#objects()) {
      object.downUntilMs = 0;
      object.refusesUntilMs = 0;
    }
    world.note('nemesis', 'heals everything');
  }

  #drawWeather(): Weather {
    const { random } = this.#world;
    const on = (kind: FaultKind): boolean => this.#mix.has(kind);
    return {
      ...CALM,
      dropRate: on('loss') ? random.pick([0.02, 0.1, 0.2]) : 0,
      duplicateRate: on('duplicates') ? random.pick([0.05, 0.3]) : 0,
      maxDelayMs: random.pick([2, 10, 60]),
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
    const objects = this.#objects();
    const leader = objects.find((object) => object.instance?.peer.raft?.role === 'leader');
    return leader !== undefined && random.chance(0.5) ? leader : random.pick(objects);
  }

  #cutFor(pairs: readonly [SimObject, SimObject][], what: string): void {
    const world = this.#world;
    const keys = pairs.map(([from, to]) => `${from.name}>${to.name}`);
    world.note('nemesis', `${what} ${keys.join(' ')}`);
    for (const key of keys) world.cut.add(key);
    world.scheduler.after(world.random.between(100, 4000), () => {
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
      if (a !== undefined && b !== undefined)
        this.#cutFor(
          [
            [a, b],
            [b, a],
          ],
          'partial cut',
        );
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
      victim.refusesUntilMs = this.#world.scheduler.nowMs + this.#world.random.pick([20, 500, 30_000]);
      this.#world.note('nemesis', `${victim.name} storage refuses until ${victim.refusesUntilMs.toFixed(0)}`);
    },
    down: () => {
      const victim = this.#victim();
      this.#world.crash(victim);
      victim.downUntilMs = this.#world.scheduler.nowMs + this.#world.random.between(500, 8000);
      this.#world.note('nemesis', `${victim.name} is down until ${victim.downUntilMs.toFixed(0)}`);
    },
    clockJump: () => {
      const victim = this.#victim();
      victim.clockOffsetMs += this.#world.random.pick([-3_600_000, -800, 300, 900, 120_000]);
      this.#world.note('nemesis', `${victim.name} clock ${victim.clockOffsetMs}`);
    },
  };
}
