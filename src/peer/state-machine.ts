/**
 * All that a peer knows of what it replicates. Implementations are synchronous, deterministic and total: the same
 * entries in the same order give the same tables, the same results and the same `stateHash` on every peer, and
 * whatever can be wrong with a command is a result, never an exception. A throw is a bug: it ends the instance.
 *
 * Commands, results, queries and answers are plain data that MessagePack can carry (null, booleans, numbers, strings,
 * `Uint8Array`, arrays, records). A decoded `Uint8Array` may be a view into a larger buffer.
 */
import type { Sql } from './sql.ts';

/** One committed log entry, as it is handed to `apply`. */
export interface AppliedEntry {
  /** Raft log index, 1-based; grows by one with every call. */
  readonly index: number;
  readonly term: number;
  /** By how much this entry advances log time, in ms: 0 to 60,000, an integer. The only clock a state machine has. */
  readonly elapsedMs: number;
  /** What `encodeEntry` made; null for a no-op or a configuration entry, which still advances log time. */
  readonly data: Uint8Array | null;
}

export interface SnapshotPage {
  /** Bytes for `stagePage` of the receiver: at most `maxBytes`, or one row. */
  readonly page: Uint8Array;
  /** Opaque cursor of the page after this one; null: this was the last. */
  readonly next: Uint8Array | null;
}

export interface StateMachine {
  /** The newest version of entries and snapshots that this code understands (>= 1). */
  readonly applyVersion: number;

  /** Creates the tables of an empty state. Called once, in the turn that makes an object part of a group. */
  createTables(): void;
  /**
   * Takes back what `summary` gave last; null: the state is empty. Called once on each instance of an object that is part of a
   * group, before everything but `createTables`.
   */
  restore(summary: Uint8Array | null): void;
  /**
   * Counters and the like, for which rows of their own would be written with every entry: the peer stores them in one row with
   * the applied index, in each turn that applies something, so that both are from the same commit. At most 64 KiB; null: none.
   */
  summary(): Uint8Array | null;

  /** Whether `command` may be proposed: well-formed, within limits. What it refuses never reaches the log. */
  accepts(command: unknown): boolean;
  /** An upper bound of what `command` adds to an entry, in bytes. */
  commandBytes(command: unknown): number;
  /** The most that applying `command` may write, in bytes: that may be far more than it adds to an entry. */
  maxWrittenBytes(command: unknown): number;
  /** What this instance has written for commands so far, in bytes: the peer ends a turn when it is much. */
  readonly writtenBytes: number;
  /**
   * One entry from a batch of accepted commands, in order. Called on the leader only: what its own settings
   * contribute (quotas, for example) goes into the entry, so that `apply` depends on nothing else.
   */
  encodeEntry(commands: readonly unknown[]): Uint8Array;
  /** Whether `data` (from `encodeEntry` of whatever version) can be applied exactly. If not, the peer stops before it. */
  understands(data: Uint8Array): boolean;
  /** Applies one entry. Returns one result for each command of the entry, in order (none for `data: null`). */
  apply(entry: AppliedEntry): unknown[];

  /** Whether `query` is well-formed and within limits. */
  acceptsQuery(query: unknown): boolean;
  /**
   * Answers from the applied state. Writes nothing, and always reads from storage at least once, so that an instance that
   * was superseded (its storage refuses) cannot answer.
   */
  query(query: unknown): unknown;
  /** Keys that this instance's queries have looked at so far, found or not: the peer answers no more of them in a turn that has many. */
  readonly examinedKeys: number;

  /** Hex digest of the whole logical state; O(1). Equal on every peer that applied the same entries. */
  stateHash(): string;
  /** Numbers for /metrics: name in snake_case with its unit, value. */
  gauges(): Record<string, number>;
  /** Lazy local work (physical deletion), bounded in each call. True: there is more to do. */
  housekeep(): boolean;

  /**
   * Fixes a cut at the present state; at most one is open. Until `endSnapshot` its pages show that state, whatever is
   * applied meanwhile. Returns a header of plain data that `finishInstall` of the receiver checks the pages against.
   * A cut does not survive the instance.
   */
  beginSnapshot(): unknown;
  /** The page after `after` (null: the first). A cursor from an earlier page of the same cut resumes there. */
  snapshotPage(after: Uint8Array | null, maxBytes: number): SnapshotPage;
  endSnapshot(): void;

  /** Drops whatever was staged, and makes empty staging tables. `generation` is greater than that of every earlier
   * installation that finished on this object (the peer gives lastIncludedIndex). */
  beginInstall(generation: number): void;
  /** Drops whatever was staged: it will not be continued. */
  abandonInstall(): void;
  /** Stages one page. False: it is malformed, and nothing was staged. Staged pages survive a restart. */
  stagePage(page: Uint8Array): boolean;
  /** Recomputes the sums of what was staged and compares them with `header`. Equal: the staged tables become the state
   * (by DROP and RENAME, never by copying) and true. Otherwise staging is dropped and false; the state is as before. */
  finishInstall(header: unknown): boolean;
}

/** Makes the state machine of one object on that object's storage. `settings`: the Worker's variables, by name. */
export type StateMachineFactory = (sql: Sql, settings: Readonly<Record<string, string | undefined>>) => StateMachine;
