/**
 * The core's plain data: what it keeps, what it is told (inputs) and what it wants done (effects).
 * Names are those of the Raft paper (Ongaro & Ousterhout, 2014) and of Ongaro's dissertation.
 */
import type { InstallSnapshot, Reply, Request } from './messages.ts';

/** Unique in a group forever: a replaced peer gets another one. 1-based. */
export type PeerId = number;

/** A peer as the configuration names it. The core reads `id` only; the rest says where its object lives. */
export interface Member {
  readonly id: PeerId;
  /** Place in the group (1-based) and how often it was replaced there. */
  readonly slot: number;
  readonly incarnation: number;
  readonly locationHint: string;
}

/** Who votes. Data in the log, so that membership change can come without a new format. */
export interface Configuration {
  readonly voters: readonly Member[];
}

export type Payload =
  | { readonly type: 'command'; readonly data: Uint8Array }
  /** Appended by a new leader, so that something of its own term can commit (section 8). */
  | { readonly type: 'noop' }
  | { readonly type: 'configuration'; readonly configuration: Configuration }
  /** Written by a newer version: this peer stores and forwards it as it is, and stops before it applies it. */
  | { readonly type: 'unknown'; readonly data: Uint8Array };

export interface Entry {
  readonly index: number;
  readonly term: number;
  /** A peer whose code is older than this must stop before it applies the entry. */
  readonly applyVersion: number;
  /** By how much the entry advances log time: 0 to 60,000 ms. */
  readonly elapsedMs: number;
  readonly payload: Payload;
}

/** What Figure 2 calls persistent state, without the log. */
export interface HardState {
  readonly currentTerm: number;
  readonly votedFor: PeerId | null;
}

/** What a sleeping peer keeps (quiescence.ts): it counts while all of it is as it is stored. */
export interface QuiesceRecord {
  readonly term: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly leaderId: PeerId;
  readonly round: number;
  /** On the leader: when it last stamped an entry, so that log time goes on from there. Monotonic, ms. */
  readonly stampedMs: number;
}

/** `candidate` has raised its term; `preCandidate` only asks whether it could win (dissertation, 9.6). */
export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader';

export interface RaftOptions {
  readonly id: PeerId;
  readonly heartbeatMs: number;
  /** Elections start after one to two of these without a leader; a leader without a quorum for one steps down. */
  readonly electionTimeoutMs: number;
  /** A group that nobody uses for so long goes to sleep (quiescence.ts); absent: never. */
  readonly quiesceAfterMs?: number;
  /** What this code can apply, stamped into the entries it proposes. */
  readonly applyVersion: number;
  readonly limits: RaftLimits;
}

export interface RaftLimits {
  /** Bytes of entries in one AppendEntries (one entry may exceed it). */
  readonly messageBytes: number;
  readonly messageEntries: number;
  /** Calls to other peers under way at a time, over all of them; and the window of one follower within that. */
  readonly callsInFlight: number;
  readonly callsPerFollower: number;
  /** Bytes of entries that are not known to be committed. */
  readonly uncommittedBytes: number;
  /** Bytes of entries handed out for `apply` in one go (one entry may exceed it). */
  readonly applyBytes: number;
  readonly pendingReads: number;
  /** Compaction keeps a tail of at most these behind lastApplied, and starts at twice as much. */
  readonly tailBytes: number;
  readonly tailEntries: number;
  /** Bytes kept behind lastApplied for a live follower that catches up, or for a cut that is being sent. */
  readonly retainedBytes: number;
}

export const DEFAULT_LIMITS: RaftLimits = {
  messageBytes: 2_000_000,
  messageEntries: 1024,
  callsInFlight: 12,
  callsPerFollower: 3,
  uncommittedBytes: 8_000_000,
  applyBytes: 4_000_000,
  pendingReads: 10_000,
  tailBytes: 1_000_000,
  tailEntries: 2048,
  retainedBytes: 64 * 1024 * 1024,
};

/** What a peer restores from its storage. */
export interface RestoredState {
  readonly hardState: HardState;
  /** The log begins after this index; 0 and term 0 if nothing was ever compacted. */
  readonly lastIncludedIndex: number;
  readonly lastIncludedTerm: number;
  /** The configuration at lastIncludedIndex; null if entry 1 has not come yet. */
  readonly configuration: Configuration | null;
  readonly entries: readonly EntrySummary[];
  readonly lastApplied: number;
  /** Absent or null: it did not sleep. */
  readonly quiesceRecord?: QuiesceRecord | null;
}

/** What the core keeps of an entry: not its data, so its memory does not grow with values. */
export interface EntrySummary {
  readonly index: number;
  readonly term: number;
  readonly bytes: number;
  /** Set for a configuration entry only. */
  readonly configuration?: Configuration;
}

export type Input =
  /** Nothing happened but time. */
  | { readonly type: 'tick' }
  /** A request of another peer; its answer is `effects.reply`. */
  | { readonly type: 'request'; readonly message: Request }
  /** The answer to a request of this instance. */
  | { readonly type: 'reply'; readonly message: Reply }
  /** A request of this instance got no answer (refused, lost, too late). */
  | { readonly type: 'callFailed'; readonly to: PeerId; readonly seq: number }
  | { readonly type: 'propose'; readonly data: Uint8Array }
  | { readonly type: 'read'; readonly id: number }
  /** What this instance wrote in `term` is on disk: its vote for itself, and its log up to `index`. */
  | { readonly type: 'durable'; readonly term: number; readonly index: number }
  /** The state machine has applied everything up to `index`. */
  | { readonly type: 'applied'; readonly index: number }
  /** A client found no leader: stand for election as soon as the rules allow. */
  | { readonly type: 'stand' }
  /** An entry or a snapshot is not understood: apply nothing from here on, and never stand. */
  | { readonly type: 'stop' }
  /** Every member has the groupId: entry 1 may be written (slot 1 only). */
  | { readonly type: 'found'; readonly configuration: Configuration }
  /** The cut that `beginCut` asked for stands at lastApplied. */
  | { readonly type: 'cutBegun'; readonly cutId: string }
  /** What became of the chunk in `stage`. */
  | {
      readonly type: 'staged';
      readonly message: InstallSnapshot;
      /** `refused`: malformed, or the sums differ; the leader begins anew. */
      readonly outcome: 'staged' | 'installed' | 'refused';
      /** Which chunk is expected next, and its cursor. */
      readonly chunk: number;
      readonly cursor: Uint8Array | null;
    };

/** What comes with every input. The core has no clock and no dice of its own. */
export interface StepContext {
  /** Monotonic, ms. */
  readonly nowMs: number;
  /** In [0, 1). */
  readonly random: number;
  /** How many requests may be sent now; 0 in the handler of a peer's message. */
  readonly callBudget: number;
  /** The host has work of its own under way: no time to sleep. */
  readonly busy?: boolean;
}

/** What the host must do, in this order, in the same synchronous turn. */
export interface Effects {
  /** Write it. */
  hardState: HardState | null;
  /** A snapshot was installed: the whole log goes, and begins anew after this. */
  reset: { lastIncludedIndex: number; lastIncludedTerm: number; configuration: Configuration } | null;
  /** Delete the entries from this index on, then write `append`. */
  truncateFrom: number | null;
  append: Entry[];
  /** Delete the entries up to this index, and remember its term and the configuration there. */
  compact: { lastIncludedIndex: number; lastIncludedTerm: number; configuration: Configuration } | null;
  /** The answer to the request in hand. */
  reply: Reply | null;
  /** Requests to send. Data of entries and chunks is the host's to fill in, now (the log may change later). */
  requests: Request[];
  /** Apply these, then step `applied`. Not handed out again. */
  committed: { fromIndex: number; toIndex: number } | null;
  /** Reads that may be answered from the applied state now, or never here. */
  reads: { id: number; outcome: 'ready' | 'not_leader' | 'overloaded' }[];
  /** What became of the proposal in hand. */
  proposal: { outcome: 'appended'; index: number; term: number } | { outcome: 'not_leader' | 'overloaded' } | null;
  /** Make a cut at lastApplied, then step `cutBegun`. */
  beginCut: boolean;
  /** No follower needs the cut any more. */
  endCut: boolean;
  /** Stage this chunk, then step `staged`. */
  stage: InstallSnapshot | null;
  /** Store the record, or delete it, before anything is sent. */
  quiesce: { type: 'sleep'; record: QuiesceRecord } | { type: 'wake' } | null;
  /** When time alone will next matter, ms; null: never. */
  deadlineMs: number | null;
}
