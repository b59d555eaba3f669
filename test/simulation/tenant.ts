/**
 * A group that comes and goes beside the first one, under the same faults: created, used by clients of its own, deleted, and
 * created anew by the same name. Each life of it has a history of its own, which must be linearizable.
 */
import { objectName } from '../../src/peer/protocol.ts';
import { SimClient, type SimRouter, type Workload } from './clients.ts';
import { checkHistories } from './histories.ts';
import type { Random } from './random.ts';
import { SimulationError, type World } from './world.ts';

export const TENANT = 'tenant';
const PATIENCE_MS = 12_000;

export class Tenant {
  readonly #world: World;
  readonly #random: Random;
  readonly #routers: readonly SimRouter[];
  readonly #workload: Workload;
  /** Lives that have ended well. */
  lives = 0;
  stopped = false;

  constructor(world: World, routers: readonly SimRouter[], workload: Omit<Workload, 'group'>) {
    this.#world = world;
    this.#random = world.stream('tenant');
    this.#routers = routers;
    this.#workload = { ...workload, group: TENANT, keys: ['a', 'b'] };
  }

  async run(): Promise<void> {
    while (!this.stopped) {
      await this.#until(async (router) => (await router.client.create(TENANT)).ok);
      await this.#use();
      await this.#until(async (router) => (await router.client.delete(TENANT)).ok);
      this.#assertGone();
      this.lives += 1;
      await this.#world.scheduler.sleep(this.#random.between(0, 1500));
      this.#assertGone();
    }
  }

  async #use(): Promise<void> {
    const clients = [1, 2].map((number) => {
      const name = `tenant${this.lives}-${number}`;
      return new SimClient(this.#world, name, this.#routers, this.#workload, this.#random.chance(0.5));
    });
    const running = Promise.all(clients.map((client) => client.run()));
    await this.#world.scheduler.sleep(this.#random.between(50, 1500));
    for (const client of clients) client.stopped = true;
    await running;
    checkHistories(
      clients.flatMap((client) => client.history),
      clients.flatMap((client) => client.listings),
    );
  }

  /** Through one router or another, until it succeeds. A router may vanish with the answer. */
  async #until(attempt: (router: SimRouter) => Promise<boolean>): Promise<void> {
    const { scheduler } = this.#world;
    while (true) {
      let cancel = (): void => {};
      const impatience = new Promise<boolean>((resolve) => {
        cancel = scheduler.after(PATIENCE_MS, () => resolve(false));
      });
      const done = await Promise.race([attempt(this.#random.pick(this.#routers)), impatience]);
      cancel();
      if (done) return;
      await scheduler.sleep(this.#random.between(1, 100));
    }
  }

  /** Nothing is left of it, whatever late messages of its founding still arrive. */
  #assertGone(): void {
    this.#workload.peers.forEach((_, i) => {
      const object = this.#world.object(objectName(TENANT, { slot: i + 1, incarnation: 1 }));
      // A write of a client of this life, on its way to the next one, would be another client's there.
      object.clientsSinceMs = this.#world.scheduler.nowMs;
      const [row] = object.disk.inspect("SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'sqlite%'");
      if (row?.[0] !== 0) throw new SimulationError(`${object.name}: founded after the group was deleted`);
    });
  }
}
