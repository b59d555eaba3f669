/**
 * The sessions of the contract's "Exactly once", as the clerk sees them: which identity a write goes under, and when.
 * Sessions belong to a group, so there is one pool for each endpoint and group, shared by all Clerks of the process or
 * isolate: an identity for each instance would fill the store with sessions.
 */
import type { CallScope } from './call-scope.ts';
import { ClerkError } from './errors.ts';
import { Identity } from './identity.ts';
import type { ClerkPlatform } from './platform.ts';

export const MAX_CLERK_ID_CHARACTERS = 64;
/** Writes that wait for a seq, in one pool. */
export const MAX_QUEUED_CALLS = 1024;
/** Bytes of values in writes that wait or are on their way, in one pool. */
export const MAX_PENDING_BYTES = 64 * 1024 * 1024;
/** Tries whose callers have left, but whose replies may still resolve their seqs. */
export const MAX_LINGERING_TRIES = 64;
/** Pools kept in one process; the least recently used go. */
const MAX_POOLS = 256;
/** The contract: a clerk never repeats a request that is older. */
export const MAX_REQUEST_AGE_MS = 5 * 60_000;
/** How long after its call's deadline a seq counts as dropped without a word. */
const DROPPED_AFTER_MS = 1000;

/** The right to send one write under a seq. It ends by one of its verbs; only `abandon` may be followed by another one. */
export interface Ticket {
  readonly clerkId: string;
  readonly seq: number;
  /** Clerk-Acked as of now. */
  acked(): number;
  /** A reply that is kept came. */
  received(): void;
  /** Every try was refused with nothing done. */
  unused(): void;
  /** The outcome is not known, and nobody repeats the request any more. A late reply may still come. */
  abandon(): void;
  /** The store does not know the identity any more, or somebody else uses it. */
  lost(): void;
}

interface Waiter {
  readonly call: CallScope;
  readonly grant: (ticket: Ticket) => void;
}

export class SessionPool {
  readonly #platform: ClerkPlatform;
  readonly #ownId: string | null;
  #identity: Identity | null = null;
  readonly #queue: Waiter[] = [];
  #pendingBytes = 0;
  #lingering = 0;

  /** `ownId`: the first identity's Clerk-Id; null: a random one. */
  constructor(platform: ClerkPlatform, ownId: string | null) {
    this.#platform = platform;
    this.#ownId = ownId;
  }

  /**
   * Runs `work` with `bytes` counted as pending.
   * @throws ClerkError `queue_full`
   */
  async holding<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    if (this.#pendingBytes + bytes > MAX_PENDING_BYTES) {
      throw new ClerkError('queue_full', `more than ${MAX_PENDING_BYTES} bytes wait to be written`);
    }
    this.#pendingBytes += bytes;
    try {
      return await work();
    } finally {
      this.#pendingBytes -= bytes;
    }
  }

  /**
   * A seq for one write, in the order of asking; waits while the contract allows none.
   * @throws ClerkError `queue_full`, or as the caller leaves `timeout`, `aborted`
   */
  async acquire(call: CallScope): Promise<Ticket> {
    if (call.left) throw call.failure(null);
    const ticket = this.#queue.length === 0 ? this.#issue(call) : null;
    if (ticket) return ticket;
    if (this.#queue.length >= MAX_QUEUED_CALLS) {
      throw new ClerkError('queue_full', `${MAX_QUEUED_CALLS} writes wait for their turn`);
    }
    return this.#wait(call);
  }

  /** Whether one more try may go on after its caller left. True: `endLingering` must follow. */
  startLingering(): boolean {
    if (this.#lingering >= MAX_LINGERING_TRIES) return false;
    this.#lingering += 1;
    return true;
  }

  endLingering(): void {
    this.#lingering -= 1;
  }

  #wait(call: CallScope): Promise<Ticket> {
    return new Promise((resolve, reject) => {
      let cancelWatch = () => {};
      const forgetLeave = call.onLeave(() => {
        cancelWatch();
        this.#queue.splice(this.#queue.indexOf(waiter), 1);
        reject(call.failure(null));
      });
      const waiter: Waiter = {
        call,
        grant: (ticket) => {
          cancelWatch();
          forgetLeave();
          resolve(ticket);
        },
      };
      this.#queue.push(waiter);
      // Each waiter watches for itself: the timer of another request may end with that request.
      const watch = () => {
        this.#grantInOrder();
        if (!this.#queue.includes(waiter)) return;
        const freeAtMs = this.#blockedUntilMs();
        cancelWatch = this.#platform.setTimer(Math.max(1, freeAtMs - this.#platform.now()), watch);
      };
      watch();
    });
  }

  #grantInOrder(): void {
    for (let first = this.#queue[0]; first; first = this.#queue[0]) {
      const ticket = this.#issue(first.call);
      if (!ticket) return;
      this.#queue.shift();
      first.grant(ticket);
    }
  }

  /** A seq of the present identity, or of a new one if the present one cannot move on any more. */
  #issue(call: CallScope): Ticket | null {
    const nowMs = this.#platform.now();
    const deadlineMs = Math.min(call.deadlineMs, nowMs + MAX_REQUEST_AGE_MS);
    const present = this.#identity;
    if (present && !present.retired) {
      const seq = present.issue(deadlineMs);
      if (seq !== null) return this.#ticket(present, seq);
      if (nowMs < this.#blockedUntilMs()) return null;
      present.retired = true;
    }
    const fresh = new Identity(this.#newId());
    this.#identity = fresh;
    const seq = fresh.issue(deadlineMs);
    return seq === null ? null : this.#ticket(fresh, seq);
  }

  #blockedUntilMs(): number {
    const untilMs = this.#identity?.blockedUntilMs() ?? 0;
    return untilMs === 0 ? 0 : untilMs + DROPPED_AFTER_MS;
  }

  /** 128 random bits; drawn inside a call, never when the module is loaded. An id of the user's own stays recognisable. */
  #newId(): string {
    if (this.#ownId !== null && this.#identity === null) return this.#ownId;
    const bytes = this.#platform.randomBytes(16);
    const random = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    return this.#ownId === null ? random : `${this.#ownId.slice(0, MAX_CLERK_ID_CHARACTERS - 33)}-${random}`;
  }

  #ticket(identity: Identity, seq: number): Ticket {
    // Once it has ended, the seq may be another call's.
    let ended = false;
    const then = (verb: () => void, ends: boolean) => () => {
      if (ended) return;
      ended = ends;
      verb();
      this.#grantInOrder();
    };
    const lost = () => {
      identity.retired = true;
      identity.abandon(seq);
    };
    return {
      clerkId: identity.id,
      seq,
      acked: () => identity.acked,
      received: then(() => identity.received(seq), true),
      unused: then(() => identity.unused(seq), true),
      abandon: then(() => identity.abandon(seq), false),
      lost: then(lost, true),
    };
  }
}

const poolsOfPlatform = new WeakMap<ClerkPlatform, Map<string, SessionPool>>();

/**
 * The pool of this endpoint and group, made at its first use inside a call. Simulated platforms have pools of their own.
 */
export function sharedSessionPool(platform: ClerkPlatform, endpoint: string, group: string): SessionPool {
  let pools = poolsOfPlatform.get(platform);
  if (!pools) {
    pools = new Map();
    poolsOfPlatform.set(platform, pools);
  }
  const name = `${group} ${endpoint}`;
  const pool = pools.get(name) ?? new SessionPool(platform, null);
  pools.delete(name);
  pools.set(name, pool);
  if (pools.size > MAX_POOLS) dropOldest(pools);
  return pool;
}

/** Calls under way keep their pool; the next one to that endpoint and group starts a new session. */
function dropOldest(pools: Map<string, SessionPool>): void {
  for (const oldest of pools.keys()) {
    pools.delete(oldest);
    return;
  }
}
