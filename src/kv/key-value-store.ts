/**
 * The key-value store as a state machine: revisions as in etcd, multi-version rows, sessions, bounded history. It ties the
 * parts together; each rule is in the file of its name.
 *
 *   apply(entry) = log time → sessions expire → each command once → compaction → sessions and counters are written
 */
import type { Sql } from '../peer/sql.ts';
import type { AppliedEntry, SnapshotPage, StateMachine, StateMachineFactory } from '../peer/state-machine.ts';
import { isCommand, isQuery } from './command-schema.ts';
import type { Answer, Command, CommandResult, Query } from './commands.ts';
import { commandBytes, decodeEntry, type Entry, encodeEntry } from './entry.ts';
import { SessionsOfEntry } from './exactly-once.ts';
import { beginStaging, finishStaging, stagePage } from './install.ts';
import { COMPACTIONS_PER_COMMAND, MAX_IDLE_COMPACTIONS } from './limits.ts';
import { answer } from './listing.ts';
import { emptyMeta, insertMeta, loadMeta, type Meta, updateMeta } from './meta.ts';
import { createSingleRowTables, createStateTables, dropCutSessions, TABLES } from './schema.ts';
import { type EntryLimits, entryLimits, type Settings } from './settings.ts';
import { SnapshotCut } from './snapshot.ts';
import type { SnapshotHeader } from './snapshot-format.ts';
import { hashOfState } from './state-hash.ts';
import { compact, deleteCompacted, type QueueHead } from './supersessions.ts';
import { executeWrite } from './write.ts';

const APPLY_VERSION = 1;

export class KeyValueStore implements StateMachine {
  readonly applyVersion = APPLY_VERSION;
  readonly #sql: Sql;
  /** This peer's own settings: they act only in entries that it encodes. */
  readonly #limits: EntryLimits;
  /** The stored counters; null: not read yet. A throw ends the instance, so memory is never ahead of storage. */
  #meta: Meta | null = null;
  #cut: SnapshotCut | null = null;
  /** An instance that ended with an open cut may have left its sessions aside. */
  #leftoversDropped = false;
  readonly #queueHead: QueueHead = { timeMs: null };
  /** All rows that were compacted up to here are deleted, as far as is known. */
  #deletedTo = 0;
  /** What `understands` decoded last, for the `apply` that follows. */
  #understood: { readonly data: Uint8Array; readonly entry: Entry } | null = null;

  /** Throws RangeError on malformed settings. */
  constructor(sql: Sql, settings: Settings) {
    this.#sql = sql;
    this.#limits = entryLimits(settings);
  }

  createTables(): void {
    createStateTables(this.#sql, TABLES, null);
    createSingleRowTables(this.#sql);
    insertMeta(this.#sql, emptyMeta(), APPLY_VERSION);
  }

  accepts(command: unknown): boolean {
    return isCommand(command);
  }

  commandBytes(command: unknown): number {
    return commandBytes(command);
  }

  encodeEntry(commands: readonly unknown[]): Uint8Array {
    return encodeEntry(this.#limits, commands as readonly Command[]);
  }

  understands(data: Uint8Array): boolean {
    const entry = decodeEntry(data);
    this.#understood = entry === null ? null : { data, entry };
    return entry !== null;
  }

  apply({ elapsedMs, data }: AppliedEntry): CommandResult[] {
    const entry = data === null ? null : this.#decoded(data);
    const meta = this.#loadedMeta();
    meta.logTimeMs += elapsedMs;
    const sessions = new SessionsOfEntry(this.#sql, meta, (pool, id) => this.#cut?.keepSession(pool, id));
    sessions.expire();
    const results = entry === null ? [] : this.#applyCommands(entry, meta, sessions);
    const budget = COMPACTIONS_PER_COMMAND * results.length + MAX_IDLE_COMPACTIONS;
    compact(this.#sql, meta, budget, entry?.limits.historyLimitBytes ?? null, this.#queueHead);
    sessions.store();
    updateMeta(this.#sql, meta, APPLY_VERSION);
    return results;
  }

  acceptsQuery(query: unknown): boolean {
    return isQuery(query);
  }

  query(query: unknown): Answer {
    return answer(this.#sql, query as Query);
  }

  stateHash(): string {
    return hashOfState(this.#loadedMeta(), APPLY_VERSION);
  }

  gauges(): Record<string, number> {
    const meta = this.#loadedMeta();
    return {
      revision: meta.revision,
      compacted_revision: meta.compactedRevision,
      keys: meta.keys,
      live_bytes: meta.liveBytes,
      history_versions: meta.supersessions,
      history_bytes: meta.historyBytes,
      clerk_sessions: meta.sessions[0],
      router_sessions: meta.sessions[1],
      log_time_ms: meta.logTimeMs,
      storage_limit_bytes: this.#limits.storageLimitBytes,
    };
  }

  housekeep(): boolean {
    if (!this.#leftoversDropped && this.#cut === null) dropCutSessions(this.#sql);
    this.#leftoversDropped = true;
    const boundary = this.#cut?.header.compactedRevision ?? this.#loadedMeta().compactedRevision;
    if (boundary <= this.#deletedTo) return false;
    const more = deleteCompacted(this.#sql, boundary);
    if (!more) this.#deletedTo = boundary;
    return more;
  }

  beginSnapshot(): SnapshotHeader {
    this.#leftoversDropped = true;
    this.#cut = new SnapshotCut(this.#sql, this.#loadedMeta(), APPLY_VERSION);
    return this.#cut.header;
  }

  /** Throws without an open cut. */
  snapshotPage(after: Uint8Array | null, maxBytes: number): SnapshotPage {
    if (this.#cut === null) throw new Error('no snapshot cut is open');
    return this.#cut.page(after, maxBytes);
  }

  endSnapshot(): void {
    this.#cut?.close();
    this.#cut = null;
  }

  beginInstall(generation: number): void {
    beginStaging(this.#sql, generation);
  }

  stagePage(page: Uint8Array): boolean {
    return stagePage(this.#sql, page);
  }

  finishInstall(header: unknown): boolean {
    const installed = finishStaging(this.#sql, header, APPLY_VERSION);
    if (installed === null) return false;
    this.#meta = installed;
    this.#queueHead.timeMs = null;
    this.#deletedTo = 0;
    this.endSnapshot();
    return true;
  }

  #applyCommands(entry: Entry, meta: Meta, sessions: SessionsOfEntry): CommandResult[] {
    return entry.commands.map((command) =>
      sessions.once(command.session, entry.limits, () => executeWrite(this.#sql, meta, entry.limits, command)),
    );
  }

  /** Throws on an entry that is not understood: the peer stops before it. */
  #decoded(data: Uint8Array): Entry {
    const entry = this.#understood?.data === data ? this.#understood.entry : decodeEntry(data);
    this.#understood = null;
    if (entry === null) throw new Error('an entry that is not understood was to be applied');
    return entry;
  }

  #loadedMeta(): Meta {
    this.#meta ??= loadMeta(this.#sql);
    return this.#meta;
  }
}

export const createKeyValueStore: StateMachineFactory = (sql, settings) => new KeyValueStore(sql, settings);
