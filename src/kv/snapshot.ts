/**
 * A snapshot cut: the state at one revision, read page by page while writes go on.
 *
 * Versions never change while somebody sees them, so those of the cut are found again: not newer than its revision, and not
 * compacted at that time. Rows of supersessions likewise, and the header holds the tail. No row that was compacted after the
 * cut's compactedRevision may be taken or deleted while it is open. Sessions have no versions: each is put aside on its first
 * change after the cut, and read from there.
 */
import type { Sql } from '../peer/sql.ts';
import type { SnapshotPage } from '../peer/state-machine.ts';
import { INLINE_VALUE_BYTES, MAX_SNAPSHOT_ROWS_EXAMINED } from './limits.ts';
import type { Meta } from './meta.ts';
import { dropCutSessions, recreateCutSessions } from './schema.ts';
import type { Pool } from './sessions.ts';
import {
  decodePosition,
  encodePage,
  encodePosition,
  HEADER_FORMAT_VERSION,
  PAGE_FIXED_BYTES,
  type Page,
  type Position,
  ROW_FIXED_BYTES,
  SECTION,
  type SessionRow,
  type SnapshotHeader,
  type VersionRow,
} from './snapshot-format.ts';
import { chunkHash, StateSum } from './state-hash.ts';
import type { EncodedChunk } from './supersession-chunk.ts';
import { chunksAfter, compactedItems, endOf } from './supersessions.ts';
import { bytesOf, storedValue, tombstoneOf } from './versions.ts';

const ROWS_PER_STATEMENT = 64;

/** `superseded`: a later version of the key was there when the cut's compactedRevision passed it. */
export const VERSIONS_AFTER = `
  SELECT key, mod_revision, create_revision, version, tombstone, digest, coalesce(length(value), 0),
      CASE WHEN length(value) <= ${INLINE_VALUE_BYTES} THEN value END,
      EXISTS (SELECT 1 FROM kv_versions AS later WHERE later.key = kv_versions.key
        AND later.mod_revision > kv_versions.mod_revision AND later.mod_revision <= ?) AS superseded
    FROM kv_versions WHERE (key, mod_revision) > (?, ?) ORDER BY key, mod_revision LIMIT ?`;

/**
 * Sessions that exist now or existed at the cut, in order: what was put aside goes before what is there now. `present` 0:
 * not there at the cut. The order is that of the union, which a LEFT JOIN keeps.
 */
export const SESSIONS_AFTER = `
  SELECT names.pool, names.id, coalesce(aside.present, 1),
      iif(aside.present IS NULL, now.last_used_ms, aside.last_used_ms), iif(aside.present IS NULL, now.acked, aside.acked),
      iif(aside.present IS NULL, now.highest, aside.highest), iif(aside.present IS NULL, now.replies, aside.replies)
    FROM (SELECT pool, id FROM kv_sessions WHERE (pool, id) > (?, ?)
      UNION SELECT pool, id FROM kv_cut_sessions WHERE (pool, id) > (?, ?) ORDER BY 1, 2 LIMIT ?) AS names
    LEFT JOIN kv_cut_sessions AS aside ON aside.pool = names.pool AND aside.id = names.id
    LEFT JOIN kv_sessions AS now ON now.pool = names.pool AND now.id = names.id`;

/** Rows of one page as they are found, until the page is full. */
class PageRows<Row> {
  readonly rows: Row[] = [];
  readonly #maxBytes: number;
  #bytes = PAGE_FIXED_BYTES;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether a row of `contentBytes` (keys, values, replies) fits. The first one always does. */
  fits(contentBytes: number): boolean {
    return this.rows.length === 0 || this.#bytes + contentBytes + ROW_FIXED_BYTES <= this.#maxBytes;
  }

  push(row: Row, contentBytes: number): void {
    this.rows.push(row);
    this.#bytes += contentBytes + ROW_FIXED_BYTES;
  }
}

export class SnapshotCut {
  readonly header: SnapshotHeader;
  readonly #sql: Sql;
  /** Rows of the queue between these numbers are of the cut; the header has what comes after. */
  readonly #compactedItems: number;
  readonly #tailItemsBefore: number;

  constructor(sql: Sql, meta: Meta, applyVersion: number) {
    this.#sql = sql;
    this.#compactedItems = compactedItems(meta);
    const tail = meta.tail.from(this.#compactedItems);
    this.#tailItemsBefore = tail.itemsBefore;
    const stateSum = StateSum.from(meta.sum.toBytes());
    stateSum.add(chunkHash(tail));
    this.header = {
      formatVersion: HEADER_FORMAT_VERSION,
      applyVersion,
      logTimeMs: meta.logTimeMs,
      revision: meta.revision,
      compactedRevision: meta.compactedRevision,
      keys: meta.keys,
      liveBytes: meta.liveBytes,
      supersessions: meta.supersessions,
      historyBytes: meta.historyBytes,
      clerkSessions: meta.sessions[0],
      routerSessions: meta.sessions[1],
      tail: [tail.itemsBefore, tail.bytesBefore, tail.encoded],
      stateSum: stateSum.toBytes(),
    };
    recreateCutSessions(sql);
  }

  close(): void {
    dropCutSessions(this.#sql);
  }

  /** To be called before a session's row changes, appears or goes: only its first call for a session counts. */
  keepSession(pool: Pool, id: string): void {
    this.#sql.exec(
      `INSERT OR IGNORE INTO kv_cut_sessions (pool, id, present, last_used_ms, acked, highest, replies)
         SELECT pool, id, 1, last_used_ms, acked, highest, replies FROM kv_sessions WHERE pool = ? AND id = ?`,
      pool,
      id,
    );
    this.#sql.exec('INSERT OR IGNORE INTO kv_cut_sessions (pool, id, present) VALUES (?, ?, 0)', pool, id);
  }

  /** A cursor that is none of ours counts as the beginning. */
  page(after: Uint8Array | null, maxBytes: number): SnapshotPage {
    const position = after === null ? null : decodePosition(after);
    if (position === null) return this.#versionsPage(new Uint8Array([0]), 0, maxBytes);
    if (position.section === SECTION.versions) {
      return this.#versionsPage(position.key, position.modRevision, maxBytes);
    }
    if (position.section === SECTION.supersessions) return this.#supersessionsPage(position.itemsEnd, maxBytes);
    return this.#sessionsPage(position.pool, position.id, maxBytes);
  }

  #versionsPage(key: Uint8Array, modRevision: number, maxBytes: number): SnapshotPage {
    const { revision, compactedRevision } = this.header;
    const page = new PageRows<VersionRow>(maxBytes);
    const made = (next: Position) => pageWith({ section: SECTION.versions, rows: page.rows }, next);
    let last: Position = { section: SECTION.versions, key, modRevision };
    for (let examined = 0; examined < MAX_SNAPSHOT_ROWS_EXAMINED; examined += ROWS_PER_STATEMENT) {
      const rows = this.#sql.exec(VERSIONS_AFTER, compactedRevision, last.key, last.modRevision, ROWS_PER_STATEMENT);
      for (const row of rows) {
        const next: Position = { section: SECTION.versions, key: row[0] as Uint8Array, modRevision: row[1] as number };
        const isTombstone = row[4] === 1;
        const compacted = isTombstone ? next.modRevision <= compactedRevision : row[8] === 1;
        if (next.modRevision <= revision && !compacted) {
          const contentBytes = next.key.byteLength + (row[6] as number);
          if (!page.fits(contentBytes)) return made(last);
          page.push(isTombstone ? tombstoneRow(next) : this.#versionRow(next, row), contentBytes);
        }
        last = next;
      }
      if (rows.length < ROWS_PER_STATEMENT) {
        return made({ section: SECTION.supersessions, itemsEnd: this.#compactedItems });
      }
    }
    return made(last);
  }

  #versionRow(at: { key: Uint8Array; modRevision: number }, row: unknown[]): VersionRow {
    const valueBytes = row[6] as number;
    const value = valueBytes <= INLINE_VALUE_BYTES ? bytesOf(row[7]) : storedValue(this.#sql, at.key, at.modRevision);
    const version = {
      key: at.key,
      modRevision: at.modRevision,
      createRevision: row[2] as number,
      version: row[3] as number,
      tombstone: false,
      digest: bytesOf(row[5]),
      valueBytes,
    };
    return { version, value };
  }

  #supersessionsPage(after: number, maxBytes: number): SnapshotPage {
    const page = new PageRows<EncodedChunk>(maxBytes);
    const made = (next: Position) => pageWith({ section: SECTION.supersessions, rows: page.rows }, next);
    let last: Position = { section: SECTION.supersessions, itemsEnd: after };
    for (;;) {
      const chunks = chunksAfter(this.#sql, last.itemsEnd, this.#tailItemsBefore, ROWS_PER_STATEMENT);
      for (const chunk of chunks) {
        if (!page.fits(chunk.encoded.byteLength)) return made(last);
        page.push(chunk, chunk.encoded.byteLength);
        last = { section: SECTION.supersessions, itemsEnd: endOf(chunk) };
      }
      if (chunks.length < ROWS_PER_STATEMENT) return made({ section: SECTION.sessions, pool: -1, id: '' });
    }
  }

  #sessionsPage(pool: number, id: string, maxBytes: number): SnapshotPage {
    const page = new PageRows<SessionRow>(maxBytes);
    const made = (next: Position | null) => pageWith({ section: SECTION.sessions, rows: page.rows }, next);
    let last: Position = { section: SECTION.sessions, pool, id };
    for (let examined = 0; examined < MAX_SNAPSHOT_ROWS_EXAMINED; examined += ROWS_PER_STATEMENT) {
      const { pool: lastPool, id: lastId } = last;
      const rows = this.#sql.exec(SESSIONS_AFTER, lastPool, lastId, lastPool, lastId, ROWS_PER_STATEMENT);
      for (const [rowPool, rowId, present, lastUsedMs, acked, highest, replyBytes] of rows as SessionColumns[]) {
        if (present === 1) {
          const replies = bytesOf(replyBytes);
          const contentBytes = replies.byteLength + rowId.length;
          if (!page.fits(contentBytes)) return made(last);
          page.push({ session: { pool: rowPool, id: rowId, lastUsedMs, acked, highest }, replies }, contentBytes);
        }
        last = { section: SECTION.sessions, pool: rowPool, id: rowId };
      }
      if (rows.length < ROWS_PER_STATEMENT) return made(null);
    }
    return made(last);
  }
}

type SessionColumns = [Pool, string, number, number, number, number, unknown];

function tombstoneRow(at: { key: Uint8Array; modRevision: number }): VersionRow {
  return { version: tombstoneOf(at.key, at.modRevision), value: new Uint8Array(0) };
}

function pageWith(page: Page, next: Position | null): SnapshotPage {
  return { page: encodePage(page), next: next === null ? null : encodePosition(next) };
}
