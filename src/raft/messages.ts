/**
 * What peers say to each other. Every message is a request with exactly one reply; both carry the sender's term.
 * `seq` is the sender's own number for the request, never used twice by one instance; the reply quotes it.
 */
import type { Configuration, PeerId } from './types.ts';

interface RequestBase {
  readonly term: number;
  readonly from: PeerId;
  readonly to: PeerId;
  readonly seq: number;
}

/** Section 5.2; `preVote`: dissertation 9.6, and then `term` is the one that the sender would stand in. */
export interface RequestVote extends RequestBase {
  readonly type: 'RequestVote';
  readonly preVote: boolean;
  readonly lastLogIndex: number;
  readonly lastLogTerm: number;
  /** Voters that did not answer the sender lately: a voter that sleeps under one of them may let it be replaced. */
  readonly unanswered: readonly PeerId[];
}

/** Section 5.3. The entries are those from prevLogIndex + 1 to lastIndex; the host attaches them. Empty: a heartbeat. */
export interface AppendEntries extends RequestBase {
  readonly type: 'AppendEntries';
  readonly prevLogIndex: number;
  readonly prevLogTerm: number;
  readonly lastIndex: number;
  readonly leaderCommit: number;
  /** Grows with each attempt to put the group to sleep, and with each wake of the leader (quiescence.ts). */
  readonly quiesceRound: number;
  /** Sleep, if your log and commit index are equal to what this message says. */
  readonly quiesce: boolean;
  /** Filled in by the host of the sender; present whenever the message is received. */
  readonly entries: readonly import('./types.ts').Entry[];
}

/** Section 7, in chunks of one cut. The host of the sender attaches what is to be staged (`page`). */
export interface InstallSnapshot extends RequestBase {
  readonly type: 'InstallSnapshot';
  readonly cutId: string;
  readonly lastIncludedIndex: number;
  readonly lastIncludedTerm: number;
  readonly configuration: Configuration;
  /** 0-based number of this chunk, and the sender's cursor to it (null for the first). */
  readonly chunk: number;
  readonly cursor: Uint8Array | null;
  readonly page: SnapshotChunk | null;
}

export interface SnapshotChunk {
  readonly applyVersion: number;
  readonly data: Uint8Array;
  /** Cursor of the chunk after this one; null: this is the last. */
  readonly next: Uint8Array | null;
  /** What the state machine checks a whole installation against. */
  readonly header: unknown;
}

export type Request = RequestVote | AppendEntries | InstallSnapshot;

interface ReplyBase {
  readonly term: number;
  readonly from: PeerId;
  readonly to: PeerId;
  readonly seq: number;
}

export interface RequestVoteReply extends ReplyBase {
  readonly type: 'RequestVoteReply';
  readonly preVote: boolean;
  readonly voteGranted: boolean;
  /** A pre-vote refused because of a live leader: when that evidence will be too old, ms from now; otherwise null. */
  readonly retryAfterMs: number | null;
}

export interface AppendEntriesReply extends ReplyBase {
  readonly type: 'AppendEntriesReply';
  /** What the follower's code can apply: the leader may raise the group's version once every voter has announced it. */
  readonly applyVersion: number;
  readonly success: boolean;
  /** Success: everything up to here equals the leader's log, and is durable. */
  readonly matchIndex: number;
  /**
   * Failure: the last place where the two logs may agree: the largest index, at most prevLogIndex, whose term here
   * is at most prevLogTerm. The leader skips likewise from its side, so both logs' terms count (in the labs' words XTerm,
   * XIndex and XLen; here one pair says it).
   */
  readonly conflictIndex: number;
  readonly conflictTerm: number;
  /** It sleeps, as it was asked to. */
  readonly quiesced: boolean;
}

export interface InstallSnapshotReply extends ReplyBase {
  readonly type: 'InstallSnapshotReply';
  readonly cutId: string;
  readonly outcome: 'staged' | 'installed' | 'refused';
  /** `staged`: the chunk that is expected next, and its cursor. */
  readonly chunk: number;
  readonly cursor: Uint8Array | null;
}

export type Reply = RequestVoteReply | AppendEntriesReply | InstallSnapshotReply;
