/** The bill, from what `/metrics` says before and after. */
import { describe, expect, test } from 'vitest';
import { lineOf } from './bill.ts';
import { billLines, billVerdicts } from './bill-table.ts';
import { type Metrics, newest, oldest, parseMetrics, sumOfGrowth, valuesOf } from './metrics.ts';
import { dollarsForMillion } from './prices.ts';

const PEERS = [1, 2, 3];
const NAMES = [
  'revision',
  'compacted_revision',
  'rows_written_total',
  'rows_read_total',
  'alarms_set_total',
  'alarms_fired_total',
  'client_calls_total',
  'peer_calls_total',
  'peer_bytes_sent_total',
  'proposed_entries_total',
  'flushes_total',
];

/** As the Worker writes it: `of(name, peer)` for each peer. */
function metrics(of: (name: string, peer: number) => number): Metrics {
  const family = (name: string) =>
    `# HELP edgeraft_${name} Something.\n# TYPE edgeraft_${name} counter\n` +
    PEERS.map((peer) => `edgeraft_${name}{group="default",peer="${peer}"} ${of(name, peer)}\n`).join('');
  return parseMetrics(NAMES.map(family).join(''));
}

describe('/metrics', () => {
  const before = metrics((name, peer) => (name === 'revision' ? 100 + peer : 10));
  const after = metrics((_, peer) => 10 * peer);

  test('are read by peer', () => {
    expect(valuesOf(before, 'revision')).toEqual([101, 102, 103]);
    expect([newest(before, 'revision'), oldest(before, 'revision')]).toEqual([103, 101]);
  });

  test('grow; what has another name now, or began anew, is no zero', () => {
    expect(sumOfGrowth(before, after, 'flushes_total')).toBe(0 + 10 + 20);
    expect(() => sumOfGrowth(before, after, 'flushes')).toThrow('no edgeraft_flushes');
    expect(() => valuesOf(before, 'rows')).toThrow('no edgeraft_rows');
    expect(() => sumOfGrowth(after, before, 'flushes_total')).toThrow('peer 2 restarted');
  });
});

/** 1,000 puts in 100 entries; each peer wrote 2,500 rows and set 10 alarms. */
const growth: Readonly<Record<string, readonly number[]>> = {
  revision: [990, 1000, 1000],
  compacted_revision: [900, 900, 900],
  rows_written_total: [2500, 2500, 2500],
  rows_read_total: [1000, 1000, 1000],
  alarms_set_total: [10, 10, 10],
  alarms_fired_total: [10, 10, 0],
  client_calls_total: [250, 0, 0],
  peer_calls_total: [200, 0, 0],
  peer_bytes_sent_total: [80_000, 10_000, 10_000],
  proposed_entries_total: [100, 0, 0],
  flushes_total: [120, 0, 0],
};
const window = {
  before: metrics(() => 7),
  after: metrics((name, peer) => 7 + (growth[name]?.[peer - 1] ?? 0)),
  isSteady: true,
};

describe('the bill', () => {
  const line = lineOf('hot', 64, 3, window);

  test('counts rows for each put and peer, an alarm that is set as one', () => {
    expect(line).toMatchObject({ puts: 1000, rowsWrittenPerPutAndPeer: 2.51, requestsPerPut: 0.45, rowsReadPerPut: 3 });
    expect(line).toMatchObject({ commandsPerEntry: 10, flushesPerPut: 0.12, bytesBetweenPeersPerPut: 100 });
    expect(line).toMatchObject({ compactedPerPut: 0.9, alarmsSet: 30, alarmsFired: 20 });
  });

  test('is in dollars for a million puts: requests and fired alarms at 0.15, rows written at 1, rows read at 0.001', () => {
    expect(dollarsForMillion({ requests: 1, rowsWritten: 1, rowsRead: 0 })).toBe(1.15);
    expect(line.dollarsPerMillion).toBeCloseTo(0.47 * 0.15 + 7.53 + 3 * 0.001);
  });

  test('is held against what it must be', () => {
    const bill = { peers: 3, lines: [line], plainObjectDollarsPerMillion: 1.15, workersKvDollarsPerMillion: 5 };
    expect(billVerdicts(bill)).toMatchObject([
      { value: 2.51, must: 2.2, aim: 1.6, isFloor: false },
      { value: 0.45, must: 1.5, isFloor: false },
    ]);
    const text = billLines(bill);
    expect(text).toMatch(/^hot keys +64 +1000 +2\.51 +0\.45 +3\.0 +100 +10\.0 +0\.90 +\$7\.60$/m);
    expect(text).toContain('a plain object $1.15, Workers KV $5.00');
    expect(billLines({ ...bill, lines: [{ ...line, isSteady: false }] })).toContain('what is due later is not in it');
  });

  test('of nothing is refused', () => {
    expect(() => lineOf('new', 1, 3, { ...window, after: window.before })).toThrow('nothing was put');
  });
});
