/** The versions of keys. A row is never changed after its insertion: an open snapshot cut relies on it. */
import type { Sql } from '../peer/sql.ts';
import { VERSION_OVERHEAD_BYTES } from './limits.ts';

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

/** What a version counts for in the live and history bytes. */
export function versionBytes(version: Pick<Version, 'key' | 'valueBytes'>): number {
  return version.key.byteLength + version.valueBytes + VERSION_OVERHEAD_BYTES;
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
  if (row === undefined || row[3] === 1) return null;
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
    version.key,
    version.modRevision,
    version.createRevision,
    version.version,
    version.tombstone ? 1 : 0,
    version.digest,
    value,
  );
}

/** A blob column; some engines give null for an empty one. */
export function bytesOf(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : EMPTY;
}
