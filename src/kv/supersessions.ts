/**
 * The queue of what was superseded, in the order of the revisions that did it; and compaction, which goes along it. Rows of
 * the queue hold many supersessions each; its end is the tail, which lies in the summary.
 *
 * A version that was superseded at revision r is seen by listings below r, so it stays until compactedRevision reaches r.
 * A delete leaves a tombstone at its own revision r, for listings at or above r while older versions are there; it is not
 * needed after these are gone, and goes with the same item.
 *
 * Compaction is logical and replicated: it moves compactedRevision and the counters. The rows of versions are taken for
 * others, or deleted, afterwards, by each peer in its own time (recycling.ts).
 */
import type { Sql, SqlRow } from '../peer/sql.ts';
import { HISTORY_MIN_AGE_MS } from './limits.ts';
import type { Meta } from './meta.ts';
import { chunkHash, StateSum, versionHash } from './state-hash.ts';
import { type Chunk, decodeItems, type EncodedChunk, type Supersession, Tail } from './supersession-chunk.ts';
import { type Version, versionBytes } from './versions.ts';

/** So many supersessions were compacted, of all that ever were. */
export function compactedItems({ tail, supersessions }: Pick<Meta, 'tail' | 'supersessions'>): number {
  return tail.itemsEver - supersessions;
}

/** Puts `superseded` (which `by` replaced at its revision) at the end of the queue. */
export function supersede(sql: Sql, meta: Meta, superseded: Version, by: Version): void {
  let rowsHash = versionHash(superseded);
  let bytes = versionBytes(superseded);
  if (by.tombstone) {
    const both = StateSum.from(rowsHash);
    both.add(versionHash(by));
    rowsHash = both.toBytes();
    bytes += versionBytes(by);
  }
  makeRoom(sql, meta, superseded.key);
  meta.tail.push({
    revision: by.modRevision,
    key: superseded.key,
    modRevision: superseded.modRevision,
    tombstone: by.tombstone,
    timeMs: meta.logTimeMs,
    bytes,
    rowsHash,
  });
  meta.supersessions += 1;
  meta.historyBytes += bytes;
}

/**
 * A full tail becomes rows. What is compacted of it is this peer's own affair (others may have forgotten it), and goes first,
 * into a row of its own; the rest makes a row, on all peers alike, only if it would be too long even so.
 */
function makeRoom(sql: Sql, meta: Meta, key: Uint8Array): void {
  const { tail } = meta;
  if (tail.hasRoomFor(key)) return;
  const compacted = tail.upTo(compactedItems(meta));
  if (compacted !== null) {
    insertChunk(sql, 'kv_supersessions', compacted, null);
    tail.dropUpTo(compactedItems(meta));
    if (tail.hasRoomFor(key)) return;
  }
  const whole = tail.from(0);
  tail.hash = chunkHash(whole);
  meta.sum.add(tail.hash);
  insertChunk(sql, 'kv_supersessions', whole, tail.hash);
  meta.tail = new Tail(tail.itemsEver, tail.bytesEver);
}

/**
 * Moves compactedRevision over at most `budget` items that are old enough, or while the history is above its limit.
 * `historyLimitBytes` null: by age alone. A row leaves the state sum when all of it is compacted.
 */
export function compact(
  sql: Sql,
  meta: Meta,
  budget: number,
  historyLimitBytes: number | null,
  cursor: QueueCursor,
): void {
  for (let left = budget; left > 0 && meta.supersessions > 0; left -= 1) {
    const { item, chunk } = cursor.item(sql, meta.tail, compactedItems(meta));
    const old = meta.logTimeMs - item.timeMs >= HISTORY_MIN_AGE_MS;
    if (!old && (historyLimitBytes === null || meta.historyBytes <= historyLimitBytes)) return;
    meta.compactedRevision = item.revision;
    meta.supersessions -= 1;
    meta.historyBytes -= item.bytes;
    meta.sum.subtract(item.rowsHash);
    if (chunk.hash !== null && compactedItems(meta) === endOf(chunk)) meta.sum.subtract(chunk.hash);
  }
}

/** Looks into the queue; keeps the chunk that it is in, so that going along the queue reads a row once. */
export class QueueCursor {
  #chunk: Chunk | null = null;

  /** The item of that number. Throws if it is gone, or not there yet. */
  item(sql: Sql, tail: Chunk, number: number): { readonly item: Supersession; readonly chunk: Chunk } {
    let chunk = this.#chunk;
    if (chunk === null || number < chunk.itemsBefore || number >= endOf(chunk)) {
      chunk = number >= tail.itemsBefore ? tail : (chunksAfter(sql, number, Number.MAX_SAFE_INTEGER, 1)[0] ?? tail);
      this.#chunk = chunk;
    }
    const item = chunk.items[number - chunk.itemsBefore];
    if (item === undefined) throw new Error(`supersession ${number} is not in the queue`);
    return { item, chunk };
  }
}

export type StoredChunk = Chunk & EncodedChunk;

/** The number after its last item's. */
export function endOf(chunk: Pick<Chunk, 'itemsBefore' | 'items'>): number {
  return chunk.itemsBefore + chunk.items.length;
}

/** Rows of the queue that end above `after`, and at or below `last`; at most `limit` of them, in order. */
export function chunksAfter(sql: Sql, after: number, last: number, limit: number): StoredChunk[] {
  const rows = sql.exec(
    `SELECT items_end, bytes_before, hash, items FROM kv_supersessions
       WHERE items_end > ? AND items_end <= ? ORDER BY items_end LIMIT ?`,
    after,
    last,
    limit,
  );
  return rows.map(chunkOf);
}

export function chunkOf(row: SqlRow): StoredChunk {
  const [itemsEnd, bytesBefore, hash, encoded] = row as [number, number, Uint8Array | null, Uint8Array];
  const items = decodeItems(encoded);
  if (items === null) throw new Error('a row of the queue of supersessions is damaged');
  return { itemsBefore: itemsEnd - items.length, bytesBefore, hash, encoded, items };
}

export function insertChunk(sql: Sql, table: string, chunk: EncodedChunk, hash: Uint8Array | null): void {
  sql.exec(
    `INSERT INTO ${table} (items_end, bytes_before, hash, items) VALUES (?, ?, ?, ?)`,
    endOf(chunk),
    chunk.bytesBefore,
    hash,
    chunk.encoded,
  );
}
