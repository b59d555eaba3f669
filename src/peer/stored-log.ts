/**
 * The log in SQLite: one row an entry. Rows of entries that were compacted are free, and become the rows of new entries: an
 * entry costs one row written for its whole life, where an insertion and a deletion would be two. A row is free if its index is
 * at most lastIncludedIndex, which lies in the peer's own row; so nothing needs to be said about it on disk.
 */
import { invariant } from '../raft/invariant.ts';
import { ENTRY_OVERHEAD_BYTES } from '../raft/log.ts';
import type { Entry, EntrySummary, RaftLimits } from '../raft/types.ts';
import { decodeEntry, encodeEntry } from './entry-codec.ts';
import type { StoredEntry } from './message-codec.ts';
import type { Sql } from './sql.ts';

/** Entries kept in memory: enough for what is being replicated and applied. */
const CACHE_BYTES = 4 * 1024 * 1024;
/** Rows restored at a time, and the size up to which a row is looked into: together at most 4 MiB in memory. */
const RESTORE_ROWS = 512;
const MAX_CONFIGURATION_BYTES = 8192;
/** What one call of `deleteSurplus` deletes at most (one row may exceed the bytes). */
const MAX_DELETED_ROWS = 256;
const MAX_DELETED_BYTES = 4 * 1024 * 1024;

export class StoredLog {
  readonly #sql: Sql;
  readonly #maxFreeRows: number;
  readonly #maxFreeBytes: number;
  readonly #cache = new Map<number, StoredEntry>();
  #cacheBytes = 0;
  #lastIncludedIndex = 0;
  /** Indexes of free rows, the highest first. */
  #free: number[] = [];
  /** There are free rows below these. */
  #hasSurplus = false;

  /** A compaction frees about one tail, and the entries until the next one take as much: twice that may be free. */
  constructor(sql: Sql, { tailEntries, tailBytes }: Pick<RaftLimits, 'tailEntries' | 'tailBytes'>) {
    this.#sql = sql;
    this.#maxFreeRows = 2 * tailEntries;
    this.#maxFreeBytes = 2 * tailBytes;
  }

  createTable(): void {
    this.#sql.exec('CREATE TABLE log (idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, data BLOB NOT NULL)');
  }

  /** Sizes and terms of the whole log, without its data: only a small row can be a configuration, and is decoded. */
  restore(lastIncludedIndex: number): EntrySummary[] {
    this.#findFree(lastIncludedIndex);
    const summaries: EntrySummary[] = [];
    while (true) {
      const rows = this.#sql.exec(
        `SELECT idx, term, length(data), CASE WHEN length(data) <= ? THEN data END FROM log
          WHERE idx > ? ORDER BY idx LIMIT ?`,
        MAX_CONFIGURATION_BYTES,
        summaries.at(-1)?.index ?? lastIncludedIndex,
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

  /** An entry that is about to be sent, and appended after that. */
  remember(entry: Entry): void {
    this.#remember({ entry, data: encodeEntry(entry) });
  }

  append(entry: Entry): void {
    const remembered = this.#cache.get(entry.index);
    const stored = remembered?.entry === entry ? remembered : { entry, data: encodeEntry(entry) };
    this.#writeRow(entry, stored.data);
    if (stored !== remembered) this.#remember(stored);
  }

  #writeRow({ index, term }: Entry, data: Uint8Array): void {
    const free = this.#free.pop();
    if (free === undefined) {
      this.#sql.exec('INSERT INTO log (idx, term, data) VALUES (?, ?, ?)', index, term, data);
      return;
    }
    const changed = this.#sql.exec(
      'UPDATE log SET idx = ?, term = ?, data = ? WHERE idx = ? RETURNING 1',
      index,
      term,
      data,
      free,
    );
    invariant(changed.length === 1, 'a free row is there');
  }

  truncateFrom(index: number): void {
    this.#sql.exec('DELETE FROM log WHERE idx >= ?', index);
    for (const cached of [...this.#cache.keys()]) if (cached >= index) this.#forget(cached);
  }

  /** Entries up to `lastIncludedIndex` are compacted: their rows are free. */
  compactTo(lastIncludedIndex: number): void {
    for (const cached of [...this.#cache.keys()]) if (cached <= lastIncludedIndex) this.#forget(cached);
    this.#findFree(lastIncludedIndex);
  }

  /** A snapshot takes the place of the whole log. */
  reset(lastIncludedIndex: number): void {
    this.truncateFrom(lastIncludedIndex + 1);
    this.compactTo(lastIncludedIndex);
  }

  /** The newest of them are kept for new entries, as far as the limits allow; at least one. */
  #findFree(lastIncludedIndex: number): void {
    this.#lastIncludedIndex = lastIncludedIndex;
    const rows = this.#sql.exec(
      'SELECT idx, length(data) FROM log WHERE idx <= ? ORDER BY idx DESC LIMIT ?',
      lastIncludedIndex,
      this.#maxFreeRows + 1,
    ) as [number, number][];
    let bytes = 0;
    const surplusFrom = rows.findIndex(([, length], i) => {
      bytes += length;
      return i > 0 && (i === this.#maxFreeRows || bytes > this.#maxFreeBytes);
    });
    this.#hasSurplus = surplusFrom > 0;
    this.#free = rows.slice(0, this.#hasSurplus ? surplusFrom : undefined).map(([index]) => index);
  }

  /** Deletes some of the free rows beyond the limits. True: there are more. */
  deleteSurplus(): boolean {
    if (!this.#hasSurplus) return false;
    const lowestKept = this.#free.at(-1) ?? this.#lastIncludedIndex + 1;
    const rows = this.#sql.exec(
      'SELECT idx, length(data) FROM log WHERE idx < ? ORDER BY idx LIMIT ?',
      lowestKept,
      MAX_DELETED_ROWS,
    ) as [number, number][];
    let bytes = 0;
    const last = rows.find(([, length], i) => {
      bytes += length;
      return bytes >= MAX_DELETED_BYTES || i === MAX_DELETED_ROWS - 1;
    });
    this.#sql.exec('DELETE FROM log WHERE idx < ?', last === undefined ? lowestKept : last[0] + 1);
    this.#hasSurplus = last !== undefined;
    return this.#hasSurplus;
  }

  /** The entries of a range, from memory or from the table. */
  entries(fromIndex: number, toIndex: number): StoredEntry[] {
    const entries: StoredEntry[] = [];
    for (let index = fromIndex; index <= toIndex; index += 1) entries.push(this.#entry(index));
    return entries;
  }

  #entry(index: number): StoredEntry {
    const cached = this.#cache.get(index);
    if (cached !== undefined) return cached;
    const [row] = this.#sql.exec('SELECT term, data FROM log WHERE idx = ?', index);
    invariant(row !== undefined && index > this.#lastIncludedIndex, 'an entry that the core knows of is in the log');
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
}
