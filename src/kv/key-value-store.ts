/**
 * The key-value store as a state machine: revisions as in etcd, multi-version rows, sessions, bounded history. It ties the
 * parts together; each rule is in the file of its name.
 *
 *   apply(entry) = log time → sessions expire → each command once → compaction → sessions are written
 *   summary()    = the counters, for the peer's own row: once a turn
 */
import type { Sql } from '../peer/sql.ts';
import type { AppliedEntry, SnapshotPage, StateMachine, StateMachineFactory } from '../peer/state-machine.ts';
import { commandBytes, maxWrittenBytes } from './command-bytes.ts';
import { isCommand, isQuery } from './command-schema.ts';
import type { Answer, Command, CommandResult, Query } from './commands.ts';
import { decodeEntry, type Entry, encodeEntry } from './entry.ts';
import { SessionsOfEntry } from './exactly-once.ts';
import { beginStaging, dropStaging, finishStaging, stagePage } from './install.ts';
import { COMPACTIONS_PER_COMMAND, MAX_IDLE_COMPACTIONS } from './limits.ts';
import { answer } from './listing.ts';
import { LiveVersions } from './live-versions.ts';
import { decodeMeta, emptyMeta, encodeMeta, type Meta } from './meta.ts';
import { Recycling } from './recycling.ts';
import { createStagingTable, createStateTables, dropCutSessions, TABLES } from './schema.ts';
import { SessionMemory } from './session-memory.ts';
import { type EntryLimits, entryLimits, maxWaitingSupersessions, type Settings } from './settings.ts';
import { SnapshotCut } from './snapshot.ts';
import type { SnapshotHeader } from './snapshot-format.ts';
import { hashOfState } from './state-hash.ts';
import { compact, QueueCursor } from './supersessions.ts';
import { executeWrite, type StoreVersion } from './write.ts';

const APPLY_VERSION = 1;

export class KeyValueStore implements StateMachine {
  readonly applyVersion = APPLY_VERSION;
  writtenBytes = 0;
  readonly #examined = { keys: 0 };
  readonly #sql: Sql;
  /** This peer's own settings: they act only in entries that it encodes. */
  readonly #limits: EntryLimits;
  /** Null: not restored yet. A throw ends the instance, so memory is never ahead of storage. */
  #meta: Meta | null = null;
  #cut: SnapshotCut | null = null;
  /** An instance that ended with an open cut may have left its sessions aside. */
  #leftoversDropped = false;
  /** Where compaction is in the queue of supersessions. */
  #compaction = new QueueCursor();
  #recycling: Recycling;
  #sessions = new SessionMemory();
  readonly #maxWaiting: number;
  /** What `understands` decoded last, for the `apply` that follows. */
  #understood: { readonly data: Uint8Array; readonly entry: Entry } | null = null;

  /** Throws RangeError on malformed settings. */
  constructor(sql: Sql, settings: Settings) {
    this.#sql = sql;
    this.#limits = entryLimits(settings);
    this.#maxWaiting = maxWaitingSupersessions(settings);
    this.#recycling = new Recycling(sql, this.#maxWaiting);
  }

  createTables(): void {
    createStateTables(this.#sql, TABLES, null);
    createStagingTable(this.#sql);
  }

  restore(summary: Uint8Array | null): void {
    this.#meta = summary === null ? emptyMeta() : decodeMeta(summary);
  }

  summary(): Uint8Array {
    return encodeMeta(this.#restoredMeta(), APPLY_VERSION);
  }

  accepts(command: unknown): boolean {
    return isCommand(command);
  }

  commandBytes(command: unknown): number {
    return commandBytes(command);
  }

  maxWrittenBytes(command: unknown): number {
    return maxWrittenBytes(command as Command);
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
    const meta = this.#restoredMeta();
    meta.logTimeMs += elapsedMs;
    const sessions = new SessionsOfEntry(this.#sql, meta, this.#sessions, (pool, id) =>
      this.#cut?.keepSession(pool, id),
    );
    sessions.expire();
    const results = entry === null ? [] : this.#applyCommands(entry, meta, sessions);
    const budget = COMPACTIONS_PER_COMMAND * results.length + MAX_IDLE_COMPACTIONS;
    compact(this.#sql, meta, budget, entry?.limits.historyLimitBytes ?? null, this.#compaction);
    this.writtenBytes += sessions.store();
    return results;
  }

  get examinedKeys(): number {
    return this.#examined.keys;
  }

  acceptsQuery(query: unknown): boolean {
    return isQuery(query);
  }

  query(query: unknown): Answer {
    return answer(this.#sql, this.#restoredMeta(), query as Query, this.#examined);
  }

  stateHash(): string {
    return hashOfState(this.#restoredMeta(), APPLY_VERSION);
  }

  gauges(): Record<string, number> {
    const meta = this.#restoredMeta();
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
    return this.#recycling.deleteSurplus(this.#restoredMeta(), this.#seenFrom);
  }

  /** What was compacted at or below this revision nobody sees, an open cut included. */
  get #seenFrom(): number {
    return this.#cut?.header.compactedRevision ?? this.#restoredMeta().compactedRevision;
  }

  beginSnapshot(): SnapshotHeader {
    this.#leftoversDropped = true;
    this.#cut = new SnapshotCut(this.#sql, this.#restoredMeta(), APPLY_VERSION);
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

  abandonInstall(): void {
    dropStaging(this.#sql);
  }

  stagePage(page: Uint8Array): boolean {
    return stagePage(this.#sql, page);
  }

  finishInstall(header: unknown): boolean {
    const installed = finishStaging(this.#sql, header, APPLY_VERSION);
    if (installed === null) return false;
    this.#meta = installed;
    this.#compaction = new QueueCursor();
    this.#recycling = new Recycling(this.#sql, this.#maxWaiting);
    this.#sessions = new SessionMemory();
    this.endSnapshot();
    return true;
  }

  #applyCommands(entry: Entry, meta: Meta, sessions: SessionsOfEntry): CommandResult[] {
    const seenFrom = this.#seenFrom;
    const { commands, limits } = entry;
    const live = new LiveVersions(
      this.#sql,
      commands.map(({ key }) => key),
    );
    sessions.readAhead(commands.map(({ session }) => session));
    return commands.map((command, i) => {
      const store: StoreVersion = (version, value) => {
        this.#recycling.store(meta, seenFrom, version, value);
        this.writtenBytes += value.byteLength;
        live.set(i, version);
      };
      return sessions.once(command.session, limits, () =>
        executeWrite(this.#sql, meta, limits, command, live.get(i), store),
      );
    });
  }

  /** Throws on an entry that is not understood: the peer stops before it. */
  #decoded(data: Uint8Array): Entry {
    const entry = this.#understood?.data === data ? this.#understood.entry : decodeEntry(data);
    this.#understood = null;
    if (entry === null) throw new Error('an entry that is not understood was to be applied');
    return entry;
  }

  #restoredMeta(): Meta {
    if (this.#meta === null) throw new Error('the key-value store was not restored');
    return this.#meta;
  }
}

export const createKeyValueStore: StateMachineFactory = (sql, settings) => new KeyValueStore(sql, settings);
