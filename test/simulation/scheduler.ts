/** So often the process's own event loop gets its turn: timers of a test's runner, messages of a process. */
const EVENTS_A_ROUND = 4096;

/** Simulated time: a heap of events. Events of one time run in the order in which they were scheduled. */
export interface Scheduled {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | null;
}

export class Scheduler {
  nowMs = 0;
  /** Events run so far. */
  count = 0;
  #order = 0;
  readonly #heap: Scheduled[] = [];

  at(atMs: number, run: () => void): () => void {
    const event: Scheduled = { atMs: Math.max(atMs, this.nowMs), order: this.#order, run };
    this.#order += 1;
    this.#push(event);
    return () => {
      event.run = null;
    };
  }

  after(delayMs: number, run: () => void): () => void {
    return this.at(this.nowMs + delayMs, run);
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.after(delayMs, resolve));
  }

  /**
   * Runs the next event and everything that follows from it without time passing: a tick asked for by a microtask comes
   * after all other microtasks, and costs no round of the event loop. False: nothing is left.
   */
  async step(): Promise<boolean> {
    const event = this.#pop();
    if (event === undefined) return false;
    this.nowMs = event.atMs;
    if (event.run !== null) {
      this.count += 1;
      event.run();
      await new Promise<void>((resolve) => {
        if (this.count % EVENTS_A_ROUND === 0) setImmediate(resolve);
        else process.nextTick(resolve);
      });
    }
    return true;
  }

  #before(a: Scheduled, b: Scheduled): boolean {
    return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
  }

  #push(event: Scheduled): void {
    const heap = this.#heap;
    heap.push(event);
    let i = heap.length - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.#before(heap[i]!, heap[parent]!)) return;
      [heap[i], heap[parent]] = [heap[parent]!, heap[i]!];
      i = parent;
    }
  }

  #pop(): Scheduled | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    heap[0] = last;
    let i = 0;
    while (true) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < heap.length && this.#before(heap[child]!, heap[least]!)) least = child;
      }
      if (least === i) return top;
      [heap[i], heap[least]] = [heap[least]!, heap[i]!];
      i = least;
    }
  }
}
