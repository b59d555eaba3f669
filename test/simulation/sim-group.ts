/** A simulated group for tests that tell a story instead of drawing one: explicit steps, every invariant checked on the way. */
import { createHash } from 'node:crypto';
import { createKeyValueStore } from '../../src/kv/key-value-store.ts';
import { statusOf } from '../../src/peer/report.ts';
import type { StateMachineFactory } from '../../src/peer/state-machine.ts';
import type { RaftLimits } from '../../src/raft/types.ts';
import { DEFAULT_LIMITS } from '../../src/raft/types.ts';
import type { GroupClient } from '../../src/router/group.ts';
import { SimRouter } from './sim-router.ts';
import { Watch } from './watch.ts';
import { type SimObject, World } from './world.ts';

export const GROUP = 'default';
const encoder = new TextEncoder();

export interface SimGroupOptions {
  readonly seed?: number;
  readonly peers?: number;
  readonly limits?: Partial<RaftLimits>;
  /** A group that nobody uses for so long goes to sleep; default: never. */
  readonly quiesceAfterMs?: number;
  /** Default: the key-value store. */
  readonly createStateMachine?: StateMachineFactory;
}

export class SimGroup {
  readonly world: World;
  readonly invariants: Watch;
  router: SimRouter;

  constructor(options: SimGroupOptions = {}) {
    const { seed = 1, peers = 3, limits = {}, quiesceAfterMs = 0, createStateMachine = createKeyValueStore } = options;
    const settings = {
      heartbeatMs: 100,
      electionTimeoutMs: 500,
      quiesceAfterMs,
      limits: { ...DEFAULT_LIMITS, ...limits },
    };
    this.world = new World({ seed, createStateMachine, settings, trace: true });
    this.invariants = new Watch(this.world);
    this.router = this.routerWith(peers);
  }

  /** A router whose PEERS has so many entries: what a redeployment with other variables looks like. */
  routerWith(peers: number): SimRouter {
    return new SimRouter(
      this.world,
      `router-of-${peers}`,
      Array.from({ length: peers }, () => 'weur'),
    );
  }

  get client(): GroupClient {
    return this.router.client;
  }

  object(slot: number): SimObject {
    return this.world.object(`${GROUP}/${slot}.1`);
  }

  raft(slot: number) {
    return this.object(slot).instance?.peer.raft ?? null;
  }

  leader(): number | null {
    const slots = [1, 2, 3, 4, 5, 6, 7].filter((slot) => this.world.objects.has(`${GROUP}/${slot}.1`));
    const leading = slots.filter((slot) => this.raft(slot)?.role === 'leader');
    return leading.sort((a, b) => (this.raft(b)?.currentTerm ?? 0) - (this.raft(a)?.currentTerm ?? 0))[0] ?? null;
  }

  /** Time passes until `promise` resolves. */
  async until<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    let settled: { value: T } | { error: unknown } | null = null;
    promise.then(
      (value) => {
        settled = { value };
      },
      (error) => {
        settled = { error };
      },
    );
    const endMs = this.world.scheduler.nowMs + limitMs;
    await this.#pass(endMs, () => settled !== null);
    const outcome = settled as { value: T } | { error: unknown } | null;
    if (outcome === null) throw new Error(`nothing came within ${limitMs} ms of simulated time`);
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  }

  /** Time passes until `done`, or for `limitMs`. */
  async pass(limitMs: number, done: () => boolean = () => false): Promise<boolean> {
    return this.#pass(this.world.scheduler.nowMs + limitMs, done);
  }

  async #pass(endMs: number, done: () => boolean): Promise<boolean> {
    const { scheduler } = this.world;
    // An end that nobody else set: otherwise an idle world would have no next event.
    scheduler.at(endMs, () => {});
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (!done() && scheduler.nowMs < endMs) await this.step();
    return done();
  }

  /** So many events happen. */
  async step(events = 1): Promise<void> {
    for (let i = 0; i < events; i += 1) {
      await this.world.scheduler.step();
      this.invariants.check();
      if (this.world.failure !== null) throw this.world.failure;
    }
  }

  /** What became of a put: the result's type, or the failure's. */
  put(key: string, value: string, router = this.router): Promise<string> {
    return this.until(this.beginPut(key, value, router));
  }

  /** Time is left to others. */
  async beginPut(key: string, value: string, router = this.router): Promise<string> {
    const bytes = encoder.encode(value);
    const digest = new Uint8Array(createHash('sha256').update(`${key} ${value}`).digest().subarray(0, 16));
    const operation = {
      op: 'put' as const,
      key: encoder.encode(key),
      condition: null,
      value: bytes,
      valueDigest: digest,
    };
    const write = { operation, requestDigest: digest, clerk: null, peer: null };
    const outcome = await router.client.write(GROUP, write);
    return outcome.ok ? outcome.result.type : outcome.failure.type;
  }

  /** The value; null: there is none; or the failure's type in brackets. */
  async get(key: string, router = this.router): Promise<string | null> {
    const read = {
      query: { type: 'get' as const, key: encoder.encode(key) },
      consistency: 'linearizable' as const,
      peer: null,
    };
    const outcome = await this.until(router.client.read(GROUP, read));
    if (!outcome.ok) return `[${outcome.failure.type}]`;
    return outcome.answer.type === 'value' ? new TextDecoder().decode(outcome.answer.item.value) : null;
  }

  /** Nothing passes between the peer and the others; routers still reach it. */
  isolate(slot: number): void {
    for (const other of this.world.objects.keys()) {
      if (other === this.object(slot).name) continue;
      this.world.cut.add(`${other}>${this.object(slot).name}`);
      this.world.cut.add(`${this.object(slot).name}>${other}`);
    }
  }

  heal(): void {
    this.world.cut.clear();
  }

  /** All of these peers are at the same applied index, with the same state. */
  equal(slots: readonly number[]): boolean {
    const states = slots.map((slot) => {
      const { instance } = this.object(slot);
      return instance === null ? undefined : statusOf(instance.peer);
    });
    const [first] = states;
    return states.every(
      (state) => state !== undefined && state.lastApplied === first?.lastApplied && state.stateHash === first.stateHash,
    );
  }

  close(): void {
    this.world.close();
  }
}
