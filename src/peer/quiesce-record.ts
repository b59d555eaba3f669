/**
 * What a sleeping peer keeps in storage (raft/quiescence.ts): one row, there exactly while it sleeps. Times are stored as wall
 * times, since the object's memory, and its monotonic clock with it, go while it sleeps.
 */
import type { QuiesceRecord } from '../raft/types.ts';
import type { MonotonicClock } from './platform.ts';
import type { Sql } from './sql.ts';

export function createQuiesceTable(sql: Sql): void {
  sql.exec(`CREATE TABLE peer_quiescence (
    only INTEGER PRIMARY KEY CHECK (only = 1), term INTEGER NOT NULL, last_index INTEGER NOT NULL, last_term INTEGER NOT NULL,
    leader_id INTEGER NOT NULL, round INTEGER NOT NULL, stamped_wall_ms INTEGER NOT NULL)`);
}

export function storeQuiesceRecord(sql: Sql, record: QuiesceRecord | null, clock: MonotonicClock): void {
  if (record === null) {
    sql.exec('DELETE FROM peer_quiescence WHERE only = 1');
    return;
  }
  const { term, lastIndex, lastTerm, leaderId, round, stampedMs } = record;
  const wallMs = Math.floor(clock.wall(stampedMs));
  sql.exec(
    'INSERT OR REPLACE INTO peer_quiescence VALUES (1, ?, ?, ?, ?, ?, ?)',
    term,
    lastIndex,
    lastTerm,
    leaderId,
    round,
    wallMs,
  );
}

/** Null: it does not sleep. A wall clock that went back since costs log time, never adds any. */
export function loadQuiesceRecord(sql: Sql, clock: MonotonicClock): QuiesceRecord | null {
  const [row] = sql.exec('SELECT term, last_index, last_term, leader_id, round, stamped_wall_ms FROM peer_quiescence');
  if (row === undefined) return null;
  const [term, lastIndex, lastTerm, leaderId, round, stampedWallMs] = row as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const stampedMs = clock.now() - Math.max(0, clock.wall(clock.now()) - stampedWallMs);
  return { term, lastIndex, lastTerm, leaderId, round, stampedMs };
}
