/** Simulated time for the Raft labs: a heap of events, run in one synchronous loop (nothing in these tests awaits). */

export interface TimedEvent {
  readonly atMs: number;
  readonly order: number;
  /** Null: cancelled. */
  run: (() => void) | null;
}

function before(a: TimedEvent, b: TimedEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

export class EventQueue {
  nowMs = 0;
  /** Events run so far. */
  count = 0;
  #order = 0;
  readonly #heap: TimedEvent[] = [];

  /** Events of one time run in the order in which they were scheduled; one in the past runs now. */
  at(atMs: number, run: () => void): TimedEvent {
    const event: TimedEvent = { atMs: Math.max(atMs, this.nowMs), order: this.#order, run };
    this.#order += 1;
    this.#push(event);
    return event;
  }

  after(delayMs: number, run: () => void): TimedEvent {
    return this.at(this.nowMs + delayMs, run);
  }

  /** Runs everything that is due within the next `durationMs`; the clock stands at their end. */
  runFor(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= endMs; next = this.#heap[0]) {
      this.#pop();
      const { run } = next;
      if (run === null) continue;
      this.nowMs = next.atMs;
      this.count += 1;
      run();
    }
    this.nowMs = endMs;
  }

  #push(event: TimedEvent): void {
    const heap = this.#heap;
    heap.push(event);
    let i = heap.length - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent]!;
      if (!before(event, above)) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let i = 0;
    while (true) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1;
      if (!before(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
  }
}
