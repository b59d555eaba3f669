/** Simulated time: timers fire in order, and only when everything that could run before them has run. */
interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class FakeClock {
  nowMs = 1_000_000;
  #order = 0;
  #timers = new Map<number, Timer>();

  setTimer(delayMs: number, run: () => void): () => void {
    this.#order += 1;
    const order = this.#order;
    this.#timers.set(order, { atMs: this.nowMs + Math.max(0, delayMs), order, run });
    return () => this.#timers.delete(order);
  }

  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Runs time until `promise` has settled. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const done = () => {
      settled = true;
    };
    promise.then(done, done);
    for (;;) {
      await quiet();
      if (settled) return promise;
      if (!this.#fireNext(Number.POSITIVE_INFINITY)) throw new Error('nothing is left that could settle the promise');
    }
  }

  async advance(durationMs: number): Promise<void> {
    const untilMs = this.nowMs + durationMs;
    await quiet();
    while (this.#fireNext(untilMs)) await quiet();
    this.nowMs = untilMs;
  }

  #fireNext(untilMs: number): boolean {
    let next: Timer | null = null;
    for (const timer of this.#timers.values()) {
      if (next === null || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order))
        next = timer;
    }
    if (next === null || next.atMs > untilMs) return false;
    this.#timers.delete(next.order);
    this.nowMs = Math.max(this.nowMs, next.atMs);
    next.run();
    return true;
  }
}

/** All microtasks have run. */
function quiet(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
