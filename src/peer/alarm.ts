/**
 * The one alarm, pushed lazily: deadlines move in memory, and the alarm that is set already fires, looks and is set again. A
 * heartbeat that a follower hears moves nothing. Moving an alarm earlier costs a round trip inside the output gate, so
 * it happens in a turn of its own, after the writes at hand are on disk.
 */
import type { MonotonicClock, Platform } from './platform.ts';

/** An alarm this late is taken for lost: some in production were reported stuck in the past. */
const OVERDUE_MS = 2000;
/** Not worth moving an alarm for. */
const SLACK_MS = 5;

export class Alarm {
  readonly #platform: Platform;
  readonly #clock: MonotonicClock;
  /** Monotonic time of the alarm that is set, as far as this instance knows; null: none. */
  #setForMs: number | null = null;
  #deadlineMs: number | null = null;
  /** Wall time that the alarm was set for whose handler ran last. */
  #firedForMs: number | null = null;
  #moving = false;
  /** An instance that was just made does not know whether one is set. */
  #maybeSet = true;
  sets = 0;
  fired = 0;

  constructor(platform: Platform, clock: MonotonicClock) {
    this.#platform = platform;
    this.#clock = clock;
  }

  /** Called at the end of every turn. `wrote`: the turn has written, so an earlier alarm waits for a turn of its own. */
  require(deadlineMs: number | null, wrote: boolean): void {
    this.#deadlineMs = deadlineMs;
    if (!this.#mustMove() || this.#moving) return;
    if (!wrote) return this.#move();
    this.#moving = true;
    const move = (): void => {
      this.#moving = false;
      if (this.#mustMove()) this.#move();
    };
    this.#platform.sync().then(move, () => {
      this.#moving = false;
    });
  }

  /** A sleeping peer was restored: its alarm went in the very turn that stored its record. */
  noneIsSet(): void {
    this.#maybeSet = false;
  }

  /** None is needed: the peer sleeps. Deleted, not left to fire in vain: that would wake the object. */
  cancel(): void {
    this.#deadlineMs = null;
    if (!this.#maybeSet) return;
    this.#maybeSet = false;
    this.#setForMs = null;
    this.#platform.deleteAlarm();
  }

  /** The handler begins: the alarm, set for the wall time `scheduledMs`, is gone, and may be set again without a price. */
  fire(scheduledMs: number): void {
    this.fired += 1;
    this.#maybeSet = false;
    this.#firedForMs = scheduledMs;
    this.#setForMs = null;
  }

  #mustMove(): boolean {
    if (this.#deadlineMs === null) return false;
    const nowMs = this.#clock.now();
    if (this.#setForMs === null || this.#setForMs + OVERDUE_MS < nowMs) return true;
    return Math.max(this.#deadlineMs, nowMs) < this.#setForMs - SLACK_MS;
  }

  #move(): void {
    if (this.#deadlineMs === null) return;
    // Whole milliseconds, rounded up: the platform keeps whole ones. And never the time of the alarm whose handler runs: the platform
    // takes such an alarm for that one, which is gone when the handler ends. It may still lie ahead: alarms fire by another clock.
    this.#setForMs = Math.max(Math.ceil(this.#deadlineMs), Math.floor(this.#clock.now()) + 1);
    if (this.#clock.wall(this.#setForMs) === this.#firedForMs) this.#setForMs += 1;
    this.sets += 1;
    this.#maybeSet = true;
    this.#platform.setAlarm(this.#clock.wall(this.#setForMs));
  }
}
