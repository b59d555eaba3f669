/** The one row of replicated counters, written once an entry. */
import type { Sql } from '../peer/sql.ts';
import { StateSum } from './state-hash.ts';

export interface Meta {
  /** Sum of the entries' `elapsedMs`. */
  logTimeMs: number;
  /** Of the newest write; 0: nothing was ever written. */
  revision: number;
  /** Listings at this revision and above are exact. */
  compactedRevision: number;
  /** Live keys. */
  keys: number;
  /** Bytes of the live versions. */
  liveBytes: number;
  /** Supersessions that are not compacted. */
  supersessions: number;
  /** Bytes of the versions and tombstones that these will remove. */
  historyBytes: number;
  /** Sessions of each pool: clerks, routers. */
  sessions: [number, number];
  sum: StateSum;
}

export function emptyMeta(): Meta {
  return {
    logTimeMs: 0,
    revision: 0,
    compactedRevision: 0,
    keys: 0,
    liveBytes: 0,
    supersessions: 0,
    historyBytes: 0,
    sessions: [0, 0],
    sum: new StateSum(),
  };
}

export function insertMeta(sql: Sql, meta: Meta, applyVersion: number): void {
  sql.exec('INSERT INTO kv_meta VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)', ...columns(meta, applyVersion));
}

export function updateMeta(sql: Sql, meta: Meta, applyVersion: number): void {
  sql.exec(
    `UPDATE kv_meta SET log_time_ms = ?, revision = ?, compacted_revision = ?, keys = ?, live_bytes = ?, supersessions = ?,
       history_bytes = ?, clerk_sessions = ?, router_sessions = ?, apply_version = ?, state_sum = ? WHERE id = 1`,
    ...columns(meta, applyVersion),
  );
}

/** Throws if the tables were not created. */
export function loadMeta(sql: Sql): Meta {
  const [row] = sql.exec(
    `SELECT log_time_ms, revision, compacted_revision, keys, live_bytes, supersessions, history_bytes, clerk_sessions,
       router_sessions, state_sum FROM kv_meta WHERE id = 1`,
  );
  if (row === undefined) throw new Error('the key-value tables have no counters');
  const [logTimeMs, revision, compactedRevision, keys, liveBytes, supersessions, historyBytes, clerks, routers] =
    row as number[];
  return {
    logTimeMs: logTimeMs!,
    revision: revision!,
    compactedRevision: compactedRevision!,
    keys: keys!,
    liveBytes: liveBytes!,
    supersessions: supersessions!,
    historyBytes: historyBytes!,
    sessions: [clerks!, routers!],
    sum: StateSum.from(row[9] as Uint8Array),
  };
}

function columns(meta: Meta, applyVersion: number): (number | Uint8Array)[] {
  return [
    meta.logTimeMs,
    meta.revision,
    meta.compactedRevision,
    meta.keys,
    meta.liveBytes,
    meta.supersessions,
    meta.historyBytes,
    ...meta.sessions,
    applyVersion,
    meta.sum.toBytes(),
  ];
}
