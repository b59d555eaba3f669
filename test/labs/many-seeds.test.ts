/** What no single run can show: figures over many seeds. A failure replays: the seeds are always the same. */
import { describe, expect, test } from 'vitest';
import { median } from '../bench/quantile.ts';
import { selectTests } from './catalogue.ts';

/** The figures of one test for the seeds 1 to `seeds`. */
async function figuresOf(name: string, seeds: number): Promise<Readonly<Record<string, number>>[]> {
  const [lab] = selectTests(name);
  const all: Readonly<Record<string, number>>[] = [];
  for (let seed = 1; seed <= seeds; seed += 1) all.push((await lab!.run({ seed })).figures);
  return all;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

describe('catching up', () => {
  // A run allows 95 B, for messages that overtook each other. Mostly none does, and an entry costs little more than its command.
  test('mostly costs each entry once', async () => {
    const runs = await figuresOf('TestCatchUp beyond', 50);
    expect(median(runs.map((figures) => figures.catchUpBytesPerCommand!))).toBeLessThanOrEqual(40);
  });
});

describe('ErrMaybe', () => {
  test('is met, and is sometimes the truth and sometimes not: OKs ≤ version ≤ OKs + ErrMaybes are two bounds', async () => {
    const runs = await figuresOf('TestUnreliable kvraft4B', 8);
    const maybe = sum(runs.map((figures) => figures.maybe!));
    const done = sum(runs.map((figures) => figures.maybeDone!));
    expect(maybe).toBeGreaterThan(0);
    expect(done).toBeGreaterThan(0);
    expect(done).toBeLessThan(maybe);
  });
});
