/**
 * What an instance remembers of the sessions between entries, so that most entries read none: those used last, and when the
 * next one can expire. The tables hold all of it as well; the memory is never ahead of them.
 */
import type { Pool, StoredSession } from './sessions.ts';

/** A session holds up to 257 replies of some hundred bytes. */
const MAX_REMEMBERED = 32;

export class SessionMemory {
  /** In the order of their last use. */
  readonly #recent = new Map<string, StoredSession>();
  /** No session expires before this log time, in ms; 0: not known. */
  nextExpiryMs = 0;

  /** Hands over a session that is about to be used; null: it must be read. */
  take(pool: Pool, id: string): StoredSession | null {
    const name = nameOf(pool, id);
    const stored = this.#recent.get(name) ?? null;
    this.#recent.delete(name);
    return stored;
  }

  /** `stored` is what the table holds now. */
  keep(stored: StoredSession): void {
    this.#recent.set(nameOf(stored.session.pool, stored.session.id), stored);
    for (const oldest of this.#recent.keys()) {
      if (this.#recent.size <= MAX_REMEMBERED) return;
      this.#recent.delete(oldest);
    }
  }
}

export function nameOf(pool: Pool, id: string): string {
  return `${pool}/${id}`;
}
