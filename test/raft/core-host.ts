/**
 * A host for the core, in memory: it drives one `Raft` as src/peer does. One input is one turn (the inputs that follow from
 * its effects included); what a turn sends leaves only when its writes are on disk; a crash takes unflushed turns with it.
 */
import type { InstallSnapshot, Reply, Request, SnapshotChunk } from '../../src/raft/messages.ts';
import { Raft } from '../../src/raft/raft.ts';
import {
  type Configuration,
  DEFAULT_LIMITS,
  type Effects,
  type Entry,
  type HardState,
  type Input,
  type PeerId,
  type QuiesceRecord,
  type RaftLimits,
  type RaftOptions,
} from '../../src/raft/types.ts';
import { configurationOf, decodeText, encodeText, payloadOf, summaryOf } from './entries.ts';

export const HEARTBEAT_MS = 100;
export const ELECTION_TIMEOUT_MS = 500;

/** Everything that a peer keeps; never changed, only replaced. */
export interface Disk {
  readonly hardState: HardState;
  readonly lastIncludedIndex: number;
  readonly lastIncludedTerm: number;
  readonly configuration: Configuration | null;
  readonly entries: readonly Entry[];
  readonly lastApplied: number;
  /** The state machine: every command that was applied, in order. */
  readonly state: readonly string[];
  readonly staging: Staging | null;
  /** There exactly while the peer sleeps. */
  readonly quiesceRecord: QuiesceRecord | null;
}

interface Staging {
  readonly cutId: string;
  readonly chunk: number;
  readonly cursor: Uint8Array | null;
  readonly items: readonly string[];
}

export interface HostSettings {
  readonly id: PeerId;
  readonly heartbeatMs?: number;
  readonly electionTimeoutMs?: number;
  /** Absent: it never sleeps. */
  readonly quiesceAfterMs?: number;
  readonly limits?: Partial<RaftLimits>;
  /** Drawn once a step; 0.5 unless said otherwise. */
  readonly random?: () => number;
  /** False: writes stay in memory until `flush`. */
  readonly flushAtOnce?: boolean;
  /** Commands of the state machine in one chunk of a snapshot. */
  readonly chunkItems?: number;
}

export interface Sent {
  readonly message: Request | Reply;
  /** Of a reply: which instance of the asking peer it goes to. */
  readonly asker: number;
}

interface Turn {
  readonly disk: Disk;
  readonly outbox: readonly Sent[];
  /** What this peer wrote for itself, and must hear of when it is durable. */
  readonly own: { readonly term: number; readonly index: number } | null;
}

export function isReply(message: Request | Reply): message is Reply {
  return message.type.endsWith('Reply');
}

/** What a host says of a turn, for those who watch: a role, a commit, an answered read. */
export interface Watcher {
  stepped?(host: CoreHost, input: Input, effects: Effects): void;
}

export function emptyDisk(): Disk {
  return {
    hardState: { currentTerm: 0, votedFor: null },
    lastIncludedIndex: 0,
    lastIncludedTerm: 0,
    configuration: null,
    entries: [],
    lastApplied: 0,
    state: [],
    staging: null,
    quiesceRecord: null,
  };
}

/** A disk with entry 1 (the configuration, term 1), and one command for each further term given. */
export function diskWith(peers: number, terms: readonly number[], hardState?: Partial<HardState>): Disk {
  const entries = terms.map(
    (term, i): Entry => ({
      index: i + 1,
      term,
      applyVersion: 1,
      elapsedMs: 0,
      payload: i === 0 ? { type: 'configuration', configuration: configurationOf(peers) } : payloadOf(`t${term}`),
    }),
  );
  return {
    ...emptyDisk(),
    hardState: { currentTerm: terms.at(-1) ?? 0, votedFor: null, ...hardState },
    entries,
  };
}

export class CoreHost {
  readonly id: PeerId;
  readonly settings: HostSettings;
  readonly options: RaftOptions;
  raft: Raft;
  /** As the turns so far have written it. */
  disk: Disk;
  /** As a crash would leave it. */
  durable: Disk;
  /** Counts up with every restart. */
  instance = 1;
  nowMs = 0;
  deadlineMs: number | null = null;
  callBudget = 32;
  /** It has work of its own under way. */
  busy = false;
  flushAtOnce: boolean;
  /** Left the output gate; whoever carries messages takes them from here. */
  sent: Sent[] = [];
  /** Outcomes of reads, by id; of a `ready` one, the state that it saw. */
  readonly reads = new Map<number, { outcome: string; state: readonly string[] }>();
  lastProposal: Effects['proposal'] = null;
  lastEffects: Effects | null = null;
  cutsBegun = 0;
  cutOpen = false;
  watcher: Watcher | null = null;
  #unflushed: Turn[] = [];
  #outbox: Sent[] = [];
  #asker = 0;
  #own: Turn['own'] = null;
  #mayCall = true;
  #cut: readonly string[] = [];
  #flushing = false;

  constructor(settings: HostSettings, disk: Disk) {
    this.id = settings.id;
    this.settings = settings;
    this.options = {
      id: settings.id,
      heartbeatMs: settings.heartbeatMs ?? HEARTBEAT_MS,
      electionTimeoutMs: settings.electionTimeoutMs ?? ELECTION_TIMEOUT_MS,
      ...(settings.quiesceAfterMs !== undefined && { quiesceAfterMs: settings.quiesceAfterMs }),
      applyVersion: 1,
      limits: { ...DEFAULT_LIMITS, ...settings.limits },
    };
    this.flushAtOnce = settings.flushAtOnce ?? true;
    this.disk = disk;
    this.durable = disk;
    this.raft = this.#restore();
  }

  #restore(): Raft {
    const { entries, ...rest } = this.durable;
    const context = { nowMs: this.nowMs, random: this.#random() };
    const raft = new Raft(this.options, { ...rest, entries: entries.map(summaryOf) }, context);
    // As a step would say it; the first event brings the first effects.
    this.deadlineMs = raft.mayStand && raft.asleep === null ? raft.electionDeadlineMs : null;
    return raft;
  }

  #random(): number {
    return this.settings.random?.() ?? 0.5;
  }

  /** The instance ends here and now; another one restores what was durable. Lost: memory, unflushed writes, what waits for them. */
  restart(): void {
    this.instance += 1;
    this.#unflushed = [];
    this.sent = [];
    this.#cut = [];
    this.cutOpen = false;
    this.disk = this.durable;
    this.raft = this.#restore();
  }

  // ---- events

  tick(): void {
    this.input({ type: 'tick' });
  }

  stand(): void {
    this.input({ type: 'stand' });
  }

  propose(text: string): Effects['proposal'] {
    this.lastProposal = null;
    this.input({ type: 'propose', data: encodeText(text) });
    return this.lastProposal;
  }

  read(id: number): void {
    this.input({ type: 'read', id });
  }

  input(input: Input): void {
    this.turn(() => this.#step(input));
  }

  /** A request of another peer: the handler calls nobody. With an open gate, the answer is returned at once. */
  receive(message: Request, asker = 1): Reply | null {
    const before = this.sent.length;
    this.turn(() => {
      this.#mayCall = false;
      this.#asker = asker;
      this.#step({ type: 'request', message });
    });
    const reply = this.sent.slice(before).find((sent) => isReply(sent.message));
    return (reply?.message as Reply | undefined) ?? null;
  }

  turn(run: () => void): void {
    this.#outbox = [];
    this.#own = null;
    this.#mayCall = true;
    const before = this.disk;
    run();
    if (this.disk === before && this.#unflushed.length === 0) {
      this.sent.push(...this.#outbox);
      return;
    }
    this.#unflushed.push({ disk: this.disk, outbox: this.#outbox, own: this.#own });
    if (this.flushAtOnce) this.flush();
  }

  /** Puts turns on disk, oldest first; what they sent leaves, and the core hears what is durable. */
  flush(turns = Number.POSITIVE_INFINITY): void {
    if (this.#flushing) return;
    this.#flushing = true;
    try {
      for (let left = turns; left > 0; left -= 1) {
        const turn = this.#unflushed.shift();
        if (turn === undefined) return;
        this.durable = turn.disk;
        this.sent.push(...turn.outbox);
        const { own } = turn;
        if (own !== null) this.input({ type: 'durable', ...own });
      }
    } finally {
      this.#flushing = false;
    }
  }

  // ---- effects, in the order that their type gives

  #step(input: Input): void {
    const effects = this.raft.step(input, {
      nowMs: this.nowMs,
      random: this.#random(),
      callBudget: this.#mayCall ? this.callBudget : 0,
      busy: this.busy,
    });
    this.lastEffects = effects;
    this.#write(effects);
    this.watcher?.stepped?.(this, input, effects);
    this.#perform(effects);
  }

  #write(effects: Effects): void {
    const { hardState, reset, truncateFrom, append, compact, quiesce } = effects;
    if (quiesce !== null) this.#put({ quiesceRecord: quiesce.type === 'sleep' ? quiesce.record : null });
    if (hardState !== null) this.#put({ hardState });
    if (reset !== null) this.#put({ ...reset, entries: [], lastApplied: reset.lastIncludedIndex });
    if (truncateFrom !== null) this.#put({ entries: this.disk.entries.filter((entry) => entry.index < truncateFrom) });
    if (append.length > 0) this.#put({ entries: [...this.disk.entries, ...append] });
    if (compact !== null) {
      const kept = this.disk.entries.filter((entry) => entry.index > compact.lastIncludedIndex);
      this.#put({ ...compact, entries: kept });
    }
    const { raft } = this;
    const leads = raft.role === 'leader' || raft.founder;
    if (leads ? append.length > 0 : raft.role === 'candidate' && hardState !== null)
      this.#own = { term: raft.currentTerm, index: raft.log.lastIndex };
  }

  #put(change: Partial<Disk>): void {
    this.disk = { ...this.disk, ...change };
  }

  #perform(effects: Effects): void {
    this.deadlineMs = effects.deadlineMs;
    if (effects.reply !== null) this.#outbox.push({ message: effects.reply, asker: this.#asker });
    if (effects.proposal !== null) this.lastProposal = effects.proposal;
    if (effects.endCut) this.cutOpen = false;
    for (const request of effects.requests)
      this.#outbox.push({ message: this.#prepare(request), asker: this.instance });
    for (const { id, outcome } of effects.reads) this.reads.set(id, { outcome, state: this.disk.state });
    if (effects.committed !== null) this.#apply(effects.committed.fromIndex, effects.committed.toIndex);
    if (effects.beginCut) {
      this.cutsBegun += 1;
      this.cutOpen = true;
      this.#cut = this.disk.state;
      this.#step({ type: 'cutBegun', cutId: `cut-${this.id}.${this.instance}.${this.cutsBegun}` });
    }
    if (effects.stage !== null) this.#stage(effects.stage);
  }

  #apply(fromIndex: number, toIndex: number): void {
    const texts = this.disk.entries
      .filter(({ index }) => index >= fromIndex && index <= toIndex)
      .map(({ payload }) => (payload.type === 'command' ? decodeText(payload.data) : null));
    if (texts.length !== toIndex - fromIndex + 1) throw new Error('an entry that is to be applied is not in the log');
    this.#put({ lastApplied: toIndex, state: [...this.disk.state, ...texts.filter((text) => text !== null)] });
    this.#step({ type: 'applied', index: toIndex });
  }

  // ---- messages

  #prepare(request: Request): Request {
    if (request.type === 'AppendEntries') {
      const { prevLogIndex, lastIndex } = request;
      const entries = this.disk.entries.filter(({ index }) => index > prevLogIndex && index <= lastIndex);
      if (entries.length !== lastIndex - prevLogIndex) throw new Error('an entry that is to be sent is not in the log');
      return { ...request, entries };
    }
    return request.type === 'InstallSnapshot' ? { ...request, page: this.#page(request.cursor) } : request;
  }

  #page(cursor: Uint8Array | null): SnapshotChunk {
    if (!this.cutOpen) throw new Error('a chunk of a cut that is not open');
    const from = cursor === null ? 0 : Number(decodeText(cursor));
    const to = from + (this.settings.chunkItems ?? 2);
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
  }

  #stageChunk({ cutId, chunk, page }: InstallSnapshot) {
    const at = (position: Staging | null) =>
      ({ outcome: 'staged', chunk: position?.chunk ?? 0, cursor: position?.cursor ?? null }) as const;
    if (page === null) return { outcome: 'refused', chunk: 0, cursor: null } as const;
    let { staging } = this.disk;
    if (staging?.cutId !== cutId) {
      if (chunk !== 0) return at(null);
      staging = { cutId, chunk: 0, cursor: null, items: [] };
    }
    if (staging === null || chunk !== staging.chunk) return at(staging);
    const items = [...staging.items, ...(JSON.parse(decodeText(page.data)) as string[])];
    if (page.next !== null) {
      const position = { cutId, chunk: chunk + 1, cursor: page.next, items };
      this.#put({ staging: position });
      return at(position);
    }
    this.#put({ staging: null });
    if (items.length !== page.header) return { outcome: 'refused', chunk: 0, cursor: null } as const;
    this.#put({ state: items });
    return { outcome: 'installed', chunk: 0, cursor: null } as const;
  }
}
