/**
 * The queue of what was superseded, in the order of the revisions that did it; and compaction, which goes along it.
 *
 * A version that was superseded at revision r is seen by listings below r, so it stays until compactedRevision reaches r.
 * A delete leaves a tombstone at its own revision r, for listings at or above r while older versions are there; it is not
 * needed after these are gone, and goes with the same item.
 *
 * Compaction is logical and replicated: it moves compactedRevision and the counters. The rows themselves are deleted
 * afterwards, by each peer in its own time.
 */
import type { Sql } from '../peer/sql.ts';
import { HISTORY_MIN_AGE_MS, MAX_DELETED_BYTES_PER_HOUSEKEEPING, MAX_DELETIONS_PER_HOUSEKEEPING } from './limits.ts';
import type { Meta } from './meta.ts';
import { StateSum, supersessionHash, versionHash } from './state-hash.ts';
import { type Version, versionBytes } from './versions.ts';

export interface Supersession {
  /** The revision that superseded. */
  readonly revision: number;
  readonly key: Uint8Array;
  /** Of the superseded version. */
  readonly modRevision: number;
  /** `revision` was a delete: its tombstone goes too. */
  readonly tombstone: boolean;
  /** Log time of `revision`. */
  readonly timeMs: number;
  /** What leaves the history with it. */
  readonly bytes: number;
  /** Sum of the hashes of the rows that go. */
  readonly rowsHash: Uint8Array;
}

const COLUMNS = 'revision, key, mod_revision, tombstone, time_ms, bytes, rows_hash';
const COMPACTION_CHUNK = 64;

/** Puts `superseded` (which `by` replaced at its revision) at the end of the queue. */
export function supersede(sql: Sql, meta: Meta, superseded: Version, by: Version): void {
  const rows = StateSum.from(versionHash(superseded));
  let bytes = versionBytes(superseded);
  if (by.tombstone) {
    rows.add(versionHash(by));
    bytes += versionBytes(by);
  }
  const item: Supersession = {
    revision: by.modRevision,
    key: superseded.key,
    modRevision: superseded.modRevision,
    tombstone: by.tombstone,
    timeMs: meta.logTimeMs,
    bytes,
    rowsHash: rows.toBytes(),
  };
  insertSupersession(sql, 'kv_supersessions', item);
  meta.supersessions += 1;
  meta.historyBytes += bytes;
  meta.sum.add(supersessionHash(item));
}

/** What an instance remembers of the queue's head, so that an entry need not read it while it is too young. */
export interface QueueHead {
  /** Log time of the oldest item that is not compacted; null: not known. */
  timeMs: number | null;
}

/**
 * Moves compactedRevision over at most `budget` items that are old enough, or while the history is above its limit.
 * `historyLimitBytes` null: by age alone.
 */
export function compact(sql: Sql, meta: Meta, budget: number, historyLimitBytes: number | null, head: QueueHead): void {
  const due = (timeMs: number): boolean =>
    meta.logTimeMs - timeMs >= HISTORY_MIN_AGE_MS ||
    (historyLimitBytes !== null && meta.historyBytes > historyLimitBytes);
  if (meta.supersessions === 0 || (head.timeMs !== null && !due(head.timeMs))) return;
  head.timeMs = null;
  // The head alone first: most of the time it is too young.
  for (let chunk = 1; budget > 0; chunk = COMPACTION_CHUNK) {
    const wanted = Math.min(chunk, budget);
    const items = supersessionsAfter(sql, meta.compactedRevision, meta.revision, wanted);
    for (const item of items) {
      if (!due(item.timeMs)) {
        head.timeMs = item.timeMs;
        return;
      }
      meta.compactedRevision = item.revision;
      meta.supersessions -= 1;
      meta.historyBytes -= item.bytes;
      meta.sum.subtract(item.rowsHash);
      meta.sum.subtract(supersessionHash(item));
    }
    if (items.length < wanted) return;
    budget -= items.length;
  }
}

/** Items with a revision above `after`, up to and with `last`, at most `limit` of them. */
export function supersessionsAfter(sql: Sql, after: number, last: number, limit: number): Supersession[] {
  const rows = sql.exec(
    `SELECT ${COLUMNS} FROM kv_supersessions WHERE revision > ? AND revision <= ? ORDER BY revision LIMIT ?`,
    after,
    last,
    limit,
  );
  return rows.map((row) => ({
    revision: row[0] as number,
    key: row[1] as Uint8Array,
    modRevision: row[2] as number,
    tombstone: row[3] === 1,
    timeMs: row[4] as number,
    bytes: row[5] as number,
    rowsHash: row[6] as Uint8Array,
  }));
}

export function insertSupersession(sql: Sql, table: string, item: Supersession): void {
  sql.exec(
    `INSERT INTO ${table} (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    item.revision,
    item.key,
    item.modRevision,
    item.tombstone ? 1 : 0,
    item.timeMs,
    item.bytes,
    item.rowsHash,
  );
}

/**
 * Deletes rows that were compacted at or below `boundary`, oldest first: a superseded version never outlives the one that
 * superseded it, which tells a snapshot that it is gone. True: there may be more.
 */
export function deleteCompacted(sql: Sql, boundary: number): boolean {
  const items = sql.exec(
    'SELECT revision, key, mod_revision, tombstone, bytes FROM kv_supersessions WHERE revision <= ? ORDER BY revision LIMIT ?',
    boundary,
    MAX_DELETIONS_PER_HOUSEKEEPING,
  );
  let bytes = 0;
  for (const [revision, key, modRevision, tombstone, itemBytes] of items) {
    if (bytes > MAX_DELETED_BYTES_PER_HOUSEKEEPING) return true;
    deleteVersion(sql, key as Uint8Array, modRevision as number);
    if (tombstone === 1) deleteVersion(sql, key as Uint8Array, revision as number);
    sql.exec('DELETE FROM kv_supersessions WHERE revision = ?', revision as number);
    bytes += itemBytes as number;
  }
  return items.length === MAX_DELETIONS_PER_HOUSEKEEPING;
}

function deleteVersion(sql: Sql, key: Uint8Array, modRevision: number): void {
  sql.exec('DELETE FROM kv_versions WHERE key = ? AND mod_revision = ?', key, modRevision);
}
