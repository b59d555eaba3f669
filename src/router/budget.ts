/** What one client's request may spend: time, and calls of peers (an invocation may make 50 on the free plan). */
import { type RouterPlatform, sleep } from './platform.ts';

/**
 * The contract promises an answer within 10 s of the body's last byte. The rest is for what a busy machine adds: the way in and out,
 * and timers that fire late.
 */
export const REQUEST_MS = 8500;
const MAX_CALLS = 45;
/** With less time than this left nothing is sent: it would only turn "nothing was done" into "unknown". */
const SHORTEST_TRY_MS = 60;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 800;
/** A probe, and the leader that it named. */
const CALLS_BETWEEN_PAUSES = 2;

export class Budget {
  readonly deadlineMs: number;
  readonly #platform: RouterPlatform;
  #calls = 0;
  #pauses = 0;

  constructor(platform: RouterPlatform, durationMs: number = REQUEST_MS) {
    this.#platform = platform;
    this.deadlineMs = platform.now() + durationMs;
  }

  get remainingMs(): number {
    return Math.max(0, this.deadlineMs - this.#platform.now());
  }

  /** Nothing more may be sent. */
  get spent(): boolean {
    return this.#calls >= MAX_CALLS || this.remainingMs < SHORTEST_TRY_MS;
  }

  /** Counts one call, and says how long it may take. */
  takeCall(timeoutMs: number): number {
    this.countCall();
    return this.timeFor(timeoutMs);
  }

  countCall(): void {
    this.#calls += 1;
  }

  /** What is left of `timeoutMs`. */
  timeFor(timeoutMs: number): number {
    return Math.min(timeoutMs, this.remainingMs);
  }

  /** What was waited for may have come: pauses are short again. */
  restartPauses(): void {
    this.#pauses = 0;
  }

  /**
   * Waits, longer each time, with jitter so that routers do not come back all at once; yet no longer than the calls that are left need
   * to last until the deadline: after a probe and a request that were lost, who leads need not be waited for.
   */
  async pause(): Promise<void> {
    const callsLeft = Math.max(1, MAX_CALLS - this.#calls);
    const paceMs = (CALLS_BETWEEN_PAUSES * this.remainingMs) / callsLeft;
    const longestMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#pauses, Math.max(FIRST_PAUSE_MS, paceMs), LONGEST_PAUSE_MS);
    this.#pauses += 1;
    await sleep(this.#platform, Math.min(longestMs * (0.5 + this.#platform.random() / 2), this.remainingMs));
  }
}
