import { ClerkError, type FailedOutcome } from './errors.ts';
import type { ClerkPlatform } from './platform.ts';

/** Why the caller no longer waits. */
export type LeaveReason = { readonly type: 'timeout' } | { readonly type: 'aborted'; readonly reason: unknown };

/**
 * How long the caller of one call waits: until its deadline or its AbortSignal. Every wait inside the call ends there.
 * The timer is the call's own, never shared with other calls: a Worker cancels a request that only waits on another one.
 */
export class CallScope {
  readonly #platform: ClerkPlatform;
  readonly #timeoutMs: number;
  readonly #endings: (() => void)[] = [];
  readonly #listeners = new Set<() => void>();
  readonly deadlineMs: number;
  #left: LeaveReason | null = null;

  /** Starts the clock; `end` must be called when the call is over. */
  constructor(platform: ClerkPlatform, timeoutMs: number, signal: AbortSignal | undefined) {
    this.#platform = platform;
    this.#timeoutMs = timeoutMs;
    this.deadlineMs = platform.now() + timeoutMs;
    if (signal?.aborted) {
      this.#left = { type: 'aborted', reason: signal.reason };
      return;
    }
    this.#endings.push(platform.setTimer(timeoutMs, () => this.#leave({ type: 'timeout' })));
    if (signal) {
      const onAbort = () => this.#leave({ type: 'aborted', reason: signal.reason });
      signal.addEventListener('abort', onAbort);
      this.#endings.push(() => signal.removeEventListener('abort', onAbort));
    }
  }

  get left(): LeaveReason | null {
    return this.#left;
  }

  /** Time left before the deadline, in ms; 0 once the caller has left. */
  remainingMs(): number {
    return this.#left ? 0 : Math.max(0, this.deadlineMs - this.#platform.now());
  }

  /** Calls `listener` when the caller leaves (never if it has already). Returns what takes it back. */
  onLeave(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Waits for `work`, at most until the caller leaves. `work` must not reject. */
  until<T>(work: Promise<T>): Promise<{ readonly done: true; readonly value: T } | { readonly done: false }> {
    if (this.#left) return Promise.resolve({ done: false });
    return new Promise((resolve) => {
      const forget = this.onLeave(() => resolve({ done: false }));
      void work.then((value) => {
        forget();
        resolve({ done: true, value });
      });
    });
  }

  /** Waits `delayMs` ms, less if the caller leaves. */
  sleep(delayMs: number): Promise<void> {
    if (this.#left) return Promise.resolve();
    return new Promise((resolve) => {
      const cancelTimer = this.#platform.setTimer(delayMs, () => {
        forget();
        resolve();
      });
      const forget = this.onLeave(() => {
        cancelTimer();
        resolve();
      });
    });
  }

  /** Drops the timer and the signal's listener. */
  end(): void {
    for (const ending of this.#endings.splice(0)) ending();
    this.#listeners.clear();
  }

  /**
   * The error of a call that ends early. A refusal that was met on the way says more than that time ran out, so it
   * goes first.
   */
  failure(last: ClerkError | null, outcome: FailedOutcome = 'not_applied'): ClerkError {
    if (this.#left?.type === 'aborted') {
      return new ClerkError('aborted', 'the caller aborted the call', { outcome, cause: this.#left.reason });
    }
    return last ?? new ClerkError('timeout', `no reply within ${this.#timeoutMs} ms`);
  }

  #leave(reason: LeaveReason): void {
    if (this.#left) return;
    this.#left = reason;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }
}
