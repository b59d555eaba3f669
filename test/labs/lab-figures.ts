/** What the runs of one test have shown so far. */

import { median } from '../bench/quantile.ts';
import type { LabTest } from './lab.ts';
import type { LabOutcome } from './labs-worker.ts';

export class TestFigures {
  readonly test: LabTest;
  runs = 0;
  failed = 0;
  /** By name: one value for each run that passed. */
  readonly #values = new Map<string, number[]>();

  constructor(test: LabTest) {
    this.test = test;
  }

  add(outcome: LabOutcome): void {
    this.runs += 1;
    if (!outcome.ok) {
      this.failed += 1;
      return;
    }
    const { figures, ...report } = outcome.report;
    for (const [name, value] of Object.entries({ wallMs: outcome.wallMs, ...report, ...figures })) {
      const values = this.#values.get(name);
      if (values === undefined) this.#values.set(name, [value]);
      else values.push(value);
    }
  }

  /** NaN: no run has passed. */
  median(name: string): number {
    return median(this.#values.get(name) ?? []);
  }

  /** The figures that the test's bound speaks of. */
  get own(): string[] {
    const shared = ['wallMs', 'rpcs', 'rpcBytes', 'simulatedMs', 'operations'];
    return [...this.#values.keys()].filter((name) => !shared.includes(name));
  }
}
