/**
 * The versions of keys. A row is never changed, until nobody can see it any more: then it may become the row of another version.
 */
import type { Sql, SqlRow, SqlValue } from '../peer/sql.ts';

export interface Version {
  readonly key: Uint8Array;
  readonly modRevision: number;
  /** 0 in a tombstone, as `version` is; its digest and value are empty. */
  readonly createRevision: number;
  readonly version: number;
  readonly tombstone: boolean;
  readonly digest: Uint8Array;
  readonly valueBytes: number;
}

const EMPTY = new Uint8Array(0);

/** Of a row: its header, its numbers, its digest. */
const ROW_BYTES = 40;
/** Beside that: the cell, and pages that are not full. */
const SLACK_BYTES = 56;
/** https://www.sqlite.org/fileformat2.html#b_tree_pages: of an index b-tree (a table without rowids is one) with pages of 4,096 B. */
const PAGE_BYTES = 4096;
/** Of larger rows that stay in the tree a page holds few, so more of it is empty. */
const LOOSE_BYTES = 250;
const MAX_LOCAL_BYTES = 1002;
const MIN_LOCAL_BYTES = 489;
const OVERFLOW_BYTES = PAGE_BYTES - 4;

/**
 * What a version counts for in the live and history bytes: about what it takes on disk. A row that does not fit into its place in the
 * tree takes whole pages, so that 1,000 bytes cost as much as 4,000.
 */
export function versionBytes(version: Pick<Version, 'key' | 'valueBytes'>): number {
  const rowBytes = version.key.byteLength + version.valueBytes + ROW_BYTES;
  if (rowBytes <= MAX_LOCAL_BYTES)
    return rowBytes + SLACK_BYTES + Math.max(0, Math.floor((rowBytes - LOOSE_BYTES) / 4));
  const rest = MIN_LOCAL_BYTES + ((rowBytes - MIN_LOCAL_BYTES) % OVERFLOW_BYTES);
  const localBytes = rest <= MAX_LOCAL_BYTES ? rest : MIN_LOCAL_BYTES;
  const pages = Math.ceil((rowBytes - localBytes) / OVERFLOW_BYTES);
  return localBytes + pages * PAGE_BYTES + SLACK_BYTES;
}

export function tombstoneOf(key: Uint8Array, modRevision: number): Version {
  return { key, modRevision, createRevision: 0, version: 0, tombstone: true, digest: EMPTY, valueBytes: 0 };
}

/** The live version of a key, without its value. */
export function liveVersion(sql: Sql, key: Uint8Array): Version | null {
  const [row] = sql.exec(
    `SELECT mod_revision, create_revision, version, tombstone, digest, coalesce(length(value), 0) FROM kv_versions
       WHERE key = ? ORDER BY mod_revision DESC LIMIT 1`,
    key,
  );
  return row === undefined ? null : liveVersionOf(key, row);
}

/** Of the columns mod_revision, create_revision, version, tombstone, digest and the value's length. */
export function liveVersionOf(key: Uint8Array, row: SqlRow): Version | null {
  if (row[3] === 1) return null;
  return {
    key,
    modRevision: row[0] as number,
    createRevision: row[1] as number,
    version: row[2] as number,
    tombstone: false,
    digest: bytesOf(row[4]),
    valueBytes: row[5] as number,
  };
}

export function storedValue(sql: Sql, key: Uint8Array, modRevision: number): Uint8Array {
  const [row] = sql.exec('SELECT value FROM kv_versions WHERE key = ? AND mod_revision = ?', key, modRevision);
  return bytesOf(row?.[0]);
}

export function insertVersion(sql: Sql, table: string, version: Version, value: Uint8Array): void {
  sql.exec(
    `INSERT INTO ${table} (key, mod_revision, create_revision, version, tombstone, digest, value) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    ...columns(version, value),
  );
}

/** What a row is called. */
export type VersionName = Pick<Version, 'key' | 'modRevision'>;

export function hasVersion(sql: Sql, { key, modRevision }: VersionName): boolean {
  return sql.exec('SELECT 1 FROM kv_versions WHERE key = ? AND mod_revision = ?', key, modRevision).length > 0;
}

/** Makes the row that is named, and must be there, the row of another version. */
export function replaceVersion(sql: Sql, row: VersionName, version: Version, value: Uint8Array): void {
  sql.exec(
    `UPDATE kv_versions SET key = ?, mod_revision = ?, create_revision = ?, version = ?, tombstone = ?, digest = ?, value = ?
       WHERE key = ? AND mod_revision = ?`,
    ...columns(version, value),
    row.key,
    row.modRevision,
  );
}

export function deleteVersion(sql: Sql, { key, modRevision }: VersionName): void {
  sql.exec('DELETE FROM kv_versions WHERE key = ? AND mod_revision = ?', key, modRevision);
}

function columns(version: Version, value: Uint8Array): SqlValue[] {
  const { key, modRevision, createRevision, tombstone, digest } = version;
  return [key, modRevision, createRevision, version.version, tombstone ? 1 : 0, digest, value];
}

/** A blob column; some engines give null for an empty one. */
export function bytesOf(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : EMPTY;
}
