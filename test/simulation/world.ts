/**
 * A Cloudflare of our own: objects by name, each with a disk, an alarm and at most one current instance; calls between them
 * over a network that loses, delays, doubles and reorders. The peers are the production code; only the seams are ours.
 */
import { createHash } from 'node:crypto';
import { decode } from '@msgpack/msgpack';
import { Peer, type PeerSettings } from '../../src/peer/peer.ts';
import type { Platform } from '../../src/peer/platform.ts';
import { handleRoute } from '../../src/peer/routes.ts';
import type { StateMachineFactory } from '../../src/peer/state-machine.ts';
import { Disk } from './disk.ts';
import { Random } from './random.ts';
import { Scheduler } from './scheduler.ts';

export interface WorldOptions {
  readonly seed: number;
  readonly createStateMachine: StateMachineFactory;
  readonly settings: PeerSettings;
  readonly stateMachineSettings?: Record<string, string>;
  /** Keep the trace, with messages decoded. Otherwise nothing is noted: most runs are read by nobody. */
  readonly trace?: boolean;
}

/** The network's and the disks' state at the moment; the nemesis turns it. Probabilities, ms. */
export interface Weather {
  dropRate: number;
  duplicateRate: number;
  minDelayMs: number;
  maxDelayMs: number;
  /** This share of messages takes up to 2.2 s. */
  longDelayRate: number;
  minFlushMs: number;
  maxFlushMs: number;
  alarmJitterMs: number;
}

export const CALM: Weather = {
  dropRate: 0,
  duplicateRate: 0,
  minDelayMs: 0.2,
  maxDelayMs: 5,
  longDelayRate: 0,
  minFlushMs: 0.2,
  maxFlushMs: 5,
  alarmJitterMs: 2,
};

/** The platform's depth limit is about 16; the peers promise far less. */
const MAX_DEPTH = 6;
const MAX_CALLS_PER_EVENT = 50;
const ALARM_RETRY_MS = 2000;

export class Instance {
  readonly object: SimObject;
  readonly number: number;
  peer!: Peer;
  /** No memory any more: nothing of it runs. */
  dead = false;
  /** Its object was started elsewhere: it runs on, but its storage refuses and no event reaches it. */
  superseded = false;
  depth = 0;
  callsThisEvent = 0;
  /** Requests that it has not answered. */
  readonly unanswered = new Set<() => void>();

  constructor(object: SimObject, number: number) {
    this.object = object;
    this.number = number;
  }

  get label(): string {
    return `${this.object.name}#${this.number}${this.superseded ? '~' : ''}`;
  }
}

export class SimObject {
  readonly name: string;
  readonly disk: Disk;
  instance: Instance | null = null;
  instances = 0;
  /** Difference of its clock from true time, ms. */
  clockOffsetMs = 0;
  /** Storage refuses until then. */
  refusesUntilMs = 0;
  /** No request reaches it until then: its machine is gone, and the platform has not noticed. */
  downUntilMs = 0;
  alarmRetryMs = 0;
  /** The time of the alarm whose handler runs. */
  runningAlarmMs: number | null = null;
  cancelAlarm: (() => void) | null = null;

  constructor(name: string, scheduler: Scheduler) {
    this.name = name;
    this.disk = new Disk(scheduler);
  }
}

export class World {
  readonly scheduler = new Scheduler();
  readonly random: Random;
  readonly options: WorldOptions;
  readonly objects = new Map<string, SimObject>();
  weather: Weather = { ...CALM };
  /** Directed pairs `from>to` through which nothing passes. */
  readonly cut = new Set<string>();
  /** Instances that did something in the event at hand. */
  readonly touched = new Set<Instance>();
  readonly superseded = new Set<Instance>();
  readonly lines: string[] = [];
  /** The first thing that went wrong where nobody could throw it to. */
  failure: Error | null = null;
  readonly #hash = createHash('sha256');
  #nextRequest = 1;

  constructor(options: WorldOptions) {
    this.options = options;
    this.random = new Random(options.seed);
  }

  object(name: string): SimObject {
    let object = this.objects.get(name);
    if (object === undefined) {
      object = new SimObject(name, this.scheduler);
      object.disk.flushMs = () => this.random.between(this.weather.minFlushMs, this.weather.maxFlushMs);
      this.objects.set(name, object);
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
      const stateMachine = this.options.createStateMachine(platform.sql, this.options.stateMachineSettings ?? {});
      instance.peer = new Peer(platform, stateMachine, this.options.settings);
    } catch (error) {
      this.#kill(instance);
      throw error;
    }
    return instance;
  }

  #platform(instance: Instance): Platform {
    const { object } = instance;
    const { scheduler, random } = this;
    return {
      sql: object.disk.open(() => instance.superseded || instance.dead || scheduler.nowMs < object.refusesUntilMs),
      objectName: object.name,
      now: () => Math.floor(scheduler.nowMs + object.clockOffsetMs) + 1_700_000_000_000,
      random: () => random.float(),
      randomId: () => random.hex(32),
      sync: () => new Promise((resolve) => object.disk.whenDurable(() => this.#in(instance, resolve))),
      setTimer: (delayMs, run) => scheduler.after(delayMs, () => this.#in(instance, run)),
      setAlarm: (atMs) => {
        if (instance.superseded || instance.dead) return;
        object.disk.write();
        this.#setAlarm(object, atMs - 1_700_000_000_000 - object.clockOffsetMs);
      },
      call: (name, _hint, route, body, timeoutMs) => this.#callFrom(instance, name, route, body, timeoutMs),
      abort: (reason) => {
        this.note(object.name, `abort ${reason}`);
        // The peers end their instances on any throw. Only these are no bugs.
        if (!/storage: |crash ordered|deleted/.test(reason)) this.fail(`${instance.label}: ${reason}`);
        this.#kill(instance);
      },
      deleteAll: async () => {
        object.disk.wipe();
      },
      log: (event) => this.note(object.name, JSON.stringify(event)),
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
    this.#armAlarm(object);
  }

  /** Memory and unflushed turns are lost. */
  crash(object: SimObject): void {
    if (object.instance === null) return;
    this.note(object.name, 'crash');
    this.#kill(object.instance);
  }

  /** The object is started elsewhere at its next event; the present instance goes on for a while without noticing. */
  supersede(object: SimObject, forMs: number): void {
    const { instance } = object;
    if (instance === null) return;
    this.note(object.name, 'superseded');
    instance.superseded = true;
    this.superseded.add(instance);
    object.instance = null;
    object.disk.crash();
    this.#armAlarm(object);
    this.scheduler.after(forMs, () => this.#kill(instance));
  }

  /** Its storage is lost: an operator's accident, which the platform rules out. */
  wipe(object: SimObject): void {
    this.note(object.name, 'wiped');
    if (object.instance !== null) this.#kill(object.instance);
    object.disk.wipe();
  }

  // ---- alarms

  #setAlarm(object: SimObject, atMs: number): void {
    // As workerd does: whole milliseconds; and an alarm set, by the handler of an alarm, for the very time of that one is
    // taken for it, and is gone when the handler ends.
    const wholeMs = Math.trunc(atMs);
    if (wholeMs === object.runningAlarmMs) return;
    object.disk.alarmMs = wholeMs;
    this.#armAlarm(object);
  }

  #armAlarm(object: SimObject): void {
    const atMs = object.disk.alarmMs;
    if (atMs === null) return;
    const lateMs = this.random.between(0, this.weather.alarmJitterMs);
    const { scheduler } = this;
    const dueMs = Math.max(atMs, scheduler.nowMs, object.alarmRetryMs, object.downUntilMs) + lateMs;
    object.cancelAlarm?.();
    object.cancelAlarm = scheduler.at(dueMs, () => {
      object.cancelAlarm = null;
      if (scheduler.nowMs < object.downUntilMs) return this.#armAlarm(object);
      this.#fireAlarm(object);
    });
  }

  #fireAlarm(object: SimObject): void {
    let handled = false;
    object.alarmRetryMs = 0;
    this.#event(object, 0, (instance) => {
      // That the alarm is gone is on disk together with what the handler writes.
      object.disk.write();
      object.runningAlarmMs = object.disk.alarmMs;
      object.disk.alarmMs = null;
      this.note(object.name, 'alarm');
      instance.peer.onAlarm();
      handled = true;
    });
    object.runningAlarmMs = null;
    if (handled) return;
    object.alarmRetryMs = this.scheduler.nowMs + ALARM_RETRY_MS;
    this.#armAlarm(object);
  }

  #event(object: SimObject, depth: number, run: (instance: Instance) => void): void {
    try {
      const instance = this.#start(object);
      instance.depth = depth;
      instance.callsThisEvent = 0;
      this.touched.add(instance);
      run(instance);
    } catch (error) {
      this.note(object.name, `threw ${String(error)}`);
    }
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
      this.scheduler.after(timeoutMs, () => settle(() => reject(new Error('timeout'))));
      // The output gate, sampled at the call.
      object.disk.whenDurable(() => {
        if (instance.dead) return;
        this.#exchange(object.name, to, route, body, depth, (answer) =>
          settle(() => (answer instanceof Error ? reject(answer) : resolve(answer))),
        );
      });
    });
  }

  /** A request of somebody who is no object (a router); depth 0. */
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
    const reply = (answer: Uint8Array | Error): void => {
      this.#send(to, from, () => {
        if (this.tracing) this.note(from, `<- ${to} ${number} ${this.#describe(answer)}`);
        done(answer);
      });
    };
    this.#send(from, to, () => {
      const object = this.object(to);
      if (this.scheduler.nowMs < object.downUntilMs) return;
      if (this.tracing) this.note(to, `<- ${from} ${route} ${number} ${this.#describe(body)}`);
      this.#deliver(object, route, body, depth, reply);
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
          if (!instance.unanswered.delete(fail) || instance.dead) return;
          reply(answer);
        });
      };
      handleRoute(instance.peer, route, body, { chaos: true }).then(settle, (error) => settle(error as Error));
    });
  }

  /** One message, one way. */
  #send(from: string, to: string, arrive: () => void): void {
    const { weather, random } = this;
    if (this.cut.has(`${from}>${to}`) || random.chance(weather.dropRate)) return;
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

  #describe(answer: Uint8Array | Error): string {
    return answer instanceof Error ? answer.message : summary(answer);
  }

  /** One event, one line: time, who, what; then role, term, log and commit of the peer, if it has them. */
  note(who: string, what: string): void {
    if (!this.tracing) return;
    const line = `${this.scheduler.nowMs.toFixed(2).padStart(11)}  ${who.padEnd(14)} ${this.#stateOf(who).padEnd(34)} ${what}`;
    this.#hash.update(line);
    this.lines.push(line);
  }

  #stateOf(who: string): string {
    const raft = this.objects.get(who)?.instance?.peer?.raft;
    if (raft === null || raft === undefined) return '';
    const { firstIndex, lastIndex } = raft.log;
    return `${raft.role.slice(0, 9).padEnd(9)} t${raft.currentTerm} [${firstIndex}..${lastIndex}] c${raft.commitIndex} a${raft.lastApplied}`;
  }

  get tracing(): boolean {
    return this.options.trace === true;
  }

  /** Of all lines, where the run is traced. */
  traceHash(): string {
    return this.#hash.copy().digest('hex');
  }

  close(): void {
    for (const instance of this.instances()) instance.dead = true;
    for (const object of this.objects.values()) object.disk.close();
  }
}

/** What a body says, short enough for a line. */
function summary(body: Uint8Array): string {
  try {
    const text = JSON.stringify(decode(body), (_key, value: unknown) =>
      value instanceof Uint8Array ? `<${value.byteLength} B>` : value,
    );
    return text.length > 400 ? `${text.slice(0, 400)}…` : text;
  } catch {
    return `${body.byteLength} B`;
  }
}

export class SimulationError extends Error {
  override readonly name = 'SimulationError';
}
