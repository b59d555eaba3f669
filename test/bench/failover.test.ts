import { expect, test } from 'vitest';
import { outageEndMs, timesOf } from './failover-times.ts';

test('acknowledgements just after the fault are the old leader’s: the outage ends with the longest pause', () => {
  expect(outageEndMs(1000, [980, 1003, 1009, 1400, 1402, 1404])).toBe(1400);
});

test('without any, it lasts from the fault to the first acknowledgement', () => {
  expect(outageEndMs(1000, [990, 1370, 1371])).toBe(1370);
});

test('a longer pause that begins later belongs to something else', () => {
  expect(outageEndMs(1000, [1001, 1100, 1101, 2000])).toBe(1100);
});

test('it is not over before a write is acknowledged', () => {
  expect(outageEndMs(1000, [990, 1000])).toBeNull();
});

test('median and p99 are of the sample: the p99 of fifty is the worst', () => {
  const times = timesOf(Array.from({ length: 50 }, (_, i) => 50 - i));
  expect(times).toMatchObject({ medianMs: 25, p99Ms: 50, n: 50 });
  expect(times.allMs[0]).toBe(1);
});
