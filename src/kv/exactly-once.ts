/**
 * The rules of "exactly once" for the commands of one entry: which are new, which are repeats and get their first reply, and
 * which are refused; when sessions open, expire and are evicted. The sessions that an entry touches are held here, and
 * written once, at its end.
 */
import type { Sql } from '../peer/sql.ts';
import type { CommandResult, KeptResult, SessionRef, SessionRefusal } from './commands.ts';
import { equalBytes } from './key-order.ts';
import { MAX_EXPIRIES_PER_ENTRY, SESSION_EXPIRY_MS, SESSION_WINDOW } from './limits.ts';
import type { Meta } from './meta.ts';
import type { Reply } from './replies.ts';
import { nameOf, type SessionMemory } from './session-memory.ts';
import {
  deleteSession,
  evictableUntil,
  lastUseAt,
  leastRecentlyUsed,
  loadSession,
  POOLS,
  type Pool,
  poolOf,
  type Session,
  type SessionUse,
  type StoredSession,
  storeSession,
} from './sessions.ts';
import type { EntryLimits } from './settings.ts';

/** Called before a session's row changes, appears or goes. */
export type BeforeSessionChange = (pool: Pool, id: string) => void;

interface Touched {
  readonly session: Session;
  readonly before: { readonly hash: Uint8Array; readonly lastUsedMs: number } | null;
}

const CANDIDATE_CHUNK = 32;
const MAX_READ_AHEAD = 256;

export class SessionsOfEntry {
  readonly #sql: Sql;
  readonly #meta: Meta;
  readonly #memory: SessionMemory;
  readonly #beforeChange: BeforeSessionChange;
  readonly #touched = new Map<string, Touched>();
  /** Read, and not touched yet; null: there is none. */
  readonly #ahead = new Map<string, StoredSession | null>();
  /** Candidates for eviction, read ahead; each session is looked at once an entry. */
  readonly #candidates: Record<Pool, EvictionCandidates>;

  constructor(sql: Sql, meta: Meta, memory: SessionMemory, beforeChange: BeforeSessionChange) {
    this.#sql = sql;
    this.#meta = meta;
    this.#memory = memory;
    this.#beforeChange = beforeChange;
    this.#candidates = { 0: new EvictionCandidates(sql, 0), 1: new EvictionCandidates(sql, 1) };
  }

  /** Sessions unused for too long go, the least recently used of both pools first. Before any command of the entry. */
  expire(): void {
    const { logTimeMs } = this.#meta;
    const untilMs = logTimeMs - SESSION_EXPIRY_MS;
    if (untilMs < 0 || logTimeMs < this.#memory.nextExpiryMs) return;
    const unused = POOLS.flatMap((pool) => leastRecentlyUsed(this.#sql, pool, untilMs, null, MAX_EXPIRIES_PER_ENTRY));
    unused.sort(byUse);
    for (const use of unused.slice(0, MAX_EXPIRIES_PER_ENTRY)) this.#remove(use);
    // A session's last use only ever moves on, and a new one begins now: nobody expires before the oldest of today could.
    const oldest = POOLS.flatMap((pool) => leastRecentlyUsed(this.#sql, pool, logTimeMs, null, 1));
    this.#memory.nextExpiryMs = Math.min(logTimeMs, ...oldest.map((use) => use.lastUsedMs)) + SESSION_EXPIRY_MS;
  }

  /** Reads the sessions of commands, as far as they are not remembered, before anything is written (see live-versions.ts). */
  readAhead(refs: readonly SessionRef[]): void {
    for (const ref of refs.slice(0, MAX_READ_AHEAD)) {
      const pool = poolOf(ref);
      const name = nameOf(pool, ref.id);
      if (!this.#ahead.has(name)) this.#ahead.set(name, this.#load(pool, ref.id));
    }
  }

  #load(pool: Pool, id: string): StoredSession | null {
    return this.#memory.take(pool, id) ?? loadSession(this.#sql, pool, id);
  }

  /** The result of one command: `execute` is called if it is new. */
  once(ref: SessionRef, limits: EntryLimits, execute: () => KeptResult): CommandResult {
    const session = this.#find(ref) ?? this.#open(ref, limits);
    if (typeof session === 'string') return { type: session };
    session.lastUsedMs = lastUseAt(session.pool, this.#meta.logTimeMs);
    acknowledge(session, ref.acked);
    if (ref.seq <= session.acked || session.highest - ref.seq > SESSION_WINDOW) return { type: 'seq_acknowledged' };
    const first = replyTo(session, ref.seq);
    if (first !== null) {
      const repeated = equalBytes(first.requestDigest, ref.requestDigest);
      return repeated ? { ...first.result, replayed: true } : { type: 'seq_reused' };
    }
    const result = execute();
    // A copy: the digest is a view into the whole entry.
    keep(session, { seq: ref.seq, requestDigest: ref.requestDigest.slice(), result });
    return { ...result, replayed: false };
  }

  /** Writes the sessions that were touched; returns how many bytes of replies these were. */
  store(): number {
    let writtenBytes = 0;
    for (const { session, before } of this.#touched.values()) {
      this.#beforeChange(session.pool, session.id);
      const { hash, bytes } = storeSession(this.#sql, this.#meta, session, before);
      this.#memory.keep({ session, hash });
      writtenBytes += bytes;
    }
    this.#touched.clear();
    return writtenBytes;
  }

  #find(ref: SessionRef): Session | null {
    const pool = poolOf(ref);
    const known = this.#touched.get(nameOf(pool, ref.id));
    if (known !== undefined) return known.session;
    const ahead = this.#ahead.get(nameOf(pool, ref.id));
    const stored = ahead === undefined ? this.#load(pool, ref.id) : ahead;
    if (stored === null) return null;
    const { session, hash } = stored;
    this.#touched.set(nameOf(pool, ref.id), { session, before: { hash, lastUsedMs: session.lastUsedMs } });
    return session;
  }

  #open(ref: SessionRef, limits: EntryLimits): Session | SessionRefusal {
    // The first request of an identity: were another one to open a session, a repeat of an old request, whose session is
    // gone, would be applied a second time.
    if (ref.seq !== 1) return 'session_expired';
    const pool = poolOf(ref);
    const cap = pool === 0 ? limits.clerkSessions : limits.routerSessions;
    if (this.#meta.sessions[pool] >= cap && !this.#evict(pool)) return 'sessions_full';
    const session: Session = { pool, id: ref.id, lastUsedMs: 0, acked: 0, highest: 0, replies: [] };
    this.#touched.set(nameOf(pool, ref.id), { session, before: null });
    this.#meta.sessions[pool] += 1;
    return session;
  }

  /** Makes room for one session. False: all were used too recently. */
  #evict(pool: Pool): boolean {
    const candidates = this.#candidates[pool];
    const untilMs = evictableUntil(pool, this.#meta.logTimeMs);
    const next = candidates.take(untilMs, (id) => this.#touched.has(nameOf(pool, id)));
    if (next === null) return false;
    this.#remove(next);
    return true;
  }

  #remove(use: SessionUse): void {
    this.#beforeChange(use.pool, use.id);
    this.#memory.take(use.pool, use.id);
    this.#ahead.delete(nameOf(use.pool, use.id));
    deleteSession(this.#sql, this.#meta, use.pool, use.id, use.hash);
  }
}

/** The sessions of a pool that may be evicted, the least recently used first, without those that this entry has touched. */
class EvictionCandidates {
  readonly #sql: Sql;
  readonly #pool: Pool;
  #ahead: SessionUse[] = [];
  #last: SessionUse | null = null;
  #ended = false;

  constructor(sql: Sql, pool: Pool) {
    this.#sql = sql;
    this.#pool = pool;
  }

  take(untilMs: number, isTouched: (id: string) => boolean): SessionUse | null {
    for (;;) {
      const first = this.#ahead.shift();
      if (first !== undefined) {
        if (!isTouched(first.id)) return first;
      } else if (this.#ended) {
        return null;
      } else {
        this.#ahead = leastRecentlyUsed(this.#sql, this.#pool, untilMs, this.#last, CANDIDATE_CHUNK);
        this.#last = this.#ahead.at(-1) ?? null;
        this.#ended = this.#ahead.length < CANDIDATE_CHUNK;
      }
    }
  }
}

function byUse(a: SessionUse, b: SessionUse): number {
  if (a.lastUsedMs !== b.lastUsedMs) return a.lastUsedMs - b.lastUsedMs;
  if (a.id !== b.id) return a.id < b.id ? -1 : 1;
  return a.pool - b.pool;
}

/** A lower acknowledgement than before counts as the highest seen. */
function acknowledge(session: Session, acked: number): void {
  if (acked <= session.acked) return;
  session.acked = acked;
  session.replies = session.replies.filter((reply) => reply.seq > acked);
}

function replyTo(session: Session, seq: number): Reply | null {
  return session.replies.find((reply) => reply.seq === seq) ?? null;
}

function keep(session: Session, reply: Reply): void {
  const { replies } = session;
  let at = replies.length;
  while (at > 0 && replies[at - 1]!.seq > reply.seq) at -= 1;
  replies.splice(at, 0, reply);
  session.highest = Math.max(session.highest, reply.seq);
  const lowest = session.highest - SESSION_WINDOW;
  while (replies[0]!.seq < lowest) replies.shift();
}
