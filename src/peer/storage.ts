/**
 * What a peer keeps in SQLite: who it is, hard state and applied index in one row, the log, and where a snapshot
 * installation stands. All writes of a turn commit together. An object that belongs to no group has no tables at all.
 */
import { decode, encode } from '../encoding/message-pack.ts';
import { invariant } from '../raft/invariant.ts';
import { ENTRY_OVERHEAD_BYTES } from '../raft/log.ts';
import type {
  Configuration,
  Effects,
  Entry,
  EntrySummary,
  HardState,
  Member,
  PeerId,
  RestoredState,
} from '../raft/types.ts';
import { decodeEntry, encodeEntry } from './entry-codec.ts';
import type { StoredEntry } from './message-codec.ts';
import type { Sql, SqlValue } from './sql.ts';

/** Log rows kept in memory: enough for what is being replicated and applied. */
const CACHE_BYTES = 4 * 1024 * 1024;
/** Rows restored at a time, and the size up to which a row is looked into: together at most 4 MiB in memory. */
const RESTORE_ROWS = 512;
const MAX_CONFIGURATION_BYTES = 8192;

export interface Identity {
  readonly groupId: string;
  readonly id: PeerId;
}

interface StateRow {
  readonly hardState: HardState;
  readonly lastApplied: number;
  readonly lastIncludedIndex: number;
  readonly lastIncludedTerm: number;
}

export interface Staging {
  readonly cutId: string;
  readonly lastIncludedIndex: number;
  readonly chunk: number;
  readonly cursor: Uint8Array | null;
}

export class PeerStorage {
  readonly #sql: Sql;
  readonly #cache = new Map<number, StoredEntry>();
  #cacheBytes = 0;
  #state: StateRow | null = null;
  #stateDirty = false;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  hasTables(): boolean {
    return this.#sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'peer_identity'").length > 0;
  }

  createTables(identity: Identity, foundingMembers: readonly Member[] | null): void {
    this.#sql.exec(`CREATE TABLE peer_identity (
      only INTEGER PRIMARY KEY CHECK (only = 1), group_id TEXT NOT NULL, peer_id INTEGER NOT NULL,
      founding_members BLOB, configuration BLOB)`);
    this.#sql.exec(`CREATE TABLE peer_state (
      only INTEGER PRIMARY KEY CHECK (only = 1), current_term INTEGER NOT NULL, voted_for INTEGER,
      last_applied INTEGER NOT NULL, last_included_index INTEGER NOT NULL, last_included_term INTEGER NOT NULL)`);
    this.#sql.exec('CREATE TABLE log (idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, data BLOB NOT NULL)');
    this.#sql.exec(`CREATE TABLE peer_staging (
      only INTEGER PRIMARY KEY CHECK (only = 1), cut_id TEXT NOT NULL, last_included_index INTEGER NOT NULL,
      chunk INTEGER NOT NULL, page_cursor BLOB)`);
    const members = foundingMembers === null ? null : encode(foundingMembers);
    this.#sql.exec('INSERT INTO peer_identity VALUES (1, ?, ?, ?, NULL)', identity.groupId, identity.id, members);
    this.#sql.exec('INSERT INTO peer_state VALUES (1, 0, NULL, 0, 0, 0)');
  }

  identity(): Identity {
    const [row] = this.#sql.exec('SELECT group_id, peer_id FROM peer_identity');
    invariant(row !== undefined, 'an object with tables knows who it is');
    return { groupId: row[0] as string, id: row[1] as number };
  }

  /** The members that a founding was begun with, on the peer that founds. */
  foundingMembers(): Member[] | null {
    const members = this.#sql.exec('SELECT founding_members FROM peer_identity')[0]?.[0];
    return members instanceof Uint8Array ? (decode(members) as Member[]) : null;
  }

  restore(): RestoredState {
    const [row] = this.#sql.exec(
      'SELECT current_term, voted_for, last_applied, last_included_index, last_included_term FROM peer_state',
    );
    invariant(row !== undefined, 'an object with tables has a state');
    const [currentTerm, votedFor, lastApplied, lastIncludedIndex, lastIncludedTerm] = row as number[];
    const hardState = { currentTerm: currentTerm as number, votedFor: votedFor as SqlValue as PeerId | null };
    this.#state = {
      hardState,
      lastApplied: lastApplied as number,
      lastIncludedIndex: lastIncludedIndex as number,
      lastIncludedTerm: lastIncludedTerm as number,
    };
    const configuration = this.#sql.exec('SELECT configuration FROM peer_identity')[0]?.[0];
    return {
      ...this.#state,
      configuration: configuration instanceof Uint8Array ? (decode(configuration) as Configuration) : null,
      entries: this.#summaries(),
    };
  }

  /** Sizes and terms of the whole log, without its data: only a small row can be a configuration, and is decoded. */
  #summaries(): EntrySummary[] {
    const summaries: EntrySummary[] = [];
    while (true) {
      const rows = this.#sql.exec(
        `SELECT idx, term, length(data), CASE WHEN length(data) <= ? THEN data END FROM log
          WHERE idx > ? ORDER BY idx LIMIT ?`,
        MAX_CONFIGURATION_BYTES,
        summaries.at(-1)?.index ?? 0,
        RESTORE_ROWS,
      );
      if (rows.length === 0) return summaries;
      for (const row of rows) {
        const [index, term, length, data] = row as [number, number, number, Uint8Array | null];
        const payload = data === null ? null : decodeEntry(index, term, data).payload;
        summaries.push({
          index,
          term,
          bytes: ENTRY_OVERHEAD_BYTES + length,
          ...(payload?.type === 'configuration' && { configuration: payload.configuration }),
        });
      }
    }
  }

  // ---- the effects of a step

  writeLog(effects: Pick<Effects, 'reset' | 'truncateFrom' | 'append' | 'compact' | 'hardState'>): void {
    if (effects.hardState !== null) this.#setState({ hardState: effects.hardState });
    if (effects.reset !== null) this.#begin(effects.reset, Number.MAX_SAFE_INTEGER);
    if (effects.truncateFrom !== null) this.#truncateFrom(effects.truncateFrom);
    for (const entry of effects.append) this.#insert(entry);
    if (effects.compact !== null) this.#begin(effects.compact, effects.compact.lastIncludedIndex);
  }

  #insert(entry: Entry): void {
    const data = encodeEntry(entry);
    this.#sql.exec('INSERT INTO log (idx, term, data) VALUES (?, ?, ?)', entry.index, entry.term, data);
    this.#remember({ entry, data });
  }

  #truncateFrom(index: number): void {
    this.#sql.exec('DELETE FROM log WHERE idx >= ?', index);
    for (const cached of [...this.#cache.keys()]) if (cached >= index) this.#forget(cached);
  }

  /** The log begins after lastIncludedIndex: rows up to `deleteTo` go. */
  #begin(
    start: { lastIncludedIndex: number; lastIncludedTerm: number; configuration: Configuration },
    deleteTo: number,
  ): void {
    const { lastIncludedIndex, lastIncludedTerm, configuration } = start;
    this.#sql.exec('DELETE FROM log WHERE idx <= ?', deleteTo);
    for (const cached of [...this.#cache.keys()]) if (cached <= deleteTo) this.#forget(cached);
    const encoded = encode(configuration);
    // Most compactions do not move past a configuration: a row less.
    this.#sql.exec('UPDATE peer_identity SET configuration = ? WHERE configuration IS NOT ?', encoded, encoded);
    this.#setState({ lastIncludedIndex, lastIncludedTerm });
    if (deleteTo === Number.MAX_SAFE_INTEGER) this.#setState({ lastApplied: lastIncludedIndex });
  }

  setLastApplied(lastApplied: number): void {
    this.#setState({ lastApplied });
  }

  #setState(change: Partial<StateRow>): void {
    invariant(this.#state !== null, 'state is restored before it is changed');
    this.#state = { ...this.#state, ...change };
    this.#stateDirty = true;
  }

  /** Writes the one row of hard state and applied index, if a turn has changed it: once a turn, before anything is sent. */
  flushState(): void {
    if (!this.#stateDirty || this.#state === null) return;
    const { hardState, lastApplied, lastIncludedIndex, lastIncludedTerm } = this.#state;
    this.#sql.exec(
      `UPDATE peer_state SET current_term = ?, voted_for = ?, last_applied = ?, last_included_index = ?,
        last_included_term = ?`,
      hardState.currentTerm,
      hardState.votedFor,
      lastApplied,
      lastIncludedIndex,
      lastIncludedTerm,
    );
    this.#stateDirty = false;
  }

  /** The entries of a range, from memory or from the log. */
  entries(fromIndex: number, toIndex: number): StoredEntry[] {
    const entries: StoredEntry[] = [];
    for (let index = fromIndex; index <= toIndex; index += 1) entries.push(this.#entry(index));
    return entries;
  }

  #entry(index: number): StoredEntry {
    const cached = this.#cache.get(index);
    if (cached !== undefined) return cached;
    const [row] = this.#sql.exec('SELECT term, data FROM log WHERE idx = ?', index);
    invariant(row !== undefined, 'an entry that the core knows of is in the log');
    const data = row[1] as Uint8Array;
    return { entry: decodeEntry(index, row[0] as number, data), data };
  }

  #remember(stored: StoredEntry): void {
    this.#cache.set(stored.entry.index, stored);
    this.#cacheBytes += stored.data.byteLength;
    for (const oldest of this.#cache.keys()) {
      if (this.#cacheBytes <= CACHE_BYTES) return;
      this.#forget(oldest);
    }
  }

  #forget(index: number): void {
    const stored = this.#cache.get(index);
    if (stored === undefined) return;
    this.#cache.delete(index);
    this.#cacheBytes -= stored.data.byteLength;
  }

  // ---- snapshot installation

  staging(): Staging | null {
    const [row] = this.#sql.exec('SELECT cut_id, last_included_index, chunk, page_cursor FROM peer_staging');
    if (row === undefined) return null;
    const [cutId, lastIncludedIndex, chunk, cursor] = row as [string, number, number, Uint8Array | null];
    return { cutId, lastIncludedIndex, chunk, cursor };
  }

  setStaging(staging: Staging | null): void {
    if (staging === null) this.#sql.exec('DELETE FROM peer_staging');
    else
      this.#sql.exec(
        'INSERT OR REPLACE INTO peer_staging VALUES (1, ?, ?, ?, ?)',
        staging.cutId,
        staging.lastIncludedIndex,
        staging.chunk,
        staging.cursor,
      );
  }
}
