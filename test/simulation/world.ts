/**
 * A Cloudflare of our own: objects by name, each with a disk, an alarm and at most one current instance; calls between them
 * over a network that loses, delays, doubles and reorders. The peers are the production code; only the seams are ours.
 */
import { decodeEnvelope } from '../../src/peer/message-codec.ts';
import { Peer, type PeerSettings } from '../../src/peer/peer.ts';
import type { Platform } from '../../src/peer/platform.ts';
import { handleRoute, RouteError } from '../../src/peer/routes.ts';
import type { StateMachineFactory } from '../../src/peer/state-machine.ts';
import { WriteBehind } from '../../src/peer/write-behind.ts';
import { Acts, Cuts, SlowLinks } from './acts.ts';
import { STORAGE_REFUSED } from './disk.ts';
import { Random } from './random.ts';
import { Scheduler } from './scheduler.ts';
import { EPOCH_MS, SimAlarms } from './sim-alarms.ts';
import { Instance, SimObject } from './sim-object.ts';
import { Trace } from './trace.ts';
import { CALM, type Weather } from './weather.ts';

export { CALM, Instance, SimObject, type Weather };

export interface WorldOptions {
  readonly seed: number;
  readonly createStateMachine: StateMachineFactory;
  readonly settings: PeerSettings;
  readonly stateMachineSettings?: Record<string, string>;
  /** Keep the trace, with messages decoded. Otherwise nothing is noted: most runs are read by nobody. */
  readonly trace?: boolean;
}

/** The platform's depth limit is about 16; the peers promise far less. */
const MAX_DEPTH = 6;
const MAX_CALLS_PER_EVENT = 50;
/** The storage refused, a group was deleted, or a test ordered it. */
const EXPLAINED_ENDS: ReadonlySet<string> = new Set([
  `Error: ${STORAGE_REFUSED}`,
  'deleted',
  'crash ordered by /chaos',
]);

/** A request or a reply as it leaves, one way. */
export interface Message {
  readonly from: string;
  readonly to: string;
  readonly route: string;
  readonly kind: 'request' | 'reply';
  /** Of its body; 0 for a failure in place of a reply. */
  readonly bytes: number;
}

/** A request as an object is sent it. */
export interface SentRequest {
  readonly from: string;
  readonly to: string;
  readonly route: string;
  readonly body: Uint8Array;
}

export class World {
  readonly scheduler = new Scheduler();
  readonly acts = new Acts(this.scheduler);
  /** Of whoever plans what happens to this world. Its own chance, and that of others (`stream`), is another. */
  readonly random: Random;
  readonly options: WorldOptions;
  readonly objects = new Map<string, SimObject>();
  /** Directed pairs `from>to` through which nothing passes. */
  readonly cut: Set<string> = new Cuts(this.acts);
  /** Directed pairs with a delay of their own. */
  readonly slowLinks: Map<string, readonly [minMs: number, maxMs: number]> = new SlowLinks(this.acts);
  /** What becomes of weather that somebody sets; null: nothing. */
  climate: ((weather: Weather) => Weather) | null = null;
  #weather: Weather = { ...CALM };
  /** Instances that did something in the event at hand. */
  readonly touched = new Set<Instance>();
  readonly superseded = new Set<Instance>();
  readonly trace: Trace;
  /**
   * Sees every message as it leaves, whatever becomes of it. Its answer: how long this one takes, ms; Infinity: it is lost;
   * null: as the weather has it. Cuts hold in any case.
   */
  onMessage: ((message: Message) => number | null) | null = null;
  /** An invariant looks at what a peer has stored: that is no event, and refused by nobody. */
  inspecting = false;
  /** The first thing that went wrong where nobody could throw it to. */
  failure: Error | null = null;
  /** Somebody sends what no router and no peer would: then a peer may refuse it. */
  malformedRequests = true;
  /** Called when an object has stored a chunk of a snapshot, and waits for the next. */
  onStaging: ((object: SimObject) => void) | null = null;
  /** Called for every request that an object is sent, as it leaves: for those who send some again, later. */
  onRequest: ((request: SentRequest) => void) | null = null;
  readonly alarms: SimAlarms;
  readonly #random: Random;
  #nextRequest = 1;

  constructor(options: WorldOptions) {
    this.options = options;
    this.random = new Random(options.seed);
    this.#random = this.stream('world');
    this.trace = new Trace(this, options.trace === true);
    this.alarms = new SimAlarms(this, this.#random, (object, run) => this.#event(object, 0, run));
  }

  get weather(): Weather {
    return this.#weather;
  }

  set weather(weather: Weather) {
    this.#weather = this.climate === null ? weather : this.climate(weather);
  }

  /** A source of chance of its own: what one draws does not move what others draw. */
  stream(name: string): Random {
    let hash = this.options.seed ^ 0x811c9dc5;
    for (const character of name) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
    return new Random(hash);
  }

  object(name: string): SimObject {
    let object = this.objects.get(name);
    if (object === undefined) {
      const created = new SimObject(name, this.scheduler, this.acts);
      created.disk.flushMs = () => this.#random.between(this.#weather.minFlushMs, this.#weather.maxFlushMs);
      created.disk.onStaging = () => this.onStaging?.(created);
      created.disk.onFlushed = () => {
        if (created.instance !== null) this.touched.add(created.instance);
      };
      this.objects.set(name, created);
      object = created;
    }
    return object;
  }

  /** The current instances, in a fixed order. */
  *instances(): Generator<Instance> {
    for (const object of this.objects.values()) if (object.instance !== null) yield object.instance;
    yield* this.superseded;
  }

  // ---- instances

  #start(object: SimObject): Instance {
    if (object.instance !== null) return object.instance;
    object.instances += 1;
    const instance = new Instance(object, object.instances);
    object.instance = instance;
    this.touched.add(instance);
    try {
      const platform = this.#platform(instance);
      const create = object.createStateMachine ?? this.options.createStateMachine;
      const stateMachine = create(platform.sql, this.options.stateMachineSettings ?? {});
      instance.peer = new Peer(platform, stateMachine, this.options.settings);
    } catch (error) {
      this.#kill(instance);
      throw error;
    }
    return instance;
  }

  #platform(instance: Instance): Platform {
    const { object } = instance;
    const { scheduler } = this;
    const random = this.#random;
    return {
      sql: new WriteBehind(
        object.disk.open(() => !this.inspecting && (instance.superseded || instance.dead || object.refusesStatement())),
      ),
      rows: () => ({ read: 0, written: object.disk.statementsWritten }),
      objectName: object.name,
      now: () => Math.floor(object.clockMs(scheduler.nowMs)) + EPOCH_MS,
      random: () => random.float(),
      randomId: () => random.hex(32),
      sync: () =>
        new Promise((resolve) => {
          object.disk.whenDurable(() => {
            if (!instance.gateBroken) this.#in(instance, resolve);
          });
        }),
      setTimer: (delayMs, run) => scheduler.after(delayMs, () => this.#in(instance, run)),
      setAlarm: (atMs) => {
        if (instance.superseded || instance.dead) return;
        object.disk.write();
        this.alarms.set(object, atMs);
      },
      deleteAlarm: () => {
        if (instance.superseded || instance.dead) return;
        object.disk.write();
        object.disk.alarm = null;
        object.cancelAlarm?.();
        object.cancelAlarm = null;
      },
      call: (name, _hint, route, body, timeoutMs) => this.#callFrom(instance, name, route, body, timeoutMs),
      abort: (reason) => {
        this.note(object.name, 'abort', reason);
        // The peers end their instances on any throw. Only these are no bugs.
        if (!EXPLAINED_ENDS.has(reason)) this.fail(`${instance.label}: ${reason}`);
        this.#kill(instance);
      },
      deleteAll: async () => {
        this.note(object.name, 'deleteAll');
        object.loseStorage();
      },
      log: (event) => this.note(object.name, 'log', JSON.stringify(event)),
    };
  }

  /** Something of this instance goes on, if it still has its memory. */
  #in(instance: Instance, run: () => void): void {
    if (instance.dead) return;
    this.touched.add(instance);
    run();
  }

  #kill(instance: Instance): void {
    if (instance.dead) return;
    instance.dead = true;
    this.superseded.delete(instance);
    for (const fail of instance.unanswered) fail();
    const { object } = instance;
    if (object.instance !== instance) return;
    object.instance = null;
    object.disk.crash();
    this.alarms.arm(object);
  }

  /** Memory and unflushed turns are lost. */
  crash(object: SimObject): void {
    if (object.instance === null || !this.acts.permit()) return;
    this.note(object.name, 'crash', object.disk.unflushed ? 'loses what is not flushed' : '');
    this.#kill(object.instance);
  }

  /** The object is started elsewhere at its next event; the present instance goes on for a while without noticing. */
  supersede(object: SimObject, forMs: number): void {
    const { instance } = object;
    if (instance === null || !this.acts.permit()) return;
    this.note(object.name, 'superseded');
    instance.superseded = true;
    instance.gateBroken = object.disk.unflushed;
    this.superseded.add(instance);
    object.instance = null;
    object.disk.crash();
    this.alarms.arm(object);
    this.scheduler.after(forMs, () => this.#kill(instance));
  }

  /** Its storage is lost: an operator's accident, which the platform rules out. */
  wipe(object: SimObject): void {
    if (!this.acts.permit()) return;
    this.note(object.name, 'wiped');
    if (object.instance !== null) this.#kill(object.instance);
    object.loseStorage();
  }

  // ---- events

  #event(object: SimObject, depth: number, run: (instance: Instance) => void): void {
    try {
      const instance = this.#start(object);
      instance.depth = depth;
      instance.callsThisEvent = 0;
      this.touched.add(instance);
      run(instance);
    } catch (error) {
      this.note(object.name, 'threw', String(error));
      this.#explained(object, error);
    }
  }

  /** Whatever a peer throws is a bug, unless its storage refused, or it was sent what it must refuse. */
  #explained(object: SimObject, error: unknown): void {
    // 409: meant for another group of the same name, or another peer, as late messages may be.
    if (error instanceof RouteError && (this.malformedRequests || error.status === 409)) return;
    if (String(error) !== `Error: ${STORAGE_REFUSED}`) this.fail(`${object.name} threw ${String(error)}`);
  }

  // ---- network

  #callFrom(instance: Instance, to: string, route: string, body: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const { object } = instance;
    instance.callsThisEvent += 1;
    const depth = instance.depth + 1;
    if (depth > MAX_DEPTH) this.fail(`${instance.label}: a chain of ${depth} calls`);
    if (instance.callsThisEvent > MAX_CALLS_PER_EVENT) this.fail(`${instance.label}: too many calls for one event`);
    return new Promise((resolve, reject) => {
      const settle = (run: () => void): void => this.#in(instance, run);
      const cancelTimeout = this.scheduler.after(timeoutMs, () => settle(() => reject(new Error('timeout'))));
      // The output gate, sampled at the call.
      object.disk.whenDurable(() => {
        if (instance.dead || instance.gateBroken) return;
        this.#checkAwake(instance, body);
        this.#exchange(object.name, to, route, body, depth, (answer) =>
          settle(() => {
            cancelTimeout();
            if (route === 'raft' && !(answer instanceof Error)) instance.answeredBy.add(to);
            if (answer instanceof Error) reject(answer);
            else resolve(answer);
          }),
        );
      });
    });
  }

  /** Whoever would be restored asleep now has sent nothing that it would not know of then. */
  #checkAwake({ object, label }: Instance, body: Uint8Array): void {
    const record = object.disk.durableRecord;
    if (record === null) return;
    for (const message of decodeEnvelope(body)?.messages ?? []) {
      const ofThisSleep = message.type === 'AppendEntries' && message.quiesceRound > record.round;
      if (message.term === record.term && ofThisSleep) this.fail(`${label}: sent a message while its sleep is on disk`);
    }
  }

  /**
   * A request of somebody who is no object (a router); depth 0. The network may double it, and then the object does what it says
   * twice; but the caller hears only of the copy that came first. The platform runs no call twice: one that broke is sent again
   * under its old identity, and fails if that was received
   * (https://developers.cloudflare.com/durable-objects/best-practices/automatic-retries/). "Nothing was done" needs that: it would be
   * no news of another copy. Of what peers send each other all copies are answered: Raft needs no such promise.
   */
  request(from: string, to: string, route: string, body: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#exchange(from, to, route, body, 0, (answer) =>
        answer instanceof Error ? reject(answer) : resolve(answer),
      );
    });
  }

  #exchange(
    from: string,
    to: string,
    route: string,
    body: Uint8Array,
    depth: number,
    done: (answer: Uint8Array | Error) => void,
  ): void {
    const number = this.#nextRequest;
    this.#nextRequest += 1;
    const sentMs = this.scheduler.nowMs;
    this.onRequest?.({ from, to, route, body });
    const object = this.object(to);
    let deliveries = 0;
    const reply = (answer: Uint8Array | Error, heard: boolean): void => {
      const bytes = answer instanceof Error ? 0 : answer.byteLength;
      const { lives } = object;
      const delayMs = this.onMessage?.({ from: to, to: from, route, kind: 'reply', bytes }) ?? null;
      this.#send(to, from, delayMs, () => {
        if (object.lives !== lives || !heard) return;
        if (this.tracing) this.trace.reply(from, to, number, answer);
        done(answer);
      });
    };
    const delayMs = this.onMessage?.({ from, to, route, kind: 'request', bytes: body.byteLength }) ?? null;
    this.#send(from, to, delayMs, () => {
      if (this.scheduler.nowMs < object.downUntilMs) return;
      if (route === 'client' && sentMs < object.clientsSinceMs) return;
      if (this.tracing) this.trace.request(from, to, route, number, body);
      if (depth === 0) this.alarms.remember(object);
      deliveries += 1;
      const heard = deliveries === 1 || depth > 0;
      this.#deliver(object, route, body, depth, (answer) => reply(answer, heard));
    });
  }

  #deliver(
    object: SimObject,
    route: string,
    body: Uint8Array,
    depth: number,
    reply: (answer: Uint8Array | Error) => void,
  ): void {
    this.#event(object, depth, (instance) => {
      const fail = (): void => reply(new Error('the object was reset'));
      instance.unanswered.add(fail);
      const settle = (answer: Uint8Array | Error): void => {
        if (instance.dead) return;
        // The output gate, sampled when the handler resolves.
        object.disk.whenDurable(() => {
          if (instance.gateBroken || !instance.unanswered.delete(fail) || instance.dead) return;
          reply(answer);
        });
      };
      handleRoute(instance.peer, route, body, { chaos: true }).then(settle, (error) => {
        // Of one that has ended, the reason was judged then.
        if (!instance.dead) this.#explained(object, error);
        settle(error as Error);
      });
    });
  }

  /** One message, one way. */
  #send(from: string, to: string, delayMs: number | null, arrive: () => void): void {
    const weather = this.#weather;
    const random = this.#random;
    if (this.cut.has(`${from}>${to}`) || delayMs === Number.POSITIVE_INFINITY) return;
    if (delayMs !== null) return void this.scheduler.after(delayMs, arrive);
    if (random.chance(weather.dropRate)) return;
    const slow = this.slowLinks.get(`${from}>${to}`);
    if (slow !== undefined) return void this.scheduler.after(random.between(...slow), arrive);
    const delay = (): number =>
      random.chance(weather.longDelayRate)
        ? random.between(200, 2200)
        : random.between(weather.minDelayMs, weather.maxDelayMs);
    this.scheduler.after(delay(), arrive);
    if (random.chance(weather.duplicateRate)) this.scheduler.after(delay() * 3, arrive);
  }

  fail(what: string): void {
    this.failure ??= new SimulationError(what);
  }

  // ---- trace

  /** One event, one line of the trace, with the state of the peer `who`. */
  note(who: string, event: string, detail = ''): void {
    if (this.tracing) this.trace.note(who, event, detail);
  }

  get tracing(): boolean {
    return this.trace.on;
  }

  get lines(): string[] {
    return this.trace.lines;
  }

  /** Of all lines, where the run is traced. */
  traceHash(): string {
    return this.trace.hash();
  }

  close(): void {
    for (const instance of this.instances()) instance.dead = true;
    for (const { disk, lost } of this.objects.values()) {
      disk.close();
      lost?.disk.close();
    }
  }
}

export class SimulationError extends Error {
  override readonly name = 'SimulationError';
}
