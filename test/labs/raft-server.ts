/**
 * One server of the Raft labs: it drives one core as src/peer does, with one command for each entry, as the labs' Start() wants
 * it. One input is one turn; what a turn sends leaves when its writes are on disk, and a crash takes unflushed turns with it.
 */
import { MonotonicClock } from '../../src/peer/platform.ts';
import type { InstallSnapshot, Reply, Request, SnapshotChunk } from '../../src/raft/messages.ts';
import { Raft } from '../../src/raft/raft.ts';
import type { Effects, Input, PeerId, RaftOptions } from '../../src/raft/types.ts';
import { decodeText, encodeText } from '../raft/entries.ts';
import type { Random } from '../simulation/random.ts';
import { LabFailure } from './lab.ts';
import type { RaftDisk, Staging, Write } from './raft-disk.ts';
import type { EventQueue, TimedEvent } from './raft-events.ts';

/** As many calls as one event of a peer may lead to (src/peer/calls.ts). */
const CALL_BUDGET = 24;
/** A flush of a Durable Object: replicated within a data centre. */
const MIN_FLUSH_MS = 1;
const MAX_FLUSH_MS = 5;
/** Commands of the state machine in one chunk of a snapshot: few, so that transfers have several. */
const CHUNK_VALUES = 64;

/** Whom a server talks to. */
export interface ServerWorld {
  readonly events: EventQueue;
  readonly random: Random;
  send(from: RaftServer, request: Request): void;
  /** A step of the core: written to memory, nothing applied or sent yet. */
  stepped(server: RaftServer, input: Input, effects: Effects): void;
  /** Commands from this number on were applied, or came with a snapshot (then from 1 on). */
  applied(server: RaftServer, fromNumber: number): void;
  /** Left the gate: a promise that no crash may break. */
  promised(server: RaftServer, message: Request | Reply): void;
}

interface Turn {
  readonly writes: Write[];
  readonly outbox: (() => void)[];
  /** What this server wrote for itself, and must hear of when it is durable. */
  own: { readonly term: number; readonly index: number } | null;
}

export class RaftServer {
  readonly id: PeerId;
  readonly options: RaftOptions;
  /** As the turns so far have written it, and as a crash would leave it. */
  disk: RaftDisk;
  readonly durable: RaftDisk;
  raft: Raft;
  up = true;
  connected = true;
  /** Counts up with every crash: events of an older instance find nobody. */
  instance = 1;
  snapshotsInstalled = 0;
  /** Turns whose writes a crash took before they were flushed. */
  turnsLost = 0;
  readonly #world: ServerWorld;
  #clockOffsetMs = 0;
  #clock: MonotonicClock;
  #deadlineMs: number | null = null;
  #alarm: TimedEvent | null = null;
  #turn: Turn | null = null;
  #unflushed: Turn[] = [];
  #lastFlushMs = 0;
  #mayCall = true;
  #nowMs = 0;
  #proposal: Effects['proposal'] = null;
  #reply: Reply | null = null;
  #cuts = 0;
  #cut: readonly string[] | null = null;

  constructor(world: ServerWorld, options: RaftOptions, disk: RaftDisk) {
    this.#world = world;
    this.id = options.id;
    this.options = options;
    this.durable = disk;
    this.disk = disk.copy();
    this.#clock = this.#newClock();
    this.raft = this.#restore();
    this.#setAlarm();
  }

  #newClock(): MonotonicClock {
    return new MonotonicClock(() => Math.floor(this.#world.events.nowMs) + this.#clockOffsetMs);
  }

  #restore(): Raft {
    const context = { nowMs: this.#clock.now(), random: this.#world.random.float() };
    const raft = new Raft(this.options, this.disk.restored(), context);
    this.#deadlineMs = raft.mayStand ? raft.electionDeadlineMs : null;
    return raft;
  }

  get leads(): boolean {
    return this.up && this.raft.role === 'leader';
  }

  // ---- what tests do

  /** The instance ends; lost: its memory, what is not flushed, and what waits for it. */
  crash(): void {
    this.up = false;
    this.instance += 1;
    this.turnsLost += this.#unflushed.length;
    this.#unflushed = [];
    this.#cut = null;
    if (this.#alarm !== null) this.#alarm.run = null;
    this.#alarm = null;
    this.disk = this.durable.copy();
  }

  start(): void {
    if (this.up) throw new LabFailure(`server ${this.id} is up`);
    this.up = true;
    this.#lastFlushMs = 0;
    this.#clock = this.#newClock();
    this.raft = this.#restore();
    this.input({ type: 'tick' });
  }

  /** The wall clock jumps; an alarm that is set keeps its wall time. */
  jumpClock(byMs: number): void {
    this.#clockOffsetMs += byMs;
    if (this.#alarm !== null) this.#placeAlarm(this.#alarm.atMs - byMs);
  }

  /** The labs' Start(): the command's number and term at once, if this server leads; nothing is promised. */
  propose(value: string): { readonly number: number; readonly term: number } | null {
    this.#proposal = null;
    this.input({ type: 'propose', data: encodeText(value) });
    const proposal = this.#proposal as Effects['proposal'];
    if (proposal?.outcome !== 'appended') return null;
    return { number: this.disk.commandsUpTo(proposal.index), term: proposal.term };
  }

  input(input: Input): void {
    this.#run(() => this.#step(input));
  }

  /** A request of another server. A handler calls nobody; the answer leaves through the gate. */
  receive(message: Request, answer: (reply: Reply) => void): void {
    this.#run((turn) => {
      this.#mayCall = false;
      this.#reply = null;
      this.#step({ type: 'request', message });
      const reply = this.#reply as Reply | null;
      if (reply === null) return;
      turn.outbox.push(() => {
        this.#world.promised(this, reply);
        answer(reply);
      });
    });
  }

  // ---- turns

  #run(work: (turn: Turn) => void): void {
    const turn: Turn = { writes: [], outbox: [], own: null };
    this.#turn = turn;
    this.#mayCall = true;
    this.#nowMs = this.#clock.now();
    work(turn);
    this.#turn = null;
    this.#setAlarm();
    const last = this.#unflushed.at(-1);
    if (turn.writes.length > 0) this.#flushLater(turn);
    else if (last !== undefined) last.outbox.push(...turn.outbox);
    else for (const send of turn.outbox) send();
  }

  #flushLater(turn: Turn): void {
    const { events, random } = this.#world;
    const { instance } = this;
    this.#unflushed.push(turn);
    this.#lastFlushMs = Math.max(this.#lastFlushMs, events.nowMs + random.between(MIN_FLUSH_MS, MAX_FLUSH_MS));
    events.at(this.#lastFlushMs, () => {
      if (this.instance === instance) this.#flush();
    });
  }

  #flush(): void {
    const turn = this.#unflushed.shift();
    if (turn === undefined) throw new LabFailure('a flush of nothing');
    for (const write of turn.writes) this.durable.write(write);
    for (const send of turn.outbox) send();
    if (turn.own !== null) this.input({ type: 'durable', ...turn.own });
  }

  #write(write: Write): void {
    this.#turn!.writes.push(write);
    this.disk.write(write);
  }

  #step(input: Input): void {
    const effects = this.raft.step(input, {
      nowMs: this.#nowMs,
      random: this.#world.random.float(),
      callBudget: this.#mayCall ? CALL_BUDGET : 0,
    });
    this.#writeLog(effects);
    this.#world.stepped(this, input, effects);
    this.#perform(effects);
  }

  #writeLog(effects: Effects): void {
    const { hardState, reset, truncateFrom, append, compact } = effects;
    if (hardState !== null) this.#write({ type: 'hardState', hardState });
    if (reset !== null) this.#write({ type: 'reset', start: reset });
    if (truncateFrom !== null) this.#write({ type: 'truncate', fromIndex: truncateFrom });
    if (append.length > 0) this.#write({ type: 'append', entries: append });
    if (compact !== null) this.#write({ type: 'compact', start: compact });
    const { raft } = this;
    if (raft.role === 'leader' ? append.length > 0 : raft.role === 'candidate' && hardState !== null)
      this.#turn!.own = { term: raft.currentTerm, index: raft.log.lastIndex };
  }

  #perform(effects: Effects): void {
    this.#deadlineMs = effects.deadlineMs;
    if (effects.reply !== null) this.#reply = effects.reply;
    if (effects.proposal !== null) this.#proposal = effects.proposal;
    if (effects.endCut) this.#cut = null;
    for (const request of effects.requests) this.#send(this.#prepare(request));
    if (effects.committed !== null) this.#apply(effects.committed.toIndex);
    if (effects.beginCut) {
      this.#cuts += 1;
      this.#cut = [...this.disk.values];
      this.#step({ type: 'cutBegun', cutId: `${this.id}.${this.instance}.${this.#cuts}`.padEnd(32, '-') });
    }
    if (effects.stage !== null) this.#stage(effects.stage);
  }

  #apply(toIndex: number): void {
    const from = this.disk.values.length + 1;
    this.#write({ type: 'apply', toIndex });
    this.#world.applied(this, from);
    this.#step({ type: 'applied', index: toIndex });
  }

  #send(request: Request): void {
    this.#turn!.outbox.push(() => {
      this.#world.promised(this, request);
      this.#world.send(this, request);
    });
  }

  #prepare(request: Request): Request {
    if (request.type === 'AppendEntries') {
      const { prevLogIndex, lastIndex } = request;
      return lastIndex === prevLogIndex
        ? request
        : { ...request, entries: this.disk.range(prevLogIndex + 1, lastIndex) };
    }
    return request.type === 'InstallSnapshot' ? { ...request, page: this.#page(request.cursor) } : request;
  }

  // ---- snapshots

  #page(cursor: Uint8Array | null): SnapshotChunk {
    if (this.#cut === null) throw new LabFailure('a chunk of a cut that is not open');
    const from = cursor === null ? 0 : Number(decodeText(cursor));
    const to = from + CHUNK_VALUES;
    return {
      applyVersion: 1,
      data: encodeText(JSON.stringify(this.#cut.slice(from, to))),
      next: to < this.#cut.length ? encodeText(String(to)) : null,
      header: this.#cut.length,
    };
  }

  #stage(message: InstallSnapshot): void {
    const { outcome, chunk, cursor } = this.#stageChunk(message);
    this.#step({ type: 'staged', message, outcome, chunk, cursor });
    if (outcome !== 'installed') return;
    this.snapshotsInstalled += 1;
    this.#world.applied(this, 1);
  }

  #stageChunk({ cutId, chunk, page }: InstallSnapshot) {
    const refused = { outcome: 'refused', chunk: 0, cursor: null } as const;
    const expected = (at: Staging | null) =>
      ({ outcome: 'staged', chunk: at?.chunk ?? 0, cursor: at?.cursor ?? null }) as const;
    const stored = this.disk.staging?.cutId === cutId ? this.disk.staging : null;
    const staging = stored ?? (chunk === 0 ? { cutId, chunk: 0, cursor: null, values: [] } : null);
    if (page === null) return refused;
    if (staging === null || chunk !== staging.chunk) return expected(staging);
    const values = [...staging.values, ...(JSON.parse(decodeText(page.data)) as string[])];
    if (page.next !== null) {
      const position = { cutId, chunk: chunk + 1, cursor: page.next, values };
      this.#write({ type: 'stage', staging: position });
      return expected(position);
    }
    this.#write({ type: 'stage', staging: null });
    if (values.length !== page.header) return refused;
    this.#write({ type: 'install', values });
    return { outcome: 'installed', chunk: 0, cursor: null } as const;
  }

  // ---- the alarm

  /** Lazily and in whole ms, as src/peer: one that is set and early enough stays, and looks again when it fires. */
  #setAlarm(): void {
    if (this.#deadlineMs === null) return;
    const wholeMs = Math.max(Math.ceil(this.#deadlineMs), this.#clock.now() + 1);
    const atMs = this.#clock.wall(wholeMs) - this.#clockOffsetMs;
    if (this.#alarm === null || atMs < this.#alarm.atMs) this.#placeAlarm(atMs);
  }

  #placeAlarm(atMs: number): void {
    if (this.#alarm !== null) this.#alarm.run = null;
    this.#alarm = this.#world.events.at(atMs, () => {
      this.#alarm = null;
      this.input({ type: 'tick' });
    });
  }
}
