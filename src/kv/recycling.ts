/**
 * Rows of versions that were compacted wait, the oldest first, and become the rows of new versions: a write that takes one is
 * one row written, where an insertion now and a deletion later would be two. What nobody takes is deleted once too much waits.
 *
 * Only the oldest is ever taken: a superseded version never outlives the one that superseded it, which tells a snapshot that
 * it is gone. Rows that an open cut still shows are not taken: the caller's `boundary` keeps them.
 */
import type { Sql } from '../peer/sql.ts';
import { MAX_DELETED_BYTES_PER_HOUSEKEEPING, MAX_DELETIONS_PER_HOUSEKEEPING, MAX_WAITING_BYTES } from './limits.ts';
import type { Meta } from './meta.ts';
import type { Chunk, Tail } from './supersession-chunk.ts';
import { chunksAfter, QueueCursor } from './supersessions.ts';
import {
  deleteVersion,
  hasVersion,
  insertVersion,
  replaceVersion,
  type Version,
  type VersionName,
} from './versions.ts';

export class Recycling {
  readonly #sql: Sql;
  readonly #maxWaiting: number;
  readonly #cursor = new QueueCursor();
  /**
   * So many supersessions, and so many of their bytes, of all that ever were, have their rows gone. A new instance begins at the
   * queue's first row, of which an earlier one may have taken a part: these rows are not found, and passed over.
   */
  #gone: { items: number; bytes: number } | null = null;
  /** A row was found: none is missing from there on. */
  #foundOne = false;
  /** Where the first one is that is not gone, as far as is known. */
  #chunk: Chunk | null = null;
  /** Of a delete's two rows, the superseded version is gone, and the tombstone is next. */
  #tombstoneNext = false;

  /** `maxWaiting`: supersessions whose rows may wait. */
  constructor(sql: Sql, maxWaiting: number) {
    this.#sql = sql;
    this.#maxWaiting = maxWaiting;
  }

  /** Stores a new version, in a row that waits if there is one. */
  store(meta: Meta, boundary: number, version: Version, value: Uint8Array): void {
    let row = this.#take(meta, boundary);
    // Rows go in their order: where one is there, all that follow are.
    while (row !== null && !this.#foundOne && !hasVersion(this.#sql, row)) row = this.#take(meta, boundary);
    if (row === null) return insertVersion(this.#sql, 'kv_versions', version, value);
    this.#foundOne = true;
    replaceVersion(this.#sql, row, version, value);
  }

  /** Deletes some of what waits beyond the limits. True: there is more. */
  deleteSurplus(meta: Meta, boundary: number): boolean {
    let deletedBytes = 0;
    for (let deletions = 0; this.#hasSurplus(meta); deletions += 1) {
      if (deletions === MAX_DELETIONS_PER_HOUSEKEEPING || deletedBytes > MAX_DELETED_BYTES_PER_HOUSEKEEPING)
        return true;
      const bytesBefore = this.#gone?.bytes ?? 0;
      const row = this.#take(meta, boundary);
      if (row === null) return false;
      deleteVersion(this.#sql, row);
      deletedBytes += this.#gone!.bytes - bytesBefore;
    }
    return false;
  }

  #hasSurplus(meta: Meta): boolean {
    const { items, bytes } = this.#waiting(meta);
    return items > this.#maxWaiting || bytes > MAX_WAITING_BYTES;
  }

  #waiting({ tail, supersessions, historyBytes }: Meta): { items: number; bytes: number } {
    const compacted = { items: tail.itemsEver - supersessions, bytes: tail.bytesEver - historyBytes };
    if (compacted.items === 0) return compacted;
    this.#gone ??= this.#beginning(tail);
    return { items: compacted.items - this.#gone.items, bytes: compacted.bytes - this.#gone.bytes };
  }

  #beginning({ itemsBefore, bytesBefore }: Tail): { items: number; bytes: number } {
    const [first = { itemsBefore, bytesBefore }] = chunksAfter(this.#sql, 0, itemsBefore, 1);
    return { items: first.itemsBefore, bytes: first.bytesBefore };
  }

  /** The oldest row that waits, if it was compacted at or below `boundary`. It counts as gone from here on. */
  #take(meta: Meta, boundary: number): VersionName | null {
    if (this.#waiting(meta).items === 0) return null;
    const { items, bytes } = this.#gone!;
    const { item, chunk } = this.#cursor.item(this.#sql, meta.tail, items);
    if (chunk !== this.#chunk) this.#enter(chunk, items);
    if (item.revision > boundary) return null;
    if (item.tombstone && !this.#tombstoneNext) {
      this.#tombstoneNext = true;
      return item;
    }
    const row = this.#tombstoneNext ? { key: item.key, modRevision: item.revision } : item;
    this.#tombstoneNext = false;
    this.#gone = { items: items + 1, bytes: bytes + item.bytes };
    if (chunk === meta.tail) meta.tail.dropUpTo(items + 1);
    return row;
  }

  /** The row of the queue that was gone through has nothing left to tell. */
  #enter(chunk: Chunk, gone: number): void {
    if (this.#chunk !== null) this.#sql.exec('DELETE FROM kv_supersessions WHERE items_end <= ?', gone);
    this.#chunk = chunk;
  }
}
