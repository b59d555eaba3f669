/**
 * What must hold of a group with a storage limit once everything is healed: it can be filled; full, it serves deletes under every
 * peer as leader; and what there is room for after them is written.
 */
import { encodeBody } from '../../src/peer/protocol.ts';
import type { WriteOperation } from '../../src/router/write.ts';
import type { SimRouter } from './sim-router.ts';
import { type SimObject, SimulationError, type World } from './world.ts';

/** More than the largest limit holds: each value takes some of it. */
const MAX_PUTS = 64;
const VALUE_BYTES = 40;
const MAX_TRIES = 20;
const STAND_EVERY_MS = 50;

const encoder = new TextEncoder();
const DIGEST = new Uint8Array(16);

export interface FullStoreScene {
  readonly world: World;
  readonly router: SimRouter;
  readonly group: string;
  /** Every peer that can lead, by the number of its slot. */
  readonly members: ReadonlyMap<number, SimObject>;
  readonly keys: readonly string[];
  readonly electionTimeoutMs: number;
}

export class FullStore {
  readonly #scene: FullStoreScene;
  /** Keys that are there. */
  readonly #keys: string[] = [];
  #filled = 0;

  constructor(scene: FullStoreScene) {
    this.#scene = scene;
  }

  /** @throws SimulationError */
  async demandRoom(): Promise<void> {
    for (const key of this.#scene.keys) await this.#demand(remove(key), 'deleted');
    for (const [slot, object] of this.#scene.members) {
      await this.#fill();
      await this.#deleteUnder(slot, object);
    }
    await this.#demand(put('last'), 'written');
  }

  async #fill(): Promise<void> {
    for (let i = 0; i < MAX_PUTS; i += 1) {
      const key = `fill${this.#filled}`;
      this.#filled += 1;
      const said = await this.#say(put(key), null);
      if (said === 'storage_full') return;
      this.#keys.push(key);
    }
    throw new SimulationError('a store with a limit is never full');
  }

  async #deleteUnder(slot: number, object: SimObject): Promise<void> {
    for (let i = 0; i < MAX_TRIES; i += 1) {
      await this.#makeLead(object);
      const said = await this.#say(remove(this.#keys.at(-1)!), String(slot));
      if (said === 'deleted') {
        this.#keys.pop();
        return;
      }
      if (said === 'storage_full')
        throw new SimulationError(`${object.name}: leads a full store, and refuses a delete`);
    }
    throw new SimulationError(`liveness: ${object.name} deletes nothing from a full store`);
  }

  /**
   * This one is asked to stand. Whoever leads instead crashes, and is down until this one's campaign has begun: a leader that has just
   * lost its memory stands at once, and would win. Its vote may be needed.
   */
  async #makeLead(object: SimObject): Promise<void> {
    const { world, members, electionTimeoutMs } = this.#scene;
    const role = ({ instance }: SimObject) => instance?.peer?.raft?.role;
    while (role(object) !== 'leader') {
      for (const other of members.values()) {
        if (role(other) === 'leader') {
          world.crash(other);
          other.downUntilMs = world.scheduler.nowMs + 2 * electionTimeoutMs;
        } else if (role(object) !== 'follower') other.downUntilMs = 0;
      }
      world.request('operator', object.name, 'stand', encodeBody({})).catch(() => {});
      await world.scheduler.sleep(STAND_EVERY_MS);
    }
  }

  async #demand(operation: WriteOperation, expected: string): Promise<void> {
    const said = await this.#say(operation, null);
    if (said !== expected) throw new SimulationError(`liveness: a full store says ${said}, and not ${expected}`);
  }

  /** The answer's type. `peer`: only this one is asked. */
  async #say(operation: WriteOperation, peer: string | null): Promise<string> {
    const { router, group } = this.#scene;
    const outcome = await router.client.write(group, { operation, requestDigest: DIGEST, clerk: null, peer });
    return outcome.ok ? outcome.result.type : outcome.failure.type;
  }
}

function put(key: string): WriteOperation {
  const value = new Uint8Array(VALUE_BYTES);
  return { op: 'put', key: encoder.encode(key), condition: null, value, valueDigest: DIGEST };
}

function remove(key: string): WriteOperation {
  return { op: 'delete', key: encoder.encode(key), condition: null };
}
