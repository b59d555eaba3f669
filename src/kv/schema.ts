/**
 * The tables. Each create-statement takes the table's name, since a snapshot is staged into tables of the same shape under
 * other names, which then take the place of these.
 *
 * Rows written (they are billed) for a write: 1 version, be it a new row or one that is taken over from a version that nobody
 * sees any more; 1 session for each clerk that took part in the entry (2, with its index, at most once a minute). A row of
 * supersessions, and later its deletion, comes once in dozens of overwrites. The counters are in the peer's own row.
 */
import type { Sql } from '../peer/sql.ts';

export const TABLES = {
  versions: 'kv_versions',
  supersessions: 'kv_supersessions',
  sessions: 'kv_sessions',
} as const;
export const STAGED_TABLES = {
  versions: 'kv_staged_versions',
  supersessions: 'kv_staged_supersessions',
  sessions: 'kv_staged_sessions',
} as const;
export type TableNames = typeof TABLES | typeof STAGED_TABLES;

/**
 * Names of indexes are global and outlive the renaming of their table: so every installation uses another one.
 * `generation` null: the tables of an empty state.
 */
export function createStateTables(sql: Sql, names: TableNames, generation: number | null): void {
  // The value comes last: what precedes it can be read without following its overflow pages.
  sql.exec(
    `CREATE TABLE ${names.versions} (key BLOB NOT NULL, mod_revision INTEGER NOT NULL, create_revision INTEGER NOT NULL,
       version INTEGER NOT NULL, tombstone INTEGER NOT NULL, digest BLOB, value BLOB,
       PRIMARY KEY (key, mod_revision)) WITHOUT ROWID`,
  );
  // Many supersessions a row, called by the number that follows the last.
  sql.exec(
    `CREATE TABLE ${names.supersessions} (items_end INTEGER PRIMARY KEY, bytes_before INTEGER NOT NULL, hash BLOB,
       items BLOB NOT NULL)`,
  );
  sql.exec(
    `CREATE TABLE ${names.sessions} (pool INTEGER NOT NULL, id TEXT NOT NULL, last_used_ms INTEGER NOT NULL,
       acked INTEGER NOT NULL, highest INTEGER NOT NULL, hash BLOB NOT NULL, replies BLOB,
       PRIMARY KEY (pool, id)) WITHOUT ROWID`,
  );
  const suffix = generation === null ? '' : `_${generation}`;
  sql.exec(`CREATE INDEX kv_sessions_by_use${suffix} ON ${names.sessions} (pool, last_used_ms, id)`);
}

export function dropStateTables(sql: Sql, names: TableNames): void {
  for (const name of Object.values(names)) sql.exec(`DROP TABLE IF EXISTS ${name}`);
}

/** The staged tables take the names of the live ones. */
export function swapStateTables(sql: Sql): void {
  dropStateTables(sql, TABLES);
  for (const table of ['versions', 'supersessions', 'sessions'] as const) {
    sql.exec(`ALTER TABLE ${STAGED_TABLES[table]} RENAME TO ${TABLES[table]}`);
  }
}

/** One row while a snapshot is being installed: how far it has come. */
export function createStagingTable(sql: Sql): void {
  sql.exec('CREATE TABLE kv_staging (id INTEGER PRIMARY KEY, progress BLOB NOT NULL)');
}

/** Sessions as they were at the open cut, put here on their first change after it; `present` 0: there was none. */
export function recreateCutSessions(sql: Sql): void {
  dropCutSessions(sql);
  sql.exec(
    `CREATE TABLE kv_cut_sessions (pool INTEGER NOT NULL, id TEXT NOT NULL, present INTEGER NOT NULL, last_used_ms INTEGER,
       acked INTEGER, highest INTEGER, replies BLOB, PRIMARY KEY (pool, id)) WITHOUT ROWID`,
  );
}

export function dropCutSessions(sql: Sql): void {
  sql.exec('DROP TABLE IF EXISTS kv_cut_sessions');
}
