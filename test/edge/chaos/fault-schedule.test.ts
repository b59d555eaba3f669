import { describe, expect, test } from 'vitest';
import { cutsOf, FAULT_KINDS, faultSchedule, LONG_PACE, type PlannedFault, SHORT_PACE } from './fault-schedule.ts';
import { longestGap, outages } from './unavailability.ts';

function first(count: number, seed: number, peers = 3): PlannedFault[] {
  const schedule = faultSchedule(seed, peers, LONG_PACE);
  return Array.from({ length: count }, () => schedule.next().value);
}

describe('the schedule', () => {
  test('is the same for the same seed, and another for another', () => {
    expect(first(50, 7)).toEqual(first(50, 7));
    expect(first(50, 7)).not.toEqual(first(50, 8));
  });

  test('has the same kinds in the same order at any pace', () => {
    const hasty = faultSchedule(7, 3, SHORT_PACE);
    expect(first(30, 7).map(({ kind }) => kind)).toEqual(Array.from({ length: 30 }, () => hasty.next().value.kind));
  });

  test('brings every kind before it brings one again', () => {
    for (const seed of [1, 2, 3]) {
      const kinds = first(FAULT_KINDS.length, seed).map(({ kind }) => kind);
      expect(new Set(kinds).size).toBe(FAULT_KINDS.length);
    }
  });

  test('begins with the kinds that are to come first, in an order of the seed', () => {
    const wanted = ['kill of the runtime', 'crash of the leader', 'all at once'] as const;
    const orders = [1, 2, 3, 4, 5].map((seed) => {
      const schedule = faultSchedule(seed, 3, SHORT_PACE, wanted);
      return wanted.map(() => schedule.next().value.kind);
    });
    for (const order of orders) expect(order.toSorted()).toEqual(wanted.toSorted());
    expect(new Set(orders.map(String)).size).toBeGreaterThan(1);
  });

  test('names only peers that are there, and cuts none off from itself', () => {
    for (const peers of [3, 5]) {
      for (const fault of first(200, 4, peers)) {
        expect(fault.peers.toSorted()).toEqual(['1', '2', '3', '4', '5'].slice(0, peers));
        expect(fault.count).toBeGreaterThanOrEqual(1);
        expect(fault.count).toBeLessThanOrEqual(peers);
        for (const { at, from } of cutsOf(fault)) expect(at).not.toBe(from);
      }
    }
  });

  test('isolates minorities and majorities, and leaves a possible quorum in every cut', () => {
    const faults = first(1000, 5, 5);
    const counts = (kind: string): number[] =>
      [...new Set(faults.filter((fault) => fault.kind === kind).map(({ count }) => count))].toSorted((a, b) => a - b);
    expect(counts('isolation')).toEqual([1, 2]);
    expect(counts('isolation of a majority')).toEqual([3, 4, 5]);
    expect(counts('one-way cut')).toEqual([1, 2, 3, 4]);
  });
});

describe('the gaps between successful writes', () => {
  test('are those that some part of the time lies in', () => {
    const acks = [0, 10, 400, 410, 420, 1000];
    expect(longestGap(acks, 50, 60)).toBe(390);
    expect(longestGap(acks, 405, 415)).toBe(10);
    expect(longestGap(acks, 405, 430)).toBe(580);
  });

  test('belong to the fault that tore them, not to the calm before it', () => {
    const acks = [0, 10, 20, 500, 510, 530, 700, 710];
    const span = (beginMs: number, endMs: number, recoveredMs: number) => ({
      kind: 'loss' as const,
      detail: '',
      beginMs,
      endMs,
      recoveredMs,
      startMs: 0,
    });
    const rows = outages([span(25, 490, 500), span(540, 690, 705)], acks);
    expect(rows.map(({ kind, count, medianMs, worstMs }) => [kind, count, medianMs, worstMs])).toEqual([
      ['loss', 2, 325, 480],
      ['calm', 1, 20, 20],
    ]);
  });
});
