/** The core bench measures what it says: entries that three cores have committed. */
import { expect, test } from 'vitest';
import { coreTable, measureCore } from './core.ts';

test('a row for each batch size, in their order, with the messages that it takes', () => {
  const rows = measureCore({ seconds: 0.02, rounds: 2, valueBytes: 64, batches: [1, 64], warmUpSeconds: 0.01 });
  expect(rows.map(({ batchEntries }) => batchEntries)).toEqual([1, 64]);
  for (const { entriesPerSecond, nsPerEntry } of rows) {
    expect(entriesPerSecond).toBeGreaterThan(100);
    expect(entriesPerSecond * nsPerEntry).toBeCloseTo(1e9);
  }
  // A request and a reply for each follower, at least; and few follow each other when none waits for what comes next.
  const [one, many] = rows.map(({ messagesPerEntry }) => messagesPerEntry);
  expect(one).toBeGreaterThanOrEqual(4);
  expect(one).toBeLessThan(13);
  expect(many).toBeGreaterThan(0);
  expect(many).toBeLessThan(1);
  expect(coreTable(rows).split('\n')).toHaveLength(1 + rows.length);
});
