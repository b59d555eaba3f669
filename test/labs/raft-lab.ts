/**
 * The labs' harness for Raft: a founded group on a simulated network, and the calls that the course's tests are written in
 * (`one`, `wait`, `checkOneLeader`, …) with their times. A test is plain synchronous code: `sleep` runs the group. What runs
 * beside it is a generator that yields how long it sleeps.
 *
 * Servers are numbered from 0, as in the labs; Raft's ids are one more. Commands are numbered from 1, as in the labs: see raft-disk.ts.
 */
import type { Reply, Request } from '../../src/raft/messages.ts';
import { DEFAULT_LIMITS, type Effects, type Input, type RaftLimits } from '../../src/raft/types.ts';
import { parseSettings } from '../../src/router/settings.ts';
import { Random } from '../simulation/random.ts';
import { LabFailure, type LabOptions, type LabReport } from './lab.ts';
import { RaftDisk } from './raft-disk.ts';
import { EventQueue } from './raft-events.ts';
import { RaftNetwork } from './raft-network.ts';
import { RaftSafety } from './raft-safety.ts';
import { RaftServer, type ServerWorld } from './raft-server.ts';
import { traceLine } from './raft-trace.ts';

/** What the product ships with: eight heartbeats a second; the course allows ten. */
const SHIPPED = parseSettings({ PEERS: 'weur' });
/** The labs' RaftElectionTimeout: what their tests sleep in units of. */
export const LAB_ELECTION_TIMEOUT_MS = 1000;
const TEST_LIMIT_MS = 120_000;
/** `one`: in all, for one leader, between looks at the logs, and between searches for a leader. */
const AGREEMENT_LIMIT_MS = 10_000;
const AGREEMENT_TRY_MS = 2000;
const AGREEMENT_POLL_MS = 20;
const LEADER_SEARCH_MS = 50;

export type Steps<T> = Generator<number, T>;

export interface Task<T> {
  readonly result: T | null;
  readonly done: boolean;
}

export interface LabSetup extends LabOptions {
  readonly servers: number;
  readonly unreliable?: boolean;
  readonly limits?: Partial<RaftLimits>;
  readonly heartbeatMs?: number;
  readonly electionTimeoutMs?: number;
}

export class RaftLab implements ServerWorld {
  readonly events = new EventQueue();
  readonly random: Random;
  readonly servers: RaftServer[] = [];
  readonly network: RaftNetwork;
  readonly safety: RaftSafety;
  /** Figures of the report. */
  readonly figures: Record<string, number> = {};
  readonly #trace: LabOptions['trace'];
  #firstTried = 0;

  constructor({ seed, servers, unreliable, limits, trace, ...times }: LabSetup) {
    const { heartbeatMs, electionTimeoutMs } = { ...SHIPPED, ...times };
    this.random = new Random(seed);
    this.#trace = trace;
    const byId = new Map<number, RaftServer>();
    // As in src/peer: a lost message must be noticed, and repeated, before it deposes a leader.
    this.network = new RaftNetwork(this.events, this.random, byId, electionTimeoutMs / 2);
    this.network.reliable = unreliable !== true;
    this.safety = new RaftSafety(byId);
    for (let id = 1; id <= servers; id += 1) {
      const all = { ...DEFAULT_LIMITS, ...limits };
      const options = { id, heartbeatMs, electionTimeoutMs, applyVersion: 1, limits: all };
      const server = new RaftServer(this, options, RaftDisk.founded(servers));
      this.servers.push(server);
      byId.set(id, server);
    }
  }

  // ---- for the servers

  send(from: RaftServer, request: Request): void {
    this.network.call(from, request);
  }

  stepped(server: RaftServer, input: Input, effects: Effects): void {
    this.#trace?.(traceLine(this.events.nowMs, server, input));
    this.safety.stepped(server, effects);
  }

  applied(server: RaftServer, fromNumber: number): void {
    this.safety.applied(server, fromNumber);
  }

  promised(server: RaftServer, message: Request | Reply): void {
    this.safety.promised(server, message);
  }

  // ---- time

  sleep(durationMs: number): void {
    this.events.runFor(durationMs);
    if (this.events.nowMs > TEST_LIMIT_MS) throw new LabFailure(`the test takes more than ${TEST_LIMIT_MS} ms`);
  }

  /** Runs beside the test from now on. */
  spawn<T>(steps: Steps<T>): Task<T> {
    const task: { result: T | null; done: boolean } = { result: null, done: false };
    const resume = (): void => {
      const next = steps.next();
      if (next.done === true) Object.assign(task, { result: next.value, done: true });
      else this.events.after(next.value, resume);
    };
    this.events.after(0, resume);
    return task;
  }

  join<T>(tasks: readonly Task<T>[]): T[] {
    while (!tasks.every(({ done }) => done)) this.sleep(1);
    return tasks.map(({ result }) => result as T);
  }

  drive<T>(steps: Steps<T>): T {
    while (true) {
      const next = steps.next();
      if (next.done === true) return next.value;
      this.sleep(next.value);
    }
  }

  // ---- faults

  server(place: number): RaftServer {
    const server = this.servers[place % this.servers.length];
    if (server === undefined) throw new RangeError(`no server ${place}`);
    return server;
  }

  connect(...places: number[]): void {
    for (const place of places) this.#setConnected(place, true);
  }

  disconnect(...places: number[]): void {
    for (const place of places) this.#setConnected(place, false);
  }

  #setConnected(place: number, connected: boolean): void {
    const server = this.server(place);
    server.connected = connected;
    this.note(server, connected ? 'connected' : 'disconnected');
  }

  /** Gone, and what it had not flushed with it; and disconnected, as in the labs. */
  crash(...places: number[]): void {
    for (const place of places) {
      const server = this.server(place);
      server.connected = false;
      if (server.up) server.crash();
      this.note(server, 'crashed');
    }
  }

  /** Again, or anew: started from its disk, and connected. */
  restart(...places: number[]): void {
    for (const place of places) {
      this.crash(place);
      this.start(place);
    }
  }

  start(...places: number[]): void {
    for (const place of places) {
      const server = this.server(place);
      server.start();
      this.connect(place);
    }
  }

  /** Messages from one to the other are lost; the way back stays open. */
  cutOneWay(from: number, to: number): void {
    this.network.cutOneWay(this.server(from).id, this.server(to).id);
    this.note(this.server(from), `cannot reach S${this.server(to).id}`);
  }

  jumpClock(place: number, byMs: number): void {
    this.server(place).jumpClock(byMs);
    this.note(this.server(place), `clock jumps by ${byMs} ms`);
  }

  note(server: RaftServer, what: string): void {
    this.#trace?.(traceLine(this.events.nowMs, server, what));
  }

  // ---- what the labs ask

  get places(): number[] {
    return this.servers.map((_, place) => place);
  }

  /** A connected leader, within 5.5 s; of the newest term, if an older one has not noticed. */
  checkOneLeader(): number {
    for (let poll = 0; poll < 10; poll += 1) {
      this.sleep(450 + this.random.int(0, 99));
      const leader = this.#newestLeader();
      if (leader !== null) return leader;
    }
    throw new LabFailure('no leader');
  }

  #newestLeader(): number | null {
    const byTerm = new Map<number, number>();
    for (const [place, server] of this.servers.entries()) {
      if (!server.connected || !server.leads) continue;
      const { currentTerm } = server.raft;
      if (byTerm.has(currentTerm)) throw new LabFailure(`two leaders in term ${currentTerm}`);
      byTerm.set(currentTerm, place);
    }
    return byTerm.size === 0 ? null : byTerm.get(Math.max(...byTerm.keys()))!;
  }

  checkNoLeader(): void {
    for (const { connected, leads, id } of this.servers)
      if (connected && leads) throw new LabFailure(`server ${id} leads without a majority`);
  }

  /** The term that all connected servers are in. */
  checkTerms(): number {
    const terms = new Set(this.servers.filter(({ connected }) => connected).map(({ raft }) => raft.currentTerm));
    const [term] = terms;
    if (terms.size !== 1 || term === undefined) throw new LabFailure(`terms ${[...terms].join(', ')}`);
    return term;
  }

  /** On how many servers the command of this number is applied, and what it is (the same everywhere: raft-safety.ts). */
  committed(number: number): { readonly count: number; readonly value: string | null } {
    let count = 0;
    for (const { disk } of this.servers) if (disk.values.length >= number) count += 1;
    return { count, value: count > 0 ? (this.safety.values[number] ?? null) : null };
  }

  checkNotCommitted(number: number): void {
    const { count } = this.committed(number);
    if (count > 0) throw new LabFailure(`command ${number} is committed on ${count} servers, without a majority`);
  }

  /** Start() at one server. */
  propose(place: number, value: string): { readonly number: number; readonly term: number } | null {
    const server = this.server(place);
    return server.up ? server.propose(value) : null;
  }

  /** Start() at all of them; the last one that took it. */
  proposeEverywhere(value: string): { readonly place: number; readonly number: number } | null {
    let taken: { place: number; number: number } | null = null;
    for (const place of this.places) {
      const proposal = this.propose(place, value);
      if (proposal !== null) taken = { place, number: proposal.number };
    }
    return taken;
  }

  /** Agreement on one command, by `expected` servers; its number. */
  one(value: string, expected: number, retry: boolean): number {
    return this.drive(this.agreement(value, expected, retry));
  }

  *agreement(value: string, expected: number, retry: boolean): Steps<number> {
    const startMs = this.events.nowMs;
    while (this.events.nowMs - startMs < AGREEMENT_LIMIT_MS) {
      const number = this.#proposeAnywhere(value);
      if (number === null) {
        yield LEADER_SEARCH_MS;
        continue;
      }
      const tryMs = this.events.nowMs;
      while (this.events.nowMs - tryMs < AGREEMENT_TRY_MS) {
        const committed = this.committed(number);
        if (committed.count >= expected && committed.value === value) return number;
        yield AGREEMENT_POLL_MS;
      }
      if (!retry) throw new LabFailure(`command ${value} is not committed within ${AGREEMENT_TRY_MS} ms`);
    }
    throw new LabFailure(`command ${value} reaches no agreement of ${expected} within ${AGREEMENT_LIMIT_MS} ms`);
  }

  #proposeAnywhere(value: string): number | null {
    for (let tried = 0; tried < this.servers.length; tried += 1) {
      this.#firstTried = (this.#firstTried + 1) % this.servers.length;
      if (!this.server(this.#firstTried).connected) continue;
      const proposal = this.propose(this.#firstTried, value);
      if (proposal !== null) return proposal.number;
    }
    return null;
  }

  /** Until `expected` servers have applied it: what; null if somebody has moved past `term` meanwhile. */
  *wait(number: number, expected: number, term: number | null = null): Steps<string | null> {
    let pauseMs = 10;
    for (let poll = 0; poll < 30 && this.committed(number).count < expected; poll += 1) {
      yield pauseMs;
      if (pauseMs < 1000) pauseMs *= 2;
      if (term !== null && this.servers.some(({ raft }) => raft.currentTerm > term)) return null;
    }
    const { count, value } = this.committed(number);
    if (count < expected) throw new LabFailure(`command ${number} is committed on ${count} servers, not ${expected}`);
    return value;
  }

  /** A command that no other is equal to, of as many characters as a random number of 63 bits. */
  randomCommand(): string {
    return String(1e9 + this.random.int(0, 1e9)) + String(this.random.int(0, 999_999_999)).padStart(9, '0');
  }

  /** Persisted Raft state without the state machine, of the server that has most. */
  get logBytes(): number {
    return Math.max(...this.servers.map(({ durable }) => durable.logBytes));
  }

  get snapshotsInstalled(): number {
    return this.servers.reduce((sum, { snapshotsInstalled }) => sum + snapshotsInstalled, 0);
  }

  // ---- the end

  report(): LabReport {
    if (this.events.nowMs > TEST_LIMIT_MS) throw new LabFailure(`the test takes more than ${TEST_LIMIT_MS} ms`);
    return {
      rpcs: this.network.requests,
      rpcBytes: this.network.bytes,
      simulatedMs: this.events.nowMs,
      operations: this.safety.values.length - 1,
      figures: { ...this.figures },
    };
  }
}

/** A lab on one Raft group: `run` throws, or the test has passed. */
export function raftTest(
  name: string,
  setup: Omit<LabSetup, keyof LabOptions>,
  bound: string,
  run: (lab: RaftLab) => void,
) {
  return {
    name,
    servers: setup.servers,
    bound,
    run: async (options: LabOptions): Promise<LabReport> => {
      const lab = new RaftLab({ ...setup, ...options });
      run(lab);
      return lab.report();
    },
  };
}
