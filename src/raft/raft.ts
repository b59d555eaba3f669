/**
 * The consensus core: a deterministic state machine. Every input comes with the time and leaves effects.
 *
 *      step(input, {nowMs, random, callBudget}) ─▶ handle…  (election, replication, reads, snapshot)
 *                                               ─▶ the clock: elections, check-quorum
 *                                               ─▶ maybeCommit, confirmed reads, compaction, sleep
 *                                               ─▶ sendDue…: requests are a function of the state, not of the input
 *                                               ─▶ effects
 *
 * That requests are derived from state at the end of a step is what makes a call budget harmless: what may not be sent now
 * is still due at the next step, and `deadlineMs` asks for one at once.
 */

import { maybeCompact } from './compaction.ts';
import { noEffects } from './effects.ts';
import {
  campaignMs,
  checkElectionClock,
  handleRequestVote,
  handleRequestVoteReply,
  handleStand,
  handleVoteCallFailed,
  sendDueVotes,
} from './election.ts';
import { invariant } from './invariant.ts';
import { RaftLog } from './log.ts';
import type { Reply, Request } from './messages.ts';
import type { Progress } from './progress.ts';
import { maybeQuiesce, maybeRestoreAsleep, maybeWake, noteUse, type QuiesceAttempt } from './quiescence.ts';
import { ReadQueue } from './reads.ts';
import {
  beginProgress,
  checkQuorumClock,
  handleAppendEntries,
  handleAppendEntriesReply,
  handleCallFailed,
  handleDurable,
  handlePropose,
  maybeCommit,
  nextLeaderDeadline,
  sendDueAppends,
} from './replication.ts';
import {
  endCut,
  handleCutBegun,
  handleInstallSnapshot,
  handleInstallSnapshotReply,
  handleStaged,
  maybeEndCut,
} from './snapshot.ts';
import type {
  Configuration,
  Effects,
  Entry,
  Input,
  Payload,
  PeerId,
  QuiesceRecord,
  RaftOptions,
  RestoredState,
  Role,
  StepContext,
} from './types.ts';

/** The most that one entry advances log time; what is beyond is dropped, so one clock that jumps expires nobody. */
const MAX_ELAPSED_MS = 60_000;

export interface Cut {
  readonly id: string;
  readonly lastIncludedIndex: number;
  readonly lastIncludedTerm: number;
  readonly configuration: Configuration;
}

export class Raft {
  readonly options: RaftOptions;
  readonly log: RaftLog;

  // Persistent (Figure 2).
  currentTerm: number;
  votedFor: PeerId | null;

  // Volatile.
  role: Role = 'follower';
  leaderId: PeerId | null = null;
  commitIndex: number;
  lastApplied: number;
  /** Handed out for `apply`; lastApplied follows when the host says so. */
  handedOut: number;
  stopped = false;
  /** When this peer last heard from the leader it follows. */
  leaderContactMs = Number.NEGATIVE_INFINITY;
  /** When to stand, or to begin a campaign again. */
  electionDeadlineMs: number;
  /** Votes of the present campaign, by voter: a second vote of one voter is the same entry. */
  votes = new Map<PeerId, boolean>();
  /** Voters that were asked in the present campaign: the number of the question, and when it was asked. */
  asked = new Map<PeerId, number>();
  askedMs = new Map<PeerId, number>();
  /** Voters that did not answer when they should have. */
  unanswered = new Set<PeerId>();
  /** Before anybody else is asked for a pre-vote: whether the leader whom this peer slept under answers, until then. */
  verifying: { readonly leaderId: PeerId; readonly untilMs: number } | null = null;
  /** While this peer sleeps: what it has stored about that. */
  asleep: QuiesceRecord | null = null;
  quiesceRound = 0;
  /** When somebody last used this peer, ms. */
  lastUseMs: number;

  // Leader only.
  progress = new Map<PeerId, Progress>();
  /** The leader's own copy is durable up to here. */
  durableIndex = 0;
  /** The first entry of the leader's own term. */
  termStartIndex = 0;
  reads = new ReadQueue();
  lastStampMs = 0;
  cut: Cut | null = null;
  cutRequested = false;
  attempt: QuiesceAttempt | null = null;
  /** Entry 1 is written by this instance, and leads term 1 once it is durable. */
  founder = false;

  seq = 0;
  effects: Effects = noEffects();
  nowMs: number;
  random: number;
  callBudget = 0;
  busy = false;
  #waitingForBudget = false;
  /** In [0, 1): this peer's share of the randomized election timeout. */
  #spread: number;

  constructor(options: RaftOptions, restored: RestoredState, context: Pick<StepContext, 'nowMs' | 'random'>) {
    invariant(options.heartbeatMs > 0 && options.electionTimeoutMs > 3 * options.heartbeatMs, 'times fit together');
    this.options = options;
    this.log = new RaftLog(restored);
    this.currentTerm = restored.hardState.currentTerm;
    this.votedFor = restored.hardState.votedFor;
    invariant(restored.lastApplied >= restored.lastIncludedIndex, 'what is compacted was applied');
    invariant(restored.lastApplied <= this.log.lastIndex, 'what was applied is in the log');
    invariant(this.log.lastTerm <= this.currentTerm, 'no entry is newer than the term');
    this.commitIndex = restored.lastApplied;
    this.lastApplied = restored.lastApplied;
    this.handedOut = restored.lastApplied;
    this.nowMs = context.nowMs;
    this.random = context.random;
    this.#spread = context.random;
    this.electionDeadlineMs = context.nowMs + this.electionTimeoutMs();
    // Most likely this was the leader, and its object restarted: nobody is served until somebody stands.
    if (this.votedFor === options.id) this.electionDeadlineMs = context.nowMs;
    // Nobody has asked for it yet: see campaignMs.
    this.lastUseMs = context.nowMs - 3 * (options.quiesceAfterMs ?? 0);
    maybeRestoreAsleep(this, restored.quiesceRecord ?? null);
  }

  get id(): PeerId {
    return this.options.id;
  }

  get configuration(): Configuration | null {
    return this.log.configuration;
  }

  /** The configuration of a peer that leads or campaigns: it has one. */
  get electorate(): Configuration {
    const { configuration } = this;
    invariant(configuration !== null, 'who leads or campaigns has a configuration');
    return configuration;
  }

  /** What the leader knows of another voter. */
  progressOf(id: PeerId): Progress {
    const progress = this.progress.get(id);
    invariant(progress !== undefined, 'a leader keeps the progress of every other voter');
    return progress;
  }

  /** Evidence of a live leader counts this long: a window of its own, shorter than the election timeout. */
  get stickinessMs(): number {
    return 3 * this.options.heartbeatMs;
  }

  /**
   * Randomized (5.2), but drawn once a term or campaign, not at each heartbeat: so deadlines only ever move later while
   * a leader is heard, and the alarm that is set already need not be moved.
   */
  electionTimeoutMs(): number {
    return this.options.electionTimeoutMs * (1 + this.#spread);
  }

  step(input: Input, context: StepContext): Effects {
    invariant(context.nowMs >= this.nowMs, 'time is monotonic');
    this.nowMs = context.nowMs;
    this.random = context.random;
    this.callBudget = context.callBudget;
    this.busy = context.busy ?? false;
    this.#waitingForBudget = false;
    this.effects = noEffects();
    const before = { term: this.currentTerm, votedFor: this.votedFor, commitIndex: this.commitIndex };

    this.#handle(input);
    // The event in hand first, the clock after: a heartbeat that waited in line must not meet an election.
    this.#checkClock();
    maybeCommit(this);
    this.#confirmReads();
    this.#handOut();
    maybeEndCut(this);
    maybeCompact(this);
    maybeQuiesce(this);
    this.#sendDue();

    invariant(this.currentTerm >= before.term, 'currentTerm never decreases');
    invariant(
      this.currentTerm > before.term || before.votedFor === null || this.votedFor === before.votedFor,
      'one vote a term (5.2)',
    );
    invariant(this.commitIndex >= before.commitIndex, 'commitIndex never decreases');
    invariant(this.lastApplied <= this.commitIndex, 'only committed entries are applied (5.3)');
    invariant(this.commitIndex <= this.log.lastIndex, 'what is committed is in the log');
    if (this.currentTerm !== before.term || this.votedFor !== before.votedFor) {
      this.effects.hardState = { currentTerm: this.currentTerm, votedFor: this.votedFor };
    }
    invariant(this.asleep === null || this.#changedNothing(), 'who sleeps changes nothing and asks nobody');
    this.effects.deadlineMs = this.#deadline();
    return this.effects;
  }

  #changedNothing(): boolean {
    const { hardState, reset, truncateFrom, append, requests } = this.effects;
    const wrote = hardState !== null || reset !== null || truncateFrom !== null || append.length > 0;
    return !wrote && requests.length === 0;
  }

  #handle(input: Input): void {
    switch (input.type) {
      case 'tick':
        return;
      case 'request':
        return this.#handleRequest(input.message);
      case 'reply':
        return this.#handleReply(input.message);
      case 'callFailed':
        if (this.role === 'leader') return handleCallFailed(this, input.to, input.seq);
        return handleVoteCallFailed(this, input.to, input.seq);
      case 'propose':
        this.#use();
        return handlePropose(this, input.data);
      case 'read':
        return this.#handleRead(input.id);
      case 'durable':
        return handleDurable(this, input.term, input.index);
      case 'applied':
        return this.#handleApplied(input.index);
      case 'stand':
        return handleStand(this);
      case 'stop':
        return this.#handleStop();
      case 'found':
        return this.#handleFound(input.configuration);
      case 'cutBegun':
        return handleCutBegun(this, input.cutId);
      case 'staged':
        return handleStaged(this, input.message, input.outcome, input.chunk, input.cursor);
    }
  }

  /** A client: a sleeping leader wakes for it. */
  #use(): void {
    if (this.role !== 'leader') return;
    maybeWake(this);
    noteUse(this);
  }

  #handleRequest(message: Request): void {
    invariant(message.to === this.id, 'a request reaches the peer that it names');
    this.unanswered.delete(message.from);
    switch (message.type) {
      case 'RequestVote':
        return handleRequestVote(this, message);
      case 'AppendEntries':
        return handleAppendEntries(this, message);
      case 'InstallSnapshot':
        return handleInstallSnapshot(this, message);
    }
  }

  #handleReply(message: Reply): void {
    this.unanswered.delete(message.from);
    if (this.verifying?.leaderId === message.from) this.verifying = null;
    if (message.term > this.currentTerm) {
      this.becomeFollower(message.term, null);
      return;
    }
    switch (message.type) {
      case 'RequestVoteReply':
        return handleRequestVoteReply(this, message);
      case 'AppendEntriesReply':
        return handleAppendEntriesReply(this, message);
      case 'InstallSnapshotReply':
        return handleInstallSnapshotReply(this, message);
    }
  }

  #handleRead(id: number): void {
    this.#use();
    if (this.role !== 'leader') this.effects.reads.push({ id, outcome: 'not_leader' });
    else if (this.reads.size >= this.options.limits.pendingReads)
      this.effects.reads.push({ id, outcome: 'overloaded' });
    else this.reads.add(id);
  }

  #handleApplied(index: number): void {
    invariant(index >= this.lastApplied && index <= this.handedOut, 'entries are applied in order, once');
    this.lastApplied = index;
  }

  #handleStop(): void {
    this.stopped = true;
    this.handedOut = this.lastApplied;
    if (this.role !== 'follower') this.becomeFollower(this.currentTerm, null);
  }

  #handleFound(configuration: Configuration): void {
    invariant(this.currentTerm === 0 && this.log.lastIndex === 0, 'a group is founded on an empty log, once');
    this.currentTerm = 1;
    this.votedFor = this.id;
    this.founder = true;
    // A pure function of the configuration: log time 0, whoever writes it and whenever.
    this.appendEntry({ type: 'configuration', configuration }, 0);
  }

  #checkClock(): void {
    if (this.asleep !== null) return;
    if (this.role === 'leader') checkQuorumClock(this);
    else checkElectionClock(this);
  }

  #confirmReads(): void {
    if (this.role !== 'leader') return;
    this.reads.confirm(this.#readContext());
    for (const read of this.reads.takeReady(this.lastApplied))
      this.effects.reads.push({ id: read.id, outcome: 'ready' });
  }

  #readContext() {
    return {
      configuration: this.electorate,
      selfId: this.id,
      // Until something of its own term is committed, a leader may not know the newest commit index (8).
      readIndex: this.commitIndex >= this.termStartIndex ? this.commitIndex : null,
      ackedRound: (id: PeerId) => this.progressOf(id).ackedRound,
    };
  }

  #handOut(): void {
    if (this.stopped || this.handedOut > this.lastApplied || this.commitIndex === this.lastApplied) return;
    const fromIndex = this.lastApplied + 1;
    const { applyBytes } = this.options.limits;
    const toIndex = this.log.batchEnd(fromIndex, this.commitIndex, applyBytes, Number.POSITIVE_INFINITY);
    this.handedOut = toIndex;
    this.effects.committed = { fromIndex, toIndex };
  }

  #sendDue(): void {
    if (this.asleep !== null) return;
    if (this.role === 'leader') sendDueAppends(this);
    else if (this.role !== 'follower') sendDueVotes(this);
  }

  /** Takes one call from the budget. False: not now; the step after the deadline will ask again. */
  takeCall(): boolean {
    if (this.callBudget > 0) {
      this.callBudget -= 1;
      return true;
    }
    this.#waitingForBudget = true;
    return false;
  }

  nextSeq(): number {
    this.seq += 1;
    return this.seq;
  }

  #deadline(): number | null {
    if (this.asleep !== null) return null;
    if (this.#waitingForBudget) return this.nowMs;
    if (this.role === 'leader') return nextLeaderDeadline(this);
    if (!this.mayStand) return null;
    const verifyUntilMs = this.verifying?.untilMs ?? Number.POSITIVE_INFINITY;
    return Math.min(this.electionDeadlineMs, verifyUntilMs);
  }

  get mayStand(): boolean {
    return !this.stopped && !this.founder && this.configuration !== null;
  }

  /** Appends to the leader's own log; the caller has made sure that this peer may. */
  appendEntry(payload: Payload, elapsedMs: number): Entry {
    const entry: Entry = {
      index: this.log.lastIndex + 1,
      term: this.currentTerm,
      applyVersion: this.options.applyVersion,
      elapsedMs,
      payload,
    };
    this.log.append(entry);
    this.effects.append.push(entry);
    return entry;
  }

  /** What log time advances by in an entry stamped now. */
  stamp(): number {
    const elapsedMs = Math.min(MAX_ELAPSED_MS, Math.max(0, Math.floor(this.nowMs - this.lastStampMs)));
    // The fraction of a millisecond is carried, what is beyond the maximum is not.
    this.lastStampMs = elapsedMs === MAX_ELAPSED_MS ? this.nowMs : this.lastStampMs + elapsedMs;
    return elapsedMs;
  }

  becomeFollower(term: number, leaderId: PeerId | null): void {
    maybeWake(this);
    if (term > this.currentTerm) {
      this.quiesceRound = 0;
      this.currentTerm = term;
      this.votedFor = null;
      this.#spread = this.random;
    }
    if (this.role !== 'follower') this.electionDeadlineMs = this.nowMs + this.electionTimeoutMs();
    this.#leaveOffice();
    this.verifying = null;
    this.role = 'follower';
    this.leaderId = leaderId;
    this.founder = false;
  }

  #leaveOffice(): void {
    this.votes.clear();
    this.asked.clear();
    if (this.role !== 'leader') return;
    for (const read of this.reads.clear()) this.effects.reads.push({ id: read.id, outcome: 'not_leader' });
    this.progress.clear();
    this.durableIndex = 0;
    this.cutRequested = false;
    this.attempt = null;
    if (this.cut !== null) endCut(this);
  }

  becomePreCandidate(): void {
    invariant(this.role !== 'leader' && this.mayStand, 'who leads or may not stand does not campaign');
    this.role = 'preCandidate';
    this.#beginCampaign();
  }

  becomeCandidate(): void {
    invariant(this.role === 'preCandidate', 'a pre-vote comes before a vote');
    this.role = 'candidate';
    this.currentTerm += 1;
    this.votedFor = this.id;
    this.quiesceRound = 0;
    this.#beginCampaign();
    // Its own vote counts, like any other, once it is on disk: see handleDurable.
    this.votes.clear();
  }

  #beginCampaign(): void {
    this.leaderId = null;
    this.verifying = null;
    this.votes = new Map([[this.id, true]]);
    this.asked.clear();
    this.#spread = this.random;
    this.electionDeadlineMs = this.nowMs + campaignMs(this);
  }

  becomeLeader(): void {
    this.role = 'leader';
    this.leaderId = this.id;
    this.votes.clear();
    this.asked.clear();
    this.durableIndex = 0;
    this.lastStampMs = this.nowMs;
    noteUse(this);
    this.reads = new ReadQueue();
    beginProgress(this);
    if (this.founder) {
      // Entry 1 is of this term already, and durable.
      this.founder = false;
      this.termStartIndex = 1;
      this.durableIndex = 1;
      for (const progress of this.progress.values()) progress.becomeProbe(1);
    } else {
      this.termStartIndex = this.appendEntry({ type: 'noop' }, 0).index;
    }
  }
}
