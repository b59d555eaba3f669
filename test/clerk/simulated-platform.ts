import type { ClerkPlatform } from '../../src/clerk/platform.ts';

/** Small seeded generator (mulberry32): enough for scheduling, and a run replays from its seed. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly fire: () => void;
}

/** Time that passes only when told to, and timers on it. */
export class SimulatedPlatform implements ClerkPlatform {
  readonly random: () => number;
  #nowMs = 0;
  #order = 0;
  #timers: Timer[] = [];

  constructor(seed = 1) {
    this.random = seededRandom(seed);
  }

  now(): number {
    return this.#nowMs;
  }

  randomBytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => Math.floor(this.random() * 256));
  }

  setTimer(delayMs: number, fire: () => void): () => void {
    const timer: Timer = { atMs: this.#nowMs + delayMs, order: this.#order++, fire };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  get timers(): number {
    return this.#timers.length;
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.setTimer(delayMs, resolve));
  }

  /** Lets everything happen that is due within `ms`, in order. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settled();
    for (let next = this.#earliest(); next && next.atMs <= untilMs; next = this.#earliest()) await this.#fire(next);
    this.#nowMs = untilMs;
    await settled();
  }

  /** Runs until `work` has ended. */
  async run<T>(work: Promise<T>): Promise<T> {
    let ended = false;
    const end = () => {
      ended = true;
    };
    work.then(end, end);
    await settled();
    while (!ended) {
      const next = this.#earliest();
      if (!next) throw new Error('nothing is left to happen, and the work has not ended');
      await this.#fire(next);
    }
    return work;
  }

  async #fire(timer: Timer): Promise<void> {
    this.#timers = this.#timers.filter((other) => other !== timer);
    this.#nowMs = Math.max(this.#nowMs, timer.atMs);
    timer.fire();
    await settled();
  }

  #earliest(): Timer | undefined {
    let earliest: Timer | undefined;
    for (const timer of this.#timers) {
      if (!earliest || timer.atMs < earliest.atMs || (timer.atMs === earliest.atMs && timer.order < earliest.order)) {
        earliest = timer;
      }
    }
    return earliest;
  }
}

/** Until no promise is left to run: a macrotask comes after all of them. */
function settled(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
