/**
 * One peer: turns events into inputs of the core, and the core's effects into SQL, calls and answers.
 *
 *     event (client, peer's message, reply, alarm, flush done)
 *       └─▶ turn: step ─▶ write ─▶ apply ─▶ step … ─▶ propose what waits ─▶ write the state row
 *                 └─▶ then send, answer, ask for durability, require the alarm
 *
 * Two things do not wait for a flush that others are waiting for (dissertation 10.2.1): a leader's new entries are sent before it
 * writes them, since its own copy counts only once it is durable; and its answers leave before the rows of what they say are
 * written (write-behind.ts), since that is committed, and can be applied again.
 *
 * A turn is synchronous: all its writes commit together, and no state of the core is held across an await. The output gate
 * holds whatever is sent until the writes before it are on disk. A throw anywhere in a turn ends the instance: its memory and
 * its unflushed writes go together.
 */
import { invariant } from '../raft/invariant.ts';
import type { Reply as RaftReply, Request as RaftRequest } from '../raft/messages.ts';
import { Raft } from '../raft/raft.ts';
import {
  DEFAULT_LIMITS,
  type Effects,
  type Entry,
  type Input,
  type Member,
  type PeerId,
  type RaftLimits,
} from '../raft/types.ts';
import { Alarm } from './alarm.ts';
import { Applying } from './applying.ts';
import { Calls } from './calls.ts';
import { stageChunk } from './installation.ts';
import { Outbox } from './outbox.ts';
import { MonotonicClock, type Platform } from './platform.ts';
import { Proposals } from './proposals.ts';
import type { ClientReply, ClientRequest } from './protocol.ts';
import { type AnswerBatch, Queries, type WaitingQuery } from './queries.ts';
import { createQuiesceTable, loadQuiesceRecord, storeQuiesceRecord } from './quiesce-record.ts';
import { contactAgeMs } from './report.ts';
import type { StateMachine } from './state-machine.ts';
import { type Identity, PeerStorage } from './storage.ts';

export interface PeerSettings {
  readonly heartbeatMs: number;
  readonly electionTimeoutMs: number;
  /** A group that nobody uses for so long goes to sleep; 0: never. */
  readonly quiesceAfterMs?: number;
  readonly limits?: Partial<RaftLimits>;
}

/**
 * Entries under way at a time: one that is being committed and one that is being written. What comes meanwhile waits, and
 * shares the next one: many small entries would cost a flush each on every peer.
 */
const UNCOMMITTED_ENTRIES = 2;
/** What is applied waits so long for the next entry, to be on disk with one flush; what comes first takes it along. */
const LATE_WRITES_MS = 10;

export class PeerGone extends Error {
  override readonly name = 'PeerGone';
}

export class Peer {
  readonly platform: Platform;
  readonly clock: MonotonicClock;
  readonly alarm: Alarm;
  readonly calls: Calls;
  readonly group: string;
  /** Made by this instance, in memory: see founding.ts. */
  nonce: string;
  readonly stateMachine: StateMachine;
  readonly storage: PeerStorage;
  readonly counters = {
    turns: 0,
    flushes: 0,
    /** Written to the log, by whichever role. */
    appended: 0,
    /** Of these, as a leader. */
    entries: 0,
    commands: 0,
    elections: 0,
    clientCalls: 0,
    clientRequests: 0,
  };
  identity: Identity | null = null;
  raft: Raft | null = null;
  readonly #settings: PeerSettings;
  readonly proposals: Proposals;
  readonly queries: Queries;
  readonly applying: Applying;
  #dead = false;

  // Of the turn under way.
  readonly #outbox: Outbox;
  #raftReply: RaftReply | null = null;
  #deadlineMs: number | null = null;
  /** In the turn under way. */
  wrote = false;
  #mayCall = true;
  /** What this peer wrote for itself: it counts when it is on disk. */
  #own: { term: number; index: number } | null = null;
  /** One time for the whole turn: a step must not see another clock than the one before it. */
  #nowMs = 0;
  /** Commands of the proposal that is being stepped. */
  #proposing = 0;
  /** An entry of this leader is on its way to the disk. */
  #flushing = false;
  /** Nothing was written in the turn under way that must be on disk before anything is sent. */
  #mayFanOutEarly = true;
  #cancelLateWrites: (() => void) | null = null;

  constructor(platform: Platform, stateMachine: StateMachine, settings: PeerSettings) {
    this.platform = platform;
    this.stateMachine = stateMachine;
    this.#settings = settings;
    this.clock = new MonotonicClock(() => platform.now());
    this.alarm = new Alarm(platform, this.clock);
    // Half of what deposes a leader: a lost message must be noticed, and repeated, in time.
    this.calls = new Calls(platform, settings.electionTimeoutMs / 2);
    this.storage = new PeerStorage(platform.sql, stateMachine, settings.limits);
    this.proposals = new Proposals(stateMachine);
    this.queries = new Queries(stateMachine);
    this.applying = new Applying(this);
    this.#outbox = new Outbox(this);
    this.group = platform.objectName.slice(0, platform.objectName.lastIndexOf('/'));
    this.nonce = platform.randomId();
    if (this.storage.hasTables()) this.#restore();
  }

  #restore(): void {
    this.identity = this.storage.identity();
    const { heartbeatMs, electionTimeoutMs, quiesceAfterMs = 0, limits } = this.#settings;
    const options = {
      id: this.identity.id,
      heartbeatMs,
      electionTimeoutMs,
      ...(quiesceAfterMs > 0 && { quiesceAfterMs }),
      applyVersion: this.stateMachine.applyVersion,
      limits: { ...DEFAULT_LIMITS, ...limits },
    };
    const context = { nowMs: this.clock.now(), random: this.platform.random() };
    const quiesceRecord = loadQuiesceRecord(this.platform.sql, this.clock);
    this.raft = new Raft(options, { ...this.storage.restore(), quiesceRecord }, context);
    if (this.raft.asleep !== null) this.alarm.noneIsSet();
    const { lastApplied, log } = this.raft;
    for (let index = lastApplied + 1; index <= log.lastIndex; index += 1) {
      const [stored] = this.storage.entries(index, index);
      if (stored === undefined || this.understands(stored.entry)) continue;
      // It could not apply what it would be elected to commit. No step here: a constructor writes nothing.
      this.raft.stopped = true;
      return this.#logStopped('entry');
    }
  }

  understands({ payload, applyVersion }: Entry): boolean {
    if (payload.type === 'unknown' || applyVersion > this.stateMachine.applyVersion) return false;
    return payload.type !== 'command' || this.stateMachine.understands(payload.data);
  }

  // ---- events

  /** Something from outside came in: a client (depth 0), an alarm (0), a peer's message (the depth that it says). */
  beginEvent(depth: number): void {
    this.calls.beginEvent(depth);
  }

  /** The alarm that was set for the wall time `scheduledMs` fired: look at the clock, and set it again if a deadline is left. */
  onAlarm(scheduledMs: number): void {
    this.beginEvent(0);
    this.alarm.fire(scheduledMs);
    this.lookAtClock();
  }

  /** For events that bring no input: an instance that was restored may have something to do, and no alarm for it. */
  lookAtClock(): void {
    if (this.raft !== null) this.turn(() => this.step({ type: 'tick' }));
  }

  /** Answers a peer's messages. A handler never calls a peer: what it must start, the alarm does. */
  receive(messages: readonly RaftRequest[]): RaftReply[] {
    const replies: RaftReply[] = [];
    this.turn(() => {
      this.#mayCall = false;
      for (const message of messages) {
        this.#raftReply = null;
        this.step({ type: 'request', message });
        if (this.#raftReply !== null) replies.push(this.#raftReply);
      }
    });
    return replies;
  }

  /** Replies in the order of the requests; resolves when all of them have theirs. */
  async submit(requests: readonly ClientRequest[]): Promise<ClientReply[]> {
    const replies = requests.map(() => Promise.withResolvers<ClientReply>());
    const batch: AnswerBatch = { answerBytes: 0 };
    this.turn(() => {
      requests.forEach((request, i) => {
        this.#handleClient(request, batch, (reply) => replies[i]?.resolve(reply));
      });
      // A client is an event like any other: an election may be overdue.
      this.step({ type: 'tick' });
    });
    return Promise.all(replies.map(({ promise }) => promise));
  }

  #handleClient(request: ClientRequest, batch: AnswerBatch, answer: (reply: ClientReply) => void): void {
    if (this.raft === null) return answer({ type: 'not_leader' });
    if (request.type === 'submit') {
      if (!this.stateMachine.accepts(request.command)) return answer({ type: 'refused' });
      if (this.raft.role !== 'leader') return answer({ type: 'not_leader' });
      return this.proposals.enqueue(request.command, answer);
    }
    if (!this.stateMachine.acceptsQuery(request.query)) return answer({ type: 'refused' });
    const waiting = { query: request.query, batch, answer };
    if (request.consistency === 'stale') return this.#answer(waiting);
    this.step({ type: 'read', id: this.queries.wait(waiting) });
  }

  /** Stand for election as soon as the rules allow. */
  stand(): void {
    if (this.raft !== null) this.turn(() => this.step({ type: 'stand' }));
  }

  // ---- founding

  /** Makes this object part of a group. The state machine and the log are empty. */
  join(identity: Identity, foundingMembers: readonly Member[] | null): void {
    invariant(this.raft === null, 'an object joins one group, once');
    this.turn(() => {
      this.wrote = true;
      this.storage.createTables(identity, foundingMembers);
      createQuiesceTable(this.platform.sql);
      this.stateMachine.createTables();
      this.#restore();
    });
  }

  /** All members hold the groupId: term 1, the vote for itself and entry 1 are one commit. Idempotent. */
  async found(members: readonly Member[]): Promise<void> {
    if (this.raft === null || this.raft.log.lastIndex > 0) return;
    this.turn(() => this.step({ type: 'found', configuration: { voters: members } }));
    await this.platform.sync();
  }

  /** What was asked of this object so far founds nothing any more. */
  renewNonce(): void {
    this.nonce = this.platform.randomId();
  }

  /** Refuses every further event; for a deletion that is under way. */
  close(): void {
    this.#dead = true;
  }

  // ---- the turn

  /** Runs one synchronous turn. A throw ends the instance. */
  turn(run: () => void): void {
    if (this.#dead) throw new PeerGone('this instance has ended');
    this.counters.turns += 1;
    this.#outbox.clear();
    this.wrote = false;
    this.#mayCall = true;
    this.#own = null;
    this.#nowMs = this.clock.now();
    this.#proposing = 0;
    this.queries.beginTurn();
    this.applying.beginTurn();
    this.#mayFanOutEarly = true;
    this.platform.sql.beginTurn();
    const rowsBefore = this.platform.rows().written;
    try {
      run();
      // What comes next waits until the answers have left: its rows would hold them back.
      const answersFirst = this.platform.sql.puttingOff;
      if (!answersFirst) {
        this.#proposeWaiting();
        this.applying.housekeep();
      }
      this.storage.flushState();
      if (answersFirst) this.#writeLater();
      else if (this.wrote) this.#writeNow();
      this.#outbox.send();
      // What earlier turns have put off need not be on disk before anything is sent.
      if (!answersFirst) this.#writeNow();
      // All of a turn's rows are on disk with one flush. `wrote` would not do: what was put off is another turn's.
      if (this.platform.rows().written > rowsBefore) this.counters.flushes += 1;
      if (this.#own !== null) this.#awaitDurable(this.#own);
      if (this.raft !== null && this.raft.asleep !== null) this.alarm.cancel();
      else if (this.raft !== null) this.alarm.require(this.#deadlineMs, this.wrote);
    } catch (error) {
      this.#end(error);
      throw error;
    }
  }

  /** The answers at hand leave, as far as they wait for nothing else; then what they caused is written, with what comes meanwhile. */
  #writeLater(): void {
    const delayMs = this.proposals.queued > 0 ? 0 : LATE_WRITES_MS;
    this.#cancelLateWrites ??= this.platform.setTimer(delayMs, () => {
      this.#cancelLateWrites = null;
      this.#continue(() => {});
    });
  }

  #writeNow(): void {
    this.platform.sql.writeNow();
    this.#cancelLateWrites?.();
    this.#cancelLateWrites = null;
  }

  #end(error: unknown): void {
    if (this.#dead) return;
    this.#dead = true;
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    this.platform.log({ level: 'error', event: 'instance_ended', object: this.platform.objectName, reason });
    this.platform.abort(reason);
  }

  step(input: Input): void {
    const { raft } = this;
    if (raft === null) return;
    const before = { role: raft.role, term: raft.currentTerm };
    const effects = raft.step(input, {
      nowMs: this.#nowMs,
      random: this.platform.random(),
      callBudget: this.#mayCall ? Math.max(0, this.calls.budget - this.#outbox.size) : 0,
      busy: this.applying.housekeeping || this.platform.sql.pending,
    });
    if (writesAnything(effects)) {
      this.#fanOutEarly(effects);
      this.#write(effects);
    }
    if (raft.currentTerm > before.term && raft.votedFor === raft.id) this.counters.elections += 1;
    // Before leadership may be seen to be lost, in this very step perhaps: what is in the log is not "nothing was done".
    const { proposal } = effects;
    if (proposal?.outcome === 'appended') this.proposals.appended(proposal.index, proposal.term, this.#proposing);
    if (before.role === 'leader' && (raft.role !== 'leader' || raft.currentTerm !== before.term)) {
      this.#flushing = false;
      this.proposals.abandon();
    }
    this.#perform(effects);
  }

  /**
   * A leader's new entries go to the followers before it writes them itself, and so do not wait for its disk (dissertation 10.2.1):
   * its own copy counts only once it is durable. Not in a turn that ends a sleep, or changes term or vote: that must be on disk
   * before anything is sent.
   */
  #fanOutEarly(effects: Effects): void {
    const { append, hardState, quiesce, requests } = effects;
    if (hardState !== null || quiesce !== null) this.#mayFanOutEarly = false;
    if (this.raft?.role !== 'leader' || append.length === 0 || !this.#mayFanOutEarly) return;
    this.storage.remember(append);
    for (const request of requests) this.#outbox.add(request);
    this.#outbox.send();
    effects.requests = [];
  }

  #write(effects: Effects): void {
    this.#writeNow();
    this.storage.writeLog(effects);
    const { hardState, append, quiesce } = effects;
    this.wrote = true;
    this.counters.appended += append.length;
    if (quiesce !== null) {
      storeQuiesceRecord(this.platform.sql, quiesce.type === 'sleep' ? quiesce.record : null, this.clock);
    }
    const { raft } = this;
    invariant(raft !== null, 'only a member writes');
    if (raft.role === 'leader' || raft.founder) {
      if (append.length === 0) return;
      this.counters.entries += append.length;
    } else if (raft.role !== 'candidate' || hardState === null) {
      return;
    }
    this.#own = { term: raft.currentTerm, index: raft.log.lastIndex };
  }

  #perform(effects: Effects): void {
    this.#deadlineMs = effects.deadlineMs;
    if (effects.reply !== null) this.#raftReply = effects.reply;
    if (effects.endCut) {
      this.stateMachine.endSnapshot();
      this.#outbox.cutHeader = null;
    }
    for (const request of effects.requests) this.#outbox.add(request);
    for (const { id, outcome } of effects.reads) this.#finishRead(id, outcome);
    if (effects.committed !== null) this.applying.applyCommitted();
    if (effects.beginCut) {
      this.#outbox.cutHeader = this.stateMachine.beginSnapshot();
      this.step({ type: 'cutBegun', cutId: this.platform.randomId() });
    }
    if (effects.stage !== null) this.#stage(effects.stage);
  }

  #stage(message: NonNullable<Effects['stage']>): void {
    this.wrote = true;
    if ((message.page?.applyVersion ?? 0) > this.stateMachine.applyVersion) {
      this.stop('snapshot');
      this.step({ type: 'staged', message, outcome: 'refused', chunk: 0, cursor: null });
    } else {
      this.step(stageChunk(message, this.storage, this.stateMachine));
    }
  }

  /** What is not understood is never applied: this peer waits, voting and appending, for a newer version of its code. */
  stop(what: string): void {
    this.#logStopped(what);
    this.step({ type: 'stop' });
  }

  #logStopped(what: string): void {
    this.platform.log({ level: 'error', event: 'peer_stopped', object: this.platform.objectName, what });
  }

  // ---- proposals and reads

  #proposeWaiting(): void {
    while (this.raft?.role === 'leader' && !this.#flushing && this.#uncommitted < UNCOMMITTED_ENTRIES) {
      const batch = this.proposals.nextBatch();
      if (batch === null) return;
      if (!this.#propose(batch)) return;
    }
  }

  get #uncommitted(): number {
    return this.raft === null ? 0 : this.raft.log.lastIndex - this.raft.commitIndex;
  }

  /** False: too much is uncommitted; the batch stays queued (the queue is bounded). */
  #propose(batch: { data: Uint8Array; count: number }): boolean {
    const { raft } = this;
    invariant(raft !== null && raft.role === 'leader', 'only a leader proposes');
    const { lastIndex } = raft.log;
    this.#proposing = batch.count;
    this.step({ type: 'propose', data: batch.data });
    const appended = raft.log.lastIndex > lastIndex;
    if (appended && raft.role === 'leader') this.#flushing = true;
    return appended;
  }

  #awaitDurable({ term, index }: { term: number; index: number }): void {
    this.#flushing = true;
    this.onceDurable(() => {
      this.#flushing = false;
      this.step({ type: 'durable', term, index });
    });
  }

  #finishRead(id: number, outcome: 'ready' | 'not_leader' | 'overloaded'): void {
    const waiting = this.queries.take(id);
    if (outcome === 'ready') this.#answer(waiting);
    else waiting?.answer({ type: outcome });
  }

  #answer(waiting: WaitingQuery | null): void {
    if (waiting !== null) this.queries.answer(waiting, contactAgeMs(this));
  }

  // ---- answers of other peers

  onReply(message: RaftReply): void {
    this.#continue(() => this.step({ type: 'reply', message }));
  }

  onCallFailed(to: PeerId, seq: number): void {
    this.#continue(() => this.step({ type: 'callFailed', to, seq }));
  }

  /** A turn of its own, after everything written so far is on disk. */
  onceDurable(run: () => void): void {
    this.platform.sync().then(
      () => this.#continue(run),
      (error) => this.#end(error),
    );
  }

  /** A turn of an instance that may have ended since; nobody is left to tell. */
  #continue(run: () => void): void {
    if (this.#dead) return;
    try {
      this.turn(run);
    } catch {
      // `turn` has ended the instance, and has said why.
    }
  }
}

function writesAnything({ hardState, reset, truncateFrom, append, compact, quiesce }: Effects): boolean {
  const changesLog = reset !== null || truncateFrom !== null || append.length > 0 || compact !== null;
  return changesLog || hardState !== null || quiesce !== null;
}
