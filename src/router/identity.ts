/**
 * The router's own identities, for writes that bring none: they make its repeats safe (http-api.md, "Exactly once").
 *
 * An identity's first request has seq 1 and is alone until it got a reply that is kept; then up to 256 are under way at
 * once, never one more than 255 above the lowest unresolved. A few identities take turns; what finds no room waits in a
 * bounded queue. Nothing here outlives the isolate.
 */
import { SESSION_WINDOW } from '../kv/limits.ts';
import { type RouterPlatform, withTimeout } from './platform.ts';

export const MAX_IDENTITIES = 4;
export const MAX_WAITING = 1024;
/** A request whose deadline has passed for so long was cut off with its handler, and will never say how it ended. */
const LOST_AFTER_MS = 2000;

/** How a lease ended. */
export type LeaseEnd =
  /** The seq has a kept reply. */
  | 'kept'
  /** Nothing was done, for certain: no try of this seq can be applied any more. */
  | 'unused'
  /** It may have been applied, or may be yet. */
  | 'unknown'
  /** The group does not know the identity (any more). */
  | 'expired';

interface Identity {
  readonly id: string;
  established: boolean;
  nextSeq: number;
  /** Seq and the time after which its request is lost; in the order of seqs. */
  readonly unresolved: Map<number, number>;
}

interface Waiter {
  readonly deadlineMs: number;
  readonly grant: (lease: Lease) => void;
}

/** One seq of one identity, for one write. */
export class Lease {
  readonly id: string;
  readonly seq: number;
  readonly #pool: IdentityPool;
  readonly #identity: Identity;

  constructor(pool: IdentityPool, identity: Identity, seq: number) {
    this.#pool = pool;
    this.#identity = identity;
    this.id = identity.id;
    this.seq = seq;
  }

  /** Every seq up to this one is resolved, or was given up for good. */
  get acked(): number {
    return Math.min(lowestUnresolved(this.#identity), this.seq) - 1;
  }

  end(how: LeaseEnd): void {
    this.#pool.end(this.#identity, this.seq, how);
  }
}

export class IdentityPool {
  readonly #platform: RouterPlatform;
  #identities: Identity[] = [];
  readonly #waiting = new Set<Waiter>();

  constructor(platform: RouterPlatform) {
    this.#platform = platform;
  }

  /** `full`: too many wait already. `late`: no room came before the deadline. In both cases nothing was sent. */
  async acquire(deadlineMs: number): Promise<Lease | 'full' | 'late'> {
    this.#giveUpLost();
    const lease = this.#waiting.size === 0 ? this.#take(deadlineMs) : null;
    if (lease !== null) return lease;
    if (this.#waiting.size >= MAX_WAITING) return 'full';
    return this.#wait(deadlineMs);
  }

  /** Waits with a timer of its own: another request's promise alone would not keep this one alive. */
  async #wait(deadlineMs: number): Promise<Lease | 'late'> {
    const { promise, resolve } = Promise.withResolvers<Lease>();
    const waiter: Waiter = { deadlineMs, grant: resolve };
    this.#waiting.add(waiter);
    const waitMs = Math.max(0, deadlineMs - this.#platform.now());
    const lease = await withTimeout(this.#platform, waitMs, promise, () => this.#waiting.delete(waiter));
    return lease ?? 'late';
  }

  end(identity: Identity, seq: number, how: LeaseEnd): void {
    if (!identity.unresolved.delete(seq)) return;
    if (how === 'expired' || (how === 'unknown' && !identity.established)) this.#retire(identity);
    else if (how === 'kept') identity.established = true;
    else if (!identity.established) identity.nextSeq = 1;
    // Otherwise the seq is given up: acknowledged with the next request, and a late try of it is refused by then.
    this.#admit();
  }

  #retire(identity: Identity): void {
    this.#identities = this.#identities.filter((other) => other !== identity);
  }

  #admit(): void {
    for (const waiter of this.#waiting) {
      // Its own timer has not fired, so its handler was cut off.
      const lost = waiter.deadlineMs < this.#platform.now();
      const lease = lost ? null : this.#take(waiter.deadlineMs);
      if (!lost && lease === null) return;
      this.#waiting.delete(waiter);
      if (lease !== null) waiter.grant(lease);
    }
  }

  #take(deadlineMs: number): Lease | null {
    const identity = this.#identities.find(hasRoom) ?? this.#newIdentity();
    if (identity === null) return null;
    const seq = identity.nextSeq;
    identity.nextSeq += 1;
    identity.unresolved.set(seq, deadlineMs + LOST_AFTER_MS);
    return new Lease(this, identity, seq);
  }

  #newIdentity(): Identity | null {
    const establishing = this.#identities.some(({ established }) => !established);
    if (establishing || this.#identities.length >= MAX_IDENTITIES) return null;
    const identity = { id: this.#platform.randomId(), established: false, nextSeq: 1, unresolved: new Map() };
    this.#identities.push(identity);
    return identity;
  }

  #giveUpLost(): void {
    const nowMs = this.#platform.now();
    for (const identity of this.#identities) {
      for (const [seq, lostAtMs] of identity.unresolved) {
        if (lostAtMs < nowMs) this.end(identity, seq, 'unknown');
      }
    }
  }
}

function lowestUnresolved(identity: Identity): number {
  const [lowest] = identity.unresolved.keys();
  return lowest ?? identity.nextSeq;
}

function hasRoom(identity: Identity): boolean {
  if (!identity.established) return identity.unresolved.size === 0;
  return identity.nextSeq - lowestUnresolved(identity) < SESSION_WINDOW;
}
