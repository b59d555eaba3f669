import { describe, expect, test } from 'vitest';
import { Budget, REQUEST_MS } from '../../src/router/budget.ts';
import type { RouterPlatform } from '../../src/router/platform.ts';

/** Time goes on when it is waited for, and with every call. */
function search(callsBetweenPauses: number, callMs: number): { pausesMs: number[]; calls: number; leftMs: number } {
  let nowMs = 0;
  const platform = {
    now: () => nowMs,
    random: () => 0.999,
    setTimer: (delayMs: number, run: () => void) => {
      nowMs += delayMs;
      run();
      return () => {};
    },
  } as unknown as RouterPlatform;
  const budget = new Budget(platform);
  const pausesMs: number[] = [];
  let calls = 0;
  while (!budget.spent) {
    for (let n = 0; n < callsBetweenPauses && !budget.spent; n += 1) {
      budget.countCall();
      calls += 1;
      nowMs += callMs;
    }
    const beforeMs = nowMs;
    budget.pause();
    pausesMs.push(Math.round(nowMs - beforeMs));
  }
  return { pausesMs, calls, leftMs: REQUEST_MS - nowMs };
}

describe('the pauses of a search', () => {
  test('grow, but no longer than two calls between them need to last until the deadline', () => {
    const { pausesMs } = search(2, 5);
    expect(pausesMs.slice(0, 4)).toEqual([50, 100, 200, expect.any(Number)]);
    for (const pauseMs of pausesMs.slice(3, -1)) {
      expect(pauseMs).toBeGreaterThan(300);
      expect(pauseMs).toBeLessThan(450);
    }
  });

  test.each([
    { callsBetweenPauses: 1, callMs: 0 },
    { callsBetweenPauses: 1, callMs: 500 },
    { callsBetweenPauses: 2, callMs: 0 },
    { callsBetweenPauses: 2, callMs: 20 },
    { callsBetweenPauses: 3, callMs: 0 },
  ])('last until the deadline: $callsBetweenPauses calls of $callMs ms', ({ callsBetweenPauses, callMs }) => {
    const { calls, leftMs } = search(callsBetweenPauses, callMs);
    expect(calls).toBeLessThanOrEqual(45);
    expect(leftMs).toBeLessThan(800);
  });

  test('are 50 ms at least', () => {
    for (const pauseMs of search(1, 0).pausesMs.slice(0, -1)) expect(pauseMs).toBeGreaterThanOrEqual(50);
  });
});
