/**
 * The invariants of every group of a world, each of which has a history of its own: a name that is founded anew is another
 * group, with another groupId, while instances of the old one may still run.
 */
import type { Output } from '../linearizability/history.ts';
import { Invariants } from './invariants.ts';
import type { Instance, SimObject, World } from './world.ts';

interface Watched {
  readonly invariants: Invariants;
  readonly touched: Set<Instance>;
}

export class Watch {
  readonly #world: World;
  readonly #groups = new Map<string, Watched>();
  /** Told of every leader in its first event as one. */
  onLeader: (instance: Instance) => void = () => {};

  constructor(world: World) {
    this.#world = world;
  }

  /** After every event. */
  check(): void {
    const { touched, trace } = this.#world;
    if (touched.size === 0) return;
    if (trace.on) trace.changes(touched);
    for (const instance of touched) {
      // An instance that has just deleted its own storage has nothing left to promise.
      const gone = instance.dead || instance.life !== instance.object.lives;
      const groupId = gone ? undefined : instance.peer?.identity?.groupId;
      if (groupId !== undefined) this.#of(groupId).touched.add(instance);
    }
    touched.clear();
    for (const watched of this.#groups.values()) if (watched.touched.size > 0) watched.invariants.check();
  }

  /** The group was deleted, and nothing of it is left. */
  reset(): void {
    this.#groups.clear();
  }

  /** By index, from 1; of the newest group. */
  get committed(): Invariants['committed'] {
    return [...this.#groups.values()].at(-1)?.invariants.committed ?? [];
  }

  /** What a put or an append of this value did; null: nothing. */
  readonly outcomeOf = (value: string): Output | null => {
    for (const { invariants } of this.#groups.values()) {
      const output = invariants.written.get(value);
      if (output !== undefined) return output;
    }
    return null;
  };

  sum(of: (invariants: Invariants) => number): number {
    let sum = 0;
    for (const { invariants } of this.#groups.values()) sum += of(invariants);
    return sum;
  }

  #of(groupId: string): Watched {
    let watched = this.#groups.get(groupId);
    if (watched === undefined) {
      const touched = new Set<Instance>();
      const invariants = new Invariants(asSeenBy(this.#world, groupId, touched));
      invariants.onLeader = (instance) => this.onLeader(instance);
      watched = { invariants, touched };
      this.#groups.set(groupId, watched);
    }
    return watched;
  }
}

/**
 * The world as one group sees it: the instances of its own that the event has touched; and of an object that has lost its
 * storage since, what it held for this group. A lost disk counts among a quorum's: it never votes again, so every later
 * leader needs somebody else of that quorum.
 */
function asSeenBy(world: World, groupId: string, touched: Set<Instance>): World {
  const objects = (): ReadonlyMap<string, SimObject> => {
    const lost = [...world.objects.values()].filter((object) => object.lost?.groupId === groupId);
    if (lost.length === 0) return world.objects;
    const seen = new Map(world.objects);
    for (const object of lost) seen.set(object.name, Object.create(object, { disk: { value: object.lost?.disk } }));
    return seen;
  };
  return new Proxy(world, {
    get(target, name) {
      if (name === 'touched') return touched;
      if (name === 'objects') return objects();
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
