/**
 * What a snapshot is made of, in bytes: pages of rows, cursors between them, and the header that the whole is checked
 * against. Reading is strict, as with entries.
 *
 *   page: [formatVersion, section, [row, …]]
 *   version: [key, modRevision, createRevision, version, digest, value], or [key, modRevision] of a tombstone
 *   supersessions: [itemsBefore, bytesBefore, items], as in a row of the queue
 *   session: [pool, id, lastUsedMs, acked, highest, replies]
 */

import * as z from 'zod';
import { decode, encode } from '../encoding/message-pack.ts';
import { MAX_SNAPSHOT_PAGE_BYTES, SESSION_WINDOW } from './limits.ts';
import { decodeReplies } from './replies.ts';
import type { Pool, Session } from './sessions.ts';
import { decodeItems, type EncodedChunk, MAX_CHUNK_BYTES } from './supersession-chunk.ts';
import { tombstoneOf, type Version } from './versions.ts';
import { isBytes, isClerkId, isCount, isDigest, isKey, isPositive, isStoredValue } from './well-formed.ts';

// Workers forbid code made from strings, which zod would use for speed.
z.config({ jitless: true });

const FORMAT_VERSION = 1;

/** The order in which a snapshot goes through the tables. */
export const SECTION = { versions: 0, supersessions: 1, sessions: 2 } as const;

export interface VersionRow {
  readonly version: Version;
  readonly value: Uint8Array;
}
export interface SessionRow {
  readonly session: Omit<Session, 'replies'>;
  readonly replies: Uint8Array;
}
export type Page =
  | { readonly section: typeof SECTION.versions; readonly rows: readonly VersionRow[] }
  | { readonly section: typeof SECTION.supersessions; readonly rows: readonly EncodedChunk[] }
  | { readonly section: typeof SECTION.sessions; readonly rows: readonly SessionRow[] };

/** Where a page begins: after the row that is named. */
export type Position =
  | { readonly section: typeof SECTION.versions; readonly key: Uint8Array; readonly modRevision: number }
  | { readonly section: typeof SECTION.supersessions; readonly itemsEnd: number }
  | { readonly section: typeof SECTION.sessions; readonly pool: number; readonly id: string };

/** Upper bounds of what a page and a row take beyond their keys, values and replies. */
export const PAGE_FIXED_BYTES = 16;
export const ROW_FIXED_BYTES = 128;

const count = z.custom<number>(isCount);
const headerSchema = z.strictObject({
  formatVersion: z.literal(FORMAT_VERSION),
  applyVersion: count,
  logTimeMs: count,
  revision: count,
  compactedRevision: count,
  keys: count,
  liveBytes: count,
  supersessions: count,
  historyBytes: count,
  clerkSessions: count,
  routerSessions: count,
  /** What is not compacted of it: itemsBefore, bytesBefore, items. */
  tail: z.tuple([count, count, z.custom<Uint8Array>((value) => isBytes(value) && value.byteLength <= MAX_CHUNK_BYTES)]),
  /** Of all rows, and of the tail as if it were one. */
  stateSum: z.custom<Uint8Array>(isDigest),
});
export type SnapshotHeader = z.infer<typeof headerSchema>;
export const HEADER_FORMAT_VERSION = FORMAT_VERSION;

/** Null: not understood. */
export function readHeader(value: unknown): SnapshotHeader | null {
  const parsed = headerSchema.safeParse(value);
  return parsed.success ? parsed.data : null;
}

export function encodePage(page: Page): Uint8Array {
  return encode([FORMAT_VERSION, page.section, rowsFields(page)]);
}

function rowsFields(page: Page): unknown[] {
  if (page.section === SECTION.versions) return page.rows.map(versionFields);
  if (page.section === SECTION.supersessions) return page.rows.map(chunkFields);
  return page.rows.map(sessionFields);
}

function versionFields({ version: v, value }: VersionRow): unknown[] {
  if (v.tombstone) return [v.key, v.modRevision];
  return [v.key, v.modRevision, v.createRevision, v.version, v.digest, value];
}

function chunkFields({ itemsBefore, bytesBefore, encoded }: EncodedChunk): unknown[] {
  return [itemsBefore, bytesBefore, encoded];
}

function sessionFields({ session, replies }: SessionRow): unknown[] {
  return [session.pool, session.id, session.lastUsedMs, session.acked, session.highest, replies];
}

/** Null: malformed. */
export function decodePage(bytes: Uint8Array): Page | null {
  if (bytes.byteLength > MAX_SNAPSHOT_PAGE_BYTES) return null;
  const fields = decodeArray(bytes, 3);
  if (fields === null || fields[0] !== FORMAT_VERSION || !Array.isArray(fields[2])) return null;
  const section = fields[1];
  if (section === SECTION.versions) return pageOf(section, decodeRows(fields[2], readVersion));
  if (section === SECTION.supersessions) return pageOf(section, decodeRows(fields[2], readChunk));
  if (section === SECTION.sessions) return pageOf(section, decodeRows(fields[2], readSession));
  return null;
}

function pageOf(section: Page['section'], rows: Page['rows'] | null): Page | null {
  return rows === null ? null : ({ section, rows } as Page);
}

function decodeRows<Row>(fields: unknown[], read: (fields: unknown[]) => Row | null): Row[] | null {
  const rows: Row[] = [];
  for (const item of fields) {
    const row = Array.isArray(item) ? read(item) : null;
    if (row === null) return null;
    rows.push(row);
  }
  return rows;
}

function readVersion(fields: unknown[]): VersionRow | null {
  const [key, modRevision, createRevision, version, digest, value] = fields;
  if (!isKey(key) || !isPositive(modRevision)) return null;
  if (fields.length === 2) return { version: tombstoneOf(key, modRevision), value: new Uint8Array(0) };
  if (fields.length !== 6 || !isPositive(createRevision) || !isPositive(version)) return null;
  if (createRevision > modRevision || !isDigest(digest) || !isStoredValue(value)) return null;
  return {
    version: { key, modRevision, createRevision, version, tombstone: false, digest, valueBytes: value.byteLength },
    value,
  };
}

function readChunk(fields: unknown[]): EncodedChunk | null {
  const [itemsBefore, bytesBefore, encoded] = fields;
  if (fields.length !== 3 || !isCount(itemsBefore) || !isCount(bytesBefore) || !isBytes(encoded)) return null;
  const items = decodeItems(encoded);
  if (items === null || items.length === 0) return null;
  return { itemsBefore, bytesBefore, items, encoded };
}

function readSession(fields: unknown[]): SessionRow | null {
  const [pool, id, lastUsedMs, acked, highest, replyBytes] = fields;
  if (fields.length !== 6 || (pool !== 0 && pool !== 1) || !isClerkId(id) || !isCount(lastUsedMs)) return null;
  if (!isCount(acked) || !isPositive(highest) || acked >= highest || !isBytes(replyBytes)) return null;
  const replies = decodeReplies(replyBytes);
  if (replies === null) return null;
  const kept = replies.every(({ seq }) => seq > acked && seq <= highest && highest - seq <= SESSION_WINDOW);
  if (!kept || replies.at(-1)?.seq !== highest) return null;
  return { session: { pool: pool as Pool, id, lastUsedMs, acked, highest }, replies: replyBytes };
}

export function encodePosition(position: Position): Uint8Array {
  if (position.section === SECTION.versions) return encode([position.section, position.key, position.modRevision]);
  if (position.section === SECTION.supersessions) return encode([position.section, position.itemsEnd]);
  return encode([position.section, position.pool, position.id]);
}

/** Null: no cursor of ours. */
export function decodePosition(bytes: Uint8Array): Position | null {
  const fields = decodeArray(bytes, null);
  if (fields === null) return null;
  const [section, first, second] = fields;
  if (section === SECTION.versions && isBytes(first) && first.byteLength > 0 && isCount(second)) {
    return { section, key: first, modRevision: second };
  }
  if (section === SECTION.supersessions && isCount(first)) return { section, itemsEnd: first };
  if (section === SECTION.sessions && typeof first === 'number' && typeof second === 'string') {
    return { section, pool: first, id: second };
  }
  return null;
}

function decodeArray(bytes: Uint8Array, length: number | null): unknown[] | null {
  try {
    const value = decode(bytes);
    return Array.isArray(value) && (length === null || value.length === length) ? value : null;
  } catch {
    return null;
  }
}
