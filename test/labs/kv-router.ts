/**
 * A clerk's own router: the production group client on the simulated network. On the labs' unreliable network a caller is told
 * that its message was lost; on a real one it may wait for an answer that never comes. So half of the losses are told.
 */
import { GroupClient } from '../../src/router/group.ts';
import type { Cluster } from './kv-cluster.ts';

const TOLD_RATE = 0.5;

export class LabRouter {
  readonly client: GroupClient;
  readonly #cluster: Cluster;
  readonly #name: string;
  readonly #toldRate: number;

  constructor(cluster: Cluster, name: string, toldRate = TOLD_RATE) {
    this.#cluster = cluster;
    this.#name = name;
    this.#toldRate = toldRate;
    const { scheduler, random } = cluster.world;
    this.client = new GroupClient(
      {
        now: () => scheduler.nowMs,
        random: () => random.float(),
        randomId: () => random.hex(32),
        setTimer: (delayMs, run) => scheduler.after(delayMs, run),
        call: (objectName, _hint, route, body) => this.#call(objectName, route, body),
        log: (event) => cluster.world.note(name, JSON.stringify(event)),
      },
      cluster.slots.map(() => 'weur'),
    );
  }

  /** A request that is lost never arrives; a reply that is lost was one to a request that did. */
  async #call(objectName: string, route: string, body: Uint8Array): Promise<Uint8Array> {
    const cluster = this.#cluster;
    if (cluster.loses()) {
      cluster.traffic.take({ from: this.#name, to: objectName, route, kind: 'request', bytes: body.byteLength });
      return this.#lost();
    }
    const answer = await cluster.world.request(this.#name, objectName, route, body);
    return cluster.loses() ? this.#lost() : answer;
  }

  async #lost(): Promise<never> {
    const told = this.#cluster.random.chance(this.#toldRate);
    if (!told) return new Promise(() => {});
    await this.#cluster.sleep(this.#cluster.requestDelayMs());
    throw new Error('lost');
  }
}
