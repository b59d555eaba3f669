/**
 * Sessions: who wrote, and the replies that were not acknowledged yet, so that a repeated write is not applied again (Raft
 * dissertation, section 6.3; RIFL). One row for each session, in two pools that never displace one another.
 */
import type { Sql, SqlValue } from '../peer/sql.ts';
import type { SessionRef } from './commands.ts';
import {
  CLERK_LAST_USE_STEP_MS,
  CLERK_SESSION_PROTECTED_MS,
  ROUTER_LAST_USE_STEP_MS,
  ROUTER_SESSION_PROTECTED_MS,
} from './limits.ts';
import type { Meta } from './meta.ts';
import { decodeReplies, encodeReplies, type Reply } from './replies.ts';
import { sessionHash } from './state-hash.ts';
import { bytesOf } from './versions.ts';

/** Index into everything that is kept for each pool; also the value of the column. */
export type Pool = 0 | 1;
export const POOLS = [0, 1] as const;

export interface Session {
  readonly pool: Pool;
  readonly id: string;
  /** Log time of the last use, rounded up to the pool's step: never earlier than it was. */
  lastUsedMs: number;
  /** Every seq up to this one counts as acknowledged; the highest that was ever said. */
  acked: number;
  /** The highest seq with a reply. */
  highest: number;
  /** In the order of their seqs, all above `acked`, none more than the window behind `highest`. */
  replies: Reply[];
}

const PROTECTED_MS = [CLERK_SESSION_PROTECTED_MS, ROUTER_SESSION_PROTECTED_MS] as const;
const LAST_USE_STEP_MS = [CLERK_LAST_USE_STEP_MS, ROUTER_LAST_USE_STEP_MS] as const;

export function poolOf(ref: SessionRef): Pool {
  return ref.pool === 'clerk' ? 0 : 1;
}

/** What `last_used_ms` becomes by a use at this log time. */
export function lastUseAt(pool: Pool, logTimeMs: number): number {
  const step = LAST_USE_STEP_MS[pool];
  return Math.ceil(logTimeMs / step) * step;
}

/** Sessions last used (rounded) up to this may be evicted for a new one. */
export function evictableUntil(pool: Pool, logTimeMs: number): number {
  return logTimeMs - PROTECTED_MS[pool];
}

export interface StoredSession {
  readonly session: Session;
  readonly hash: Uint8Array;
}

export function loadSession(sql: Sql, pool: Pool, id: string): StoredSession | null {
  const [row] = sql.exec(
    'SELECT last_used_ms, acked, highest, hash, replies FROM kv_sessions WHERE pool = ? AND id = ?',
    pool,
    id,
  );
  if (row === undefined) return null;
  const replies = decodeReplies(bytesOf(row[4]));
  if (replies === null) throw new Error(`the replies of session ${pool}/${id} are damaged`);
  const [lastUsedMs, acked, highest] = row as [number, number, number];
  return { session: { pool, id, lastUsedMs, acked, highest, replies }, hash: row[3] as Uint8Array };
}

export function insertSession(
  sql: Sql,
  table: string,
  session: Omit<Session, 'replies'>,
  replies: Uint8Array,
  hash: Uint8Array,
): void {
  sql.exec(
    `INSERT INTO ${table} (pool, id, last_used_ms, acked, highest, hash, replies) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    session.pool,
    session.id,
    session.lastUsedMs,
    session.acked,
    session.highest,
    hash,
    replies,
  );
}

/** Writes a session as it is after an entry, and returns its hash and the bytes of its replies; `before`: what is stored, null without. */
export function storeSession(
  sql: Sql,
  meta: Meta,
  session: Session,
  before: { readonly hash: Uint8Array; readonly lastUsedMs: number } | null,
): { hash: Uint8Array; bytes: number } {
  const replies = encodeReplies(session.replies);
  const bytes = replies.byteLength;
  const hash = sessionHash(session, replies);
  meta.sum.add(hash);
  if (before === null) {
    insertSession(sql, 'kv_sessions', session, replies, hash);
    return { hash, bytes };
  }
  meta.sum.subtract(before.hash);
  const fields: SqlValue[] = [session.acked, session.highest, hash, replies, session.pool, session.id];
  const set = 'acked = ?, highest = ?, hash = ?, replies = ? WHERE pool = ? AND id = ?';
  // A statement that names an indexed column writes the index as well, whether or not the value is another one.
  if (before.lastUsedMs === session.lastUsedMs) sql.exec(`UPDATE kv_sessions SET ${set}`, ...fields);
  else sql.exec(`UPDATE kv_sessions SET last_used_ms = ?, ${set}`, session.lastUsedMs, ...fields);
  return { hash, bytes };
}

export function deleteSession(sql: Sql, meta: Meta, pool: Pool, id: string, hash: Uint8Array): void {
  sql.exec('DELETE FROM kv_sessions WHERE pool = ? AND id = ?', pool, id);
  meta.sessions[pool] -= 1;
  meta.sum.subtract(hash);
}

export interface SessionUse {
  readonly pool: Pool;
  readonly id: string;
  readonly lastUsedMs: number;
  readonly hash: Uint8Array;
}

/** Sessions of a pool last used up to `untilMs`, the least recent first, after the one named by `after`. */
export function leastRecentlyUsed(
  sql: Sql,
  pool: Pool,
  untilMs: number,
  after: Pick<SessionUse, 'lastUsedMs' | 'id'> | null,
  limit: number,
): SessionUse[] {
  const rows = sql.exec(
    `SELECT last_used_ms, id, hash FROM kv_sessions
       WHERE pool = ? AND last_used_ms <= ? AND (last_used_ms, id) > (?, ?) ORDER BY last_used_ms, id LIMIT ?`,
    pool,
    untilMs,
    after?.lastUsedMs ?? -1,
    after?.id ?? '',
    limit,
  );
  return rows.map((row) => ({
    pool,
    lastUsedMs: row[0] as number,
    id: row[1] as string,
    hash: row[2] as Uint8Array,
  }));
}
