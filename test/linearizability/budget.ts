/** How much a check may do before it gives up. */
export class Budget {
  readonly #maxSteps: number;
  readonly #endMs: number;
  readonly #now: () => number;
  #steps = 0;
  #exceeded: 'steps' | 'time' | null = null;

  constructor(maxSteps: number, timeoutMs: number, now: () => number) {
    this.#maxSteps = maxSteps;
    this.#endMs = now() + timeoutMs;
    this.#now = now;
  }

  get steps(): number {
    return this.#steps;
  }

  /** What ran out; null: nothing yet. */
  get exceeded(): 'steps' | 'time' | null {
    return this.#exceeded;
  }

  /** Counts one step; false: the budget is exceeded. */
  spend(): boolean {
    this.#steps += 1;
    if (this.#steps > this.#maxSteps) this.#exceeded ??= 'steps';
    else if (this.#steps % 1024 === 0 && this.#now() > this.#endMs) this.#exceeded ??= 'time';
    return this.#exceeded === null;
  }
}
