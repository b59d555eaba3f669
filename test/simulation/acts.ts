/**
 * Everything that is done to a world, numbered: one act for each event in which something is crashed, cut, refused … So a
 * run can be repeated without some of its acts, which is how a failing one is made smaller. What heals is no act.
 */
import type { Scheduler } from './scheduler.ts';

export class Acts {
  readonly #scheduler: Scheduler;
  #leftOut: ReadonlySet<number> = new Set();
  #last = Number.POSITIVE_INFINITY;
  #event = -1;
  /** Acts so far, those that were left out included. */
  count = 0;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** From now on: no act of these numbers (from 1), and none after `last`. */
  limit(leftOut: readonly number[], last: number | null): void {
    this.#leftOut = new Set(leftOut);
    this.#last = last ?? Number.POSITIVE_INFINITY;
  }

  /** Whether what is about to be done may be. All that one event does is one act. */
  permit(): boolean {
    if (this.#scheduler.count !== this.#event) {
      this.#event = this.#scheduler.count;
      this.count += 1;
    }
    return this.count <= this.#last && !this.#leftOut.has(this.count);
  }
}

/** Directed pairs `from>to` through which nothing passes. Adding one is an act. */
export class Cuts extends Set<string> {
  readonly #acts: Acts;

  constructor(acts: Acts) {
    super();
    this.#acts = acts;
  }

  override add(pair: string): this {
    return this.#acts.permit() ? super.add(pair) : this;
  }
}

/** Directed pairs with a delay of their own: from, to, ms. Adding one is an act. */
export class SlowLinks extends Map<string, readonly [minMs: number, maxMs: number]> {
  readonly #acts: Acts;

  constructor(acts: Acts) {
    super();
    this.#acts = acts;
  }

  override set(pair: string, delayMs: readonly [minMs: number, maxMs: number]): this {
    return this.#acts.permit() ? super.set(pair, delayMs) : this;
  }
}
