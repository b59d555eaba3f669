/**
 * A group of production peers on the simulator's disks, alarms and network, under the rules of the labs' harness: what a reliable and an
 * unreliable network do, how servers are split and crash, and what is counted.
 */
import { encode } from '@msgpack/msgpack';
import { createKeyValueStore } from '../../src/kv/key-value-store.ts';
import { objectName } from '../../src/peer/protocol.ts';
import type { StateMachineFactory } from '../../src/peer/state-machine.ts';
import { DEFAULT_LIMITS, type RaftLimits } from '../../src/raft/types.ts';
import { Invariants } from '../simulation/invariants.ts';
import type { Random } from '../simulation/random.ts';
import { type Message, type SimObject, World } from '../simulation/world.ts';
import { LabRouter } from './kv-router.ts';
import { LabFailure, type LabOptions, type LabReport } from './lab.ts';

export const GROUP = 'default';
/** `checkTimeout` of the labs: no test may take longer. */
const TEST_LIMIT_MS = 120_000;
/** `RaftElectionTimeout` of the labs: how long their tests wait for things to settle. */
export const SETTLE_MS = 1000;

/**
 * One way, ms, and a flush: with these a write takes about 22 ms, and a clerk does some 45 operations a second, as many as the
 * course's own solution. A reliable network of the labs is immediate; ours never is.
 */
export const MAX_DELAY_MS = 7;
const DELAY_MS = { min: 1.5, max: MAX_DELAY_MS };
const FLUSH_MS = { min: 2, max: 5 };
const UNRELIABLE_DELAY_MS = 26;
const UNRELIABLE_DROP_RATE = 0.1;
const HEARTBEAT_MS = 100;

const TRAFFIC_SLACK = 1.5;
const CLERK_RPCS = 4;
/** Small values, so that what is sent again and again would show. */
const MAX_BYTES_PER_RPC = 1000;

export interface ClusterOptions {
  readonly servers: number;
  readonly unreliable?: boolean;
  /** `maxraftstate`: the log is to be compacted about there. Null (the labs' -1): never. */
  readonly maxRaftStateBytes?: number | null;
  readonly electionTimeoutMs?: number;
  /** Default: the key-value store. */
  readonly createStateMachine?: StateMachineFactory;
}

/** Requests and bodies that left somebody, lost or not. */
export class Traffic {
  rpcs = 0;
  bytes = 0;
  /** Requests of one peer to another. */
  peerRpcs = 0;

  take({ kind, route, bytes }: Message): void {
    this.bytes += bytes;
    if (kind === 'reply') return;
    this.rpcs += 1;
    if (route === 'raft' || route.startsWith('founding/')) this.peerRpcs += 1;
  }
}

/**
 * `maxraftstate` is where the labs' servers make a snapshot. Ours compact a log of twice the tail, so the tail is half of that; and a
 * live follower that lags may hold back twice as much.
 */
function limitsFor(maxRaftStateBytes: number | null): RaftLimits {
  if (maxRaftStateBytes === null) {
    const never = Number.MAX_SAFE_INTEGER / 4;
    return { ...DEFAULT_LIMITS, tailBytes: never, tailEntries: never };
  }
  return { ...DEFAULT_LIMITS, tailBytes: maxRaftStateBytes / 2, retainedBytes: 2 * maxRaftStateBytes };
}

export class Cluster {
  readonly world: World;
  readonly invariants: Invariants;
  readonly traffic = new Traffic();
  readonly slots: readonly number[];
  unreliable: boolean;
  /** Crashes that took unflushed writes with them. */
  turnsLost = 0;
  readonly #maxRaftStateBytes: number | null;
  readonly #trace: ((line: string) => void) | null;
  readonly #watch: (world: World) => void;

  readonly seed: number;

  constructor({ seed, trace, watch = () => {} }: LabOptions, options: ClusterOptions) {
    this.seed = seed;
    const { servers, unreliable = false, maxRaftStateBytes = null, electionTimeoutMs = 500 } = options;
    const { createStateMachine = createKeyValueStore } = options;
    const settings = { heartbeatMs: HEARTBEAT_MS, electionTimeoutMs, limits: limitsFor(maxRaftStateBytes) };
    // Superseded versions stay readable for two minutes of log time unless they are too much: here, at once.
    const stateMachineSettings = maxRaftStateBytes === null ? {} : { HISTORY_LIMIT_BYTES: '1' };
    this.#trace = trace ?? null;
    this.#watch = watch;
    this.world = new World({ seed, createStateMachine, settings, stateMachineSettings, trace: trace !== undefined });
    Object.assign(this.world.weather, { minFlushMs: FLUSH_MS.min, maxFlushMs: FLUSH_MS.max });
    this.world.onMessage = (message) => this.#onMessage(message);
    this.invariants = new Invariants(this.world);
    this.slots = Array.from({ length: servers }, (_, i) => i + 1);
    this.unreliable = unreliable;
    this.#maxRaftStateBytes = maxRaftStateBytes;
    // Every object is known, and may be cut off, before the first request founds the group.
    for (const slot of this.slots) this.object(slot);
  }

  get random(): Random {
    return this.world.random;
  }

  get nowMs(): number {
    return this.world.scheduler.nowMs;
  }

  sleep(delayMs: number): Promise<void> {
    return this.world.scheduler.sleep(delayMs);
  }

  object(slot: number): SimObject {
    return this.world.object(objectName(GROUP, { slot, incarnation: 1 }));
  }

  raft(slot: number) {
    return this.object(slot).instance?.peer.raft ?? null;
  }

  /** The leader of the highest term; null: nobody leads. */
  leader(): number | null {
    let leader: number | null = null;
    for (const slot of this.slots) {
      const raft = this.raft(slot);
      if (raft?.role !== 'leader') continue;
      if (leader === null || raft.currentTerm > this.raft(leader)!.currentTerm) leader = slot;
    }
    return leader;
  }

  /** What a router does for the first request; for tests that bring no router of their own. */
  async found(): Promise<void> {
    const founder = new LabRouter(this, 'founder');
    const created = await founder.client.create(GROUP);
    if (!created.ok) throw new LabFailure('the group could not be founded');
  }

  // ---- time

  /** Time passes until the script has ended. The invariants hold after every event. */
  async run(script: () => Promise<void>): Promise<void> {
    let ended: { readonly error: unknown } | null = null;
    const { scheduler } = this.world;
    // A tick comes after all microtasks only where a microtask asks for it (see Scheduler): so from the very first event on.
    await Promise.resolve();
    try {
      script().then(
        () => (ended = { error: null }),
        (error: unknown) => (ended = { error }),
      );
      await new Promise<void>((resolve) => process.nextTick(resolve));
      while (ended === null) {
        if (!(await scheduler.step())) throw new LabFailure('nothing is left to happen, and the test has not ended');
        if (this.#trace !== null) for (const line of this.world.lines.splice(0)) this.#trace(line);
        this.#watch(this.world);
        this.invariants.check();
        if (this.world.failure !== null) throw this.world.failure;
        if (scheduler.nowMs > TEST_LIMIT_MS) throw new LabFailure(`the test takes more than ${TEST_LIMIT_MS} ms`);
      }
    } finally {
      this.world.close();
    }
    const { error } = ended as { readonly error: unknown };
    if (error !== null) throw error;
  }

  /** Work that is awaited later. If it fails, so does the test, at once. */
  beside<T>(work: Promise<T>): Promise<T> {
    work.catch((error: unknown) => {
      this.world.failure ??= error instanceof Error ? error : new LabFailure(String(error));
    });
    return work;
  }

  /** Fails unless `done` within the time. */
  async eventually(limitMs: number, what: string, done: () => boolean): Promise<void> {
    const endMs = this.nowMs + limitMs;
    while (!done()) {
      if (this.nowMs >= endMs) throw new LabFailure(`not within ${limitMs} ms: ${what}`);
      await this.sleep(20);
    }
  }

  // ---- network

  #onMessage(message: Message): number {
    this.traffic.take(message);
    const betweenPeers = this.world.objects.has(message.from) && this.world.objects.has(message.to);
    // A clerk's messages are lost in its router, which knows whom to tell.
    if (betweenPeers && this.loses()) return Number.POSITIVE_INFINITY;
    return message.kind === 'request' ? this.requestDelayMs() : this.#delayMs();
  }

  #delayMs(): number {
    return this.random.between(DELAY_MS.min, DELAY_MS.max);
  }

  requestDelayMs(): number {
    return this.#delayMs() + (this.unreliable ? this.random.between(0, UNRELIABLE_DELAY_MS) : 0);
  }

  /** Whether the network loses the message at hand. */
  loses(): boolean {
    return this.unreliable && this.random.chance(UNRELIABLE_DROP_RATE);
  }

  /** Servers of different parts do not reach each other; one that is in no part reaches nobody. Clerks' routes stay as they are. */
  partition(...parts: readonly (readonly number[])[]): void {
    const together = (a: number, b: number): boolean => parts.some((part) => part.includes(a) && part.includes(b));
    for (const a of this.slots) {
      for (const b of this.slots) {
        const link = `${this.object(a).name}>${this.object(b).name}`;
        if (a === b || together(a, b)) this.world.cut.delete(link);
        else this.world.cut.add(link);
      }
    }
  }

  /** Nothing passes from `from` to `to`; the other way it does. */
  cutOneWay(from: number, to: number): void {
    this.world.cut.add(`${this.object(from).name}>${this.object(to).name}`);
  }

  connectAll(): void {
    this.partition(this.slots);
  }

  /** The clerk behind `router` reaches these servers only. */
  route(router: string, slots: readonly number[]): void {
    for (const slot of this.slots) {
      for (const link of [`${router}>${this.object(slot).name}`, `${this.object(slot).name}>${router}`]) {
        if (slots.includes(slot)) this.world.cut.delete(link);
        else this.world.cut.add(link);
      }
    }
  }

  /** As the labs' `MakePartition`: a majority, and a minority with the leader in it (if there is one). */
  splitWithLeaderInMinority(): { majority: number[]; minority: number[] } {
    const leader = this.leader() ?? this.slots[0]!;
    const others = this.random.shuffle(this.slots.filter((slot) => slot !== leader));
    const majoritySize = Math.floor(this.slots.length / 2) + 1;
    return { majority: others.slice(0, majoritySize), minority: [leader, ...others.slice(majoritySize)] };
  }

  // ---- servers

  /** Memory and unflushed writes of these servers are lost, and they stay away for so long. */
  crash(slots: readonly number[], downMs: number): void {
    for (const slot of slots) {
      const object = this.object(slot);
      if (object.instance !== null && object.disk.unflushed) this.turnsLost += 1;
      object.downUntilMs = this.nowMs + downMs;
      this.world.crash(object);
    }
  }

  /** Whatever is still away is back. */
  restart(): void {
    // Alarms still wait for the end that was foreseen: a client's request wakes a server, as after an outage.
    for (const slot of this.slots) this.object(slot).downUntilMs = this.nowMs;
  }

  /** All servers end at once, and are back after the labs' second, connected. */
  async restartAll(): Promise<void> {
    this.crash(this.slots, SETTLE_MS);
    await this.sleep(SETTLE_MS);
    this.connectAll();
  }

  // ---- what is measured

  /** `LogSize()`: the most that any server keeps of the log, with its state row and its configuration. */
  logBytes(): number {
    return Math.max(...this.slots.map((slot) => this.#logBytesOf(this.object(slot))));
  }

  #logBytesOf({ disk }: SimObject): number {
    const INTEGER_BYTES = 8;
    const [[rows, bytes] = []] = disk.inspect('SELECT count(*), coalesce(sum(length(data)), 0) FROM log');
    const [[configuration] = []] = disk.inspect('SELECT coalesce(length(configuration), 0) FROM peer_identity');
    const indexAndTerm = 2 * INTEGER_BYTES * (rows as number);
    const stateRow = 5 * INTEGER_BYTES;
    return (bytes as number) + indexAndTerm + stateRow + (configuration as number);
  }

  /** Sessions that a server keeps, and their bytes: names and kept replies. */
  sessions(slot: number): { readonly rows: number; readonly bytes: number } {
    const { disk } = this.object(slot);
    const sum = 'coalesce(sum(length(id) + length(hash) + coalesce(length(replies), 0)), 0)';
    const [[rows, bytes] = []] = disk.inspect(`SELECT count(*), ${sum} FROM kv_sessions`);
    return { rows: rows as number, bytes: bytes as number };
  }

  /** What a peer would send of its state: header and pages, encoded. Leaves no cut behind; for the end of a test. */
  snapshotBytes(slot: number): number {
    const { peer } = this.object(slot).instance!;
    if (peer.raft!.cut !== null) throw new Error('a cut is being sent');
    let bytes = encode(peer.stateMachine.beginSnapshot()).byteLength;
    let after: Uint8Array | null = null;
    do {
      const { page, next } = peer.stateMachine.snapshotPage(after, 1_000_000);
      bytes += page.byteLength;
      after = next;
    } while (after !== null);
    peer.stateMachine.endSnapshot();
    return bytes;
  }

  /** The bounds of `maxraftstate`: a log of at most eight times that; and without compaction no snapshot, ever. */
  checkRaftState(): void {
    const max = this.#maxRaftStateBytes;
    if (max !== null) {
      const logBytes = this.logBytes();
      if (logBytes > 8 * max) throw new LabFailure(`a log of ${logBytes} B with maxraftstate ${max}`);
      return;
    }
    if (this.invariants.snapshots > 0) throw new LabFailure('a snapshot was installed, with compaction off');
    for (const slot of this.slots) {
      if (this.#compacted(slot)) throw new LabFailure(`server ${slot} compacted its log, with compaction off`);
    }
  }

  /** For the end of a test with `maxraftstate`: with less than eight times that in all, a bound on the log shows nothing. */
  checkCompaction(): void {
    const compacted = this.slots.filter((slot) => this.#compacted(slot)).length;
    if (this.#maxRaftStateBytes !== null && 2 * compacted <= this.slots.length)
      throw new LabFailure(`${compacted} of ${this.slots.length} servers ever compacted their logs`);
  }

  #compacted(slot: number): boolean {
    const [[lastIncludedIndex] = []] = this.object(slot).disk.inspect('SELECT last_included_index FROM peer_state');
    return lastIncludedIndex !== 0;
  }

  /**
   * Not in the labs: what an operation may cost while everything goes wrong. A heartbeat for each follower every 100 ms, and for each
   * operation each follower once and a few requests of its clerk; and half of all that again for what is lost and repeated.
   */
  checkTraffic(operations: number): Record<string, number> {
    const { rpcs, bytes } = this.traffic;
    const followers = this.slots.length - 1;
    const heartbeats = (followers * this.nowMs) / HEARTBEAT_MS;
    const allowed = TRAFFIC_SLACK * (heartbeats + operations * (followers + CLERK_RPCS));
    if (rpcs > allowed) throw new LabFailure(`${rpcs} RPCs for ${operations} operations: at most ${allowed}`);
    if (bytes > rpcs * MAX_BYTES_PER_RPC) throw new LabFailure(`${bytes} B in ${rpcs} RPCs`);
    return { rpcsPerOperation: rpcs / operations, bytesPerOperation: bytes / operations, trafficShare: rpcs / allowed };
  }

  report(operations: number, figures: Record<string, number> = {}): LabReport {
    const { rpcs, bytes } = this.traffic;
    return { rpcs, rpcBytes: bytes, simulatedMs: this.nowMs, operations, figures };
  }
}
