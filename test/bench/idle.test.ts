/** What the idle bench concludes: anything but nothing at all is a miss. */
import { expect, test } from 'vitest';
import { allReached, checkCounting, type FirstPuts, firstPutVerdicts, idleTable, idleVerdicts } from './idle-report.ts';
import { type Metrics, parseMetrics } from './metrics.ts';
import { judge } from './targets.ts';

const NAMES = [
  'alarms_set_total',
  'alarms_fired_total',
  'peer_calls_total',
  'peer_calls_failed_total',
  'peer_calls_answered_total',
  'rows_written_total',
];

/** Each counter of peer 1 is 7 and that of peer 2 is 8, unless `changed` says otherwise; no call has failed. */
function metrics(changed: Readonly<Record<string, number>> = {}): Metrics {
  const lines = NAMES.flatMap((name) =>
    [1, 2].map((peer) => {
      const value = changed[`${name} ${peer}`] ?? (name.includes('failed') ? 0 : 6 + peer);
      return `edgeraft_${name}{group="default",peer="${peer}"} ${value}`;
    }),
  );
  return parseMetrics(lines.join('\n'));
}

test('equal counters are what it must be, and are shown by peer', () => {
  expect(idleVerdicts(metrics(), metrics()).map(judge)).toEqual(['aim', 'aim', 'aim']);
  const [head, first, second] = idleTable(metrics(), metrics({ 'rows_written_total 2': 9 })).split('\n');
  expect(head).toMatch(/^peer +alarms set +fired +calls made +failed +answered +rows written$/);
  expect(first).toMatch(/^1( +7 \+ 0){3} +0 \+ 0( +7 \+ 0){2}$/);
  expect(second).toMatch(/8 \+ 0 +8 \+ 1$/);
});

test.each([
  ['an alarm', { 'alarms_fired_total 2': 9 }, ['MISSED', 'aim', 'aim']],
  ['a message', { 'peer_calls_total 1': 8 }, ['aim', 'MISSED', 'aim']],
  ['a lost message', { 'peer_calls_failed_total 1': 1 }, ['aim', 'MISSED', 'aim']],
  ['a row', { 'rows_written_total 1': 8 }, ['aim', 'aim', 'MISSED']],
  ['a peer that has begun to count anew', { 'rows_written_total 1': 0 }, ['aim', 'aim', 'MISSED']],
])('%s is a miss', (_, changed, judgements) => {
  const verdicts = idleVerdicts(metrics(), metrics(changed));
  expect(verdicts.map(judge)).toEqual(judgements);
  expect(allReached(verdicts)).toBe(false);
});

test('a counter that is missing, or has counted nothing, proves nothing', () => {
  expect(() => checkCounting(metrics())).not.toThrow();
  expect(() => checkCounting(metrics({ 'alarms_set_total 1': 0, 'alarms_set_total 2': 0 }))).toThrow('alarms_set');
  expect(() => checkCounting(parseMetrics(''))).toThrow('/metrics has no');
  const gone = new Map([...metrics()].map(([name, family]) => [name, new Map([...family].slice(1))]));
  expect(allReached(idleVerdicts(metrics(), gone))).toBe(false);
});

test('with the leader there the median round counts, without it the slowest put', () => {
  const puts: FirstPuts = {
    warmMs: [2, 4, 2],
    leaderThereMs: [6, 8, 90],
    leaderCrashedMs: [10, 20, 30],
    leaderCutOffMs: [400, 1001, 300],
    electionTimeoutMs: 1000,
  };
  expect(firstPutVerdicts(puts).map(({ value }) => value)).toEqual([3, 0.03, 1.001]);
  expect(firstPutVerdicts(puts).map(judge)).toEqual(['aim', 'aim', 'MISSED']);
  expect(allReached(firstPutVerdicts({ ...puts, leaderCutOffMs: [] }))).toBe(true);
});
