import type { WriteBehind } from './write-behind.ts';

/**
 * What a peer needs of the world: the seams between the same code in production (`durable-object.ts`) and in the simulator.
 * Whatever is sent (`call`, and the resolution of a handler's promise) leaves only after the writes made before it are
 * on disk: the output gate of Durable Objects.
 */
export interface Platform {
  /** The state machine writes through the same. */
  readonly sql: WriteBehind;
  /** What this instance's statements are billed for so far. */
  rows(): { readonly read: number; readonly written: number };
  /** The object's own name: see `objectName` in protocol.ts. */
  readonly objectName: string;
  /** Wall clock, ms since the epoch; may jump. */
  now(): number;
  /** In [0, 1). */
  random(): number;
  /** 128 random bits, hex. */
  randomId(): string;
  /** Resolves when everything written before is on disk. */
  sync(): Promise<void>;
  /** Runs `run` after `delayMs`; returns its cancellation. For faults and small delays only: deadlines are the alarm's. */
  setTimer(delayMs: number, run: () => void): () => void;
  /** Sets the object's one alarm, to a time of `now()`. */
  setAlarm(atMs: number): void;
  deleteAlarm(): void;
  /** Another object's route, with a new stub. Rejects if it fails, or takes longer than `timeoutMs`. */
  call(
    objectName: string,
    locationHint: string,
    route: string,
    body: Uint8Array,
    timeoutMs: number,
  ): Promise<Uint8Array>;
  /** Ends this instance at once: memory and unflushed writes are lost. Does not return normally. */
  abort(reason: string): void;
  /** Deletes the whole storage, the alarm included. */
  deleteAll(): Promise<void>;
  /** Structured log line. Never values, keys or secrets. */
  log(event: Record<string, unknown>): void;
}

/** A clock that never goes back: when the wall clock does, the difference is taken up into an offset. */
export class MonotonicClock {
  readonly #now: () => number;
  #offsetMs = 0;
  #lastMs: number;

  constructor(now: () => number) {
    this.#now = now;
    this.#lastMs = now();
  }

  now(): number {
    const candidate = this.#now() + this.#offsetMs;
    if (candidate < this.#lastMs) this.#offsetMs += this.#lastMs - candidate;
    this.#lastMs = Math.max(candidate, this.#lastMs);
    return this.#lastMs;
  }

  /** The wall time of a monotonic time. */
  wall(monotonicMs: number): number {
    return monotonicMs - this.#offsetMs;
  }
}
