/**
 * The store as the HTTP contract describes it ("Exactly once"), in memory: what a clerk may rely on, and no more. Appends
 * only, since these show best how often each was applied.
 */

import { problem, reply, type ScriptedReply } from './scripted-store.ts';

const KEPT_REPLIES = 256;
const PROTECTED_MS = 10 * 60_000;

interface Session {
  lastUseMs: number;
  acked: number;
  highest: number;
  readonly replies: Map<number, { readonly request: string; readonly reply: ScriptedReply }>;
}

export interface ModelRequest {
  readonly clerkId: string;
  readonly seq: number;
  readonly acked: number;
  readonly text: string;
  readonly ifNoneMatch: boolean;
}

export class ModelStore {
  readonly applied: string[] = [];
  readonly sessions = new Map<string, Session>();
  readonly #maxSessions: number;
  #revision = 0;

  constructor(maxSessions: number) {
    this.#maxSessions = maxSessions;
  }

  apply(nowMs: number, request: ModelRequest): ScriptedReply {
    const found = this.sessions.get(request.clerkId);
    if (!found && request.seq !== 1) return problem('session_expired');
    if (!found && !this.#makeRoom(nowMs)) return problem('overloaded', { 'Retry-After': '1' });
    const session: Session = found ?? { lastUseMs: nowMs, acked: 0, highest: 0, replies: new Map() };
    this.sessions.set(request.clerkId, session);
    session.lastUseMs = nowMs;
    session.acked = Math.max(session.acked, request.acked);
    if (request.seq <= session.acked || request.seq < session.highest - KEPT_REPLIES)
      return problem('seq_acknowledged');
    const digest = JSON.stringify([request.text, request.ifNoneMatch]);
    const kept = session.replies.get(request.seq);
    if (kept) return kept.request === digest ? kept.reply : problem('seq_reused');
    session.highest = Math.max(session.highest, request.seq);
    const decided = this.#decide(request);
    session.replies.set(request.seq, { request: digest, reply: decided });
    for (const seq of session.replies.keys()) {
      if (seq <= session.acked || seq < session.highest - KEPT_REPLIES) session.replies.delete(seq);
    }
    return decided;
  }

  /** Sessions may go once they were not used for 10 minutes. */
  evictIdle(nowMs: number): void {
    for (const [id, session] of this.sessions) {
      if (nowMs - session.lastUseMs >= PROTECTED_MS) this.sessions.delete(id);
    }
  }

  #makeRoom(nowMs: number): boolean {
    if (this.sessions.size >= this.#maxSessions) this.evictIdle(nowMs);
    return this.sessions.size < this.#maxSessions;
  }

  #decide(request: ModelRequest): ScriptedReply {
    if (request.ifNoneMatch && this.applied.length > 0) {
      return problem('precondition_failed', { ETag: `"${this.#revision}"` });
    }
    this.#revision += 1;
    this.applied.push(request.text);
    return reply(this.applied.length === 1 ? 201 : 200, { revision: this.#revision, version: this.applied.length });
  }
}
