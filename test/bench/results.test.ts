/** The sums: medians, ratios, targets, and what is shown of them. */
import { describe, expect, test } from 'vitest';
import { chart, niceTop } from './chart.ts';
import { parseOptions, UsageError } from './options.ts';
import { Progress } from './progress.ts';
import { median, quantile } from './quantile.ts';
import { type CellResult, type Measurement, type ResultRow, ratio, rowsOf } from './results.ts';
import { cellLines, verdictLines } from './table.ts';
import { judge, verdictsOf } from './targets.ts';

const measured = (requestsPerSecond: number, p99Ms = 10, errors = 0): Measurement => ({
  requestsPerSecond,
  p50Ms: 1,
  p99Ms,
  errors,
});

/** The machine is three times slower in the second round, for all. */
const result: CellResult = {
  cell: { operation: 'put', valueBytes: 64, connections: 64 },
  rounds: new Map([
    ['plain-object', [measured(3000), measured(1000), measured(2900)]],
    ['etcd', [measured(9000, 4), measured(3000, 12), measured(8000, 4)]],
    ['edgeraft', [measured(9000, 8, 1), measured(3000, 24), measured(8700, 4, 2)]],
  ]),
};

describe('quantiles', () => {
  test('of odd and even numbers of values, in any order, between neighbours', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(quantile([10, 20], 0.99)).toBeCloseTo(19.9);
    expect(quantile([7], 0.99)).toBe(7);
    expect(median([])).toBeNaN();
  });
});

describe('a cell', () => {
  test('is the median of its rounds, with all errors', () => {
    const [plain, , ours] = rowsOf(result);
    expect(plain).toEqual({
      system: 'plain-object',
      operation: 'put',
      valueBytes: 64,
      connections: 64,
      requestsPerSecond: 2900,
      p50Ms: 1,
      p99Ms: 10,
      errors: 0,
    });
    expect(ours).toMatchObject({ system: 'edgeraft', requestsPerSecond: 8700, p99Ms: 8, errors: 3 });
  });

  test('has ratios within each round: a slow round is slow for both', () => {
    expect(ratio(result, 'edgeraft', 'plain-object', 'requestsPerSecond')).toBe(3);
    expect(ratio(result, 'edgeraft', 'etcd', 'p99Ms')).toBe(2);
    const alone = { ...result, rounds: new Map([...result.rounds].slice(2)) };
    expect(ratio(alone, 'edgeraft', 'etcd', 'requestsPerSecond')).toBeNull();
    expect(verdictsOf(alone)).toEqual([]);
  });

  test('is printed with its ratios', () => {
    const lines = cellLines(result).split('\n');
    expect(lines[0]).toBe('put, 64 B, 64 connections');
    expect(lines[3]).toMatch(/^Edgeraft +8700 +1\.00 +8\.00 +3 +3\.00× +1\.00×$/);
  });
});

describe('targets', () => {
  test('throughput must not be less, latency not more', () => {
    expect(verdictsOf(result).map((verdict) => [verdict.value, verdict.must, verdict.aim, judge(verdict)])).toEqual([
      [3, 2.5, 3.5, 'must'],
      [1, 0.9, 1, 'aim'],
      [2, 2, 1, 'must'],
    ]);
    expect(judge({ value: 2.49, must: 2.5, aim: 3.5, isFloor: true })).toBe('MISSED');
    expect(judge({ value: 2.01, must: 2, aim: 1, isFloor: false })).toBe('MISSED');
  });

  test('are of small values, and of puts and gets', () => {
    const other = (cell: Partial<CellResult['cell']>) => verdictsOf({ ...result, cell: { ...result.cell, ...cell } });
    expect(other({ valueBytes: 1024 })).toEqual([]);
    expect(other({ operation: 'mix' })).toEqual([]);
    expect(other({ connections: 2 })).toEqual([]);
    expect(other({ operation: 'get', connections: 256 }).map(({ must }) => must)).toEqual([1.4, 1.2]);
  });

  test('are printed with what they are', () => {
    expect(verdictLines(verdictsOf(result)).split('\n')[0]).toMatch(
      /^put at 64, ours \/ plain object +3\.00 +must ≥ 2\.5, aim ≥ 3\.5 +must$/,
    );
  });
});

describe('the chart', () => {
  const rows: ResultRow[] = [1, 64].flatMap((connections) =>
    (['plain-object', 'etcd', 'edgeraft'] as const).map((system, i) => ({
      system,
      operation: 'put' as const,
      valueBytes: 64,
      connections,
      ...measured(1000 * (i + 1)),
    })),
  );

  test('has a bar for each row, as high as its figure', () => {
    const svg = chart([...rows, { ...rows[0], valueBytes: 1024 } as ResultRow]);
    const bars = [...svg.matchAll(/<rect class="([\w-]+)" [^>]*height="([\d.]+)"><title>/g)];
    expect(bars).toHaveLength(rows.length);
    const heights = bars.slice(0, 3).map(([, , height]) => Number(height));
    expect(heights[1]).toBeCloseTo(2 * (heights[0] ?? 0));
    expect(heights[2]).toBeCloseTo(3 * (heights[0] ?? 0));
    expect(svg).toContain('<title>Edgeraft: 3000 a second, p99 10.0 ms</title>');
  });

  test('of a quick run says so', () => {
    expect(chart(rows)).toContain('all on one machine, one run</text>');
    expect(chart(rows, { quick: true })).toContain('all on one machine, one quick run</text>');
  });

  test('is well formed, dark and light, and asks nobody for anything', () => {
    const svg = chart(rows);
    const open = [...svg.matchAll(/<(\w+)[^>]*[^/]>/g)].length - [...svg.matchAll(/<\/(\w+)>/g)].length;
    expect(open).toBe(0);
    expect(svg).toContain('prefers-color-scheme: dark');
    expect(svg.replace('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|url\(|NaN|undefined/);
    expect(chart([])).not.toMatch(/NaN|Infinity|undefined/);
  });

  test.each([
    [0, 1],
    [1, 1],
    [1.1, 2],
    [4700, 6000],
    [9999, 10_000],
  ])('an axis up to %d ends at %d', (value, top) => {
    expect(niceTop(value)).toBe(top);
  });
});

describe('progress', () => {
  const record = (isTTY: boolean) => {
    const written: string[] = [];
    let nowMs = 0;
    const progress = new Progress(100, { isTTY, write: (text) => written.push(text) }, () => nowMs);
    const stepAt = (ms: number, seconds: number) => {
      nowMs = ms;
      progress.step(seconds, 'put');
    };
    return { written, stepAt };
  };

  test('is a bar on a terminal, with the time left at the pace so far', () => {
    const { written, stepAt } = record(true);
    stepAt(0, 0);
    stepAt(50_000, 25);
    expect(written[0]).toContain('[........................]   0 %, 1:40 left: put');
    expect(written[1]).toContain('[######..................]  25 %, 2:30 left: put');
  });

  test('is a line every 15 s elsewhere', () => {
    const { written, stepAt } = record(false);
    for (let second = 0; second <= 30; second += 1) stepAt(second * 1000, 1);
    expect(written).toHaveLength(3);
    expect(written[2]).toMatch(/^ 31 %, 1:07 left: put\n$/);
  });
});

describe('arguments', () => {
  test('without any, all of it: values of both sizes, four numbers of connections', () => {
    const { cells, systems, bill, failover, writes } = parseOptions([]);
    expect(cells).toHaveLength(4 * 8 + 2 * 3);
    expect(cells.filter(({ operation }) => operation === 'append').map(({ connections }) => connections)).not.toContain(
      256,
    );
    expect({ systems, bill, failover, writes }).toEqual({
      systems: ['plain-object', 'etcd', 'edgeraft'],
      bill: true,
      failover: true,
      writes: true,
    });
  });

  test('--quick keeps every cell that has a target, and every operation', () => {
    const { cells } = parseOptions(['--quick']);
    const small = cells.filter(({ valueBytes }) => valueBytes === 64);
    for (const operation of ['put', 'get']) {
      expect(small.filter((cell) => cell.operation === operation).map(({ connections }) => connections)).toEqual([
        1, 16, 64, 256,
      ]);
    }
    expect(new Set(cells.map(({ operation }) => operation)).size).toBe(5);
  });

  test('--quick warms up for a second instead of three', () => {
    expect([parseOptions([]), parseOptions(['--quick'])].map(({ warmUpSeconds }) => warmUpSeconds)).toEqual([3, 1]);
  });

  test('limits, and then nothing is written', () => {
    const args = '--only put --connections 64,2 --systems edgeraft,plain-object --seconds 1 --set COALESCING=off';
    const options = parseOptions(args.split(' '));
    expect(options).toMatchObject({ bill: false, failover: false, writes: false, variables: { COALESCING: 'off' } });
    expect(options.cells.map(({ connections }) => connections)).toEqual([64, 2, 64, 2]);
    expect(parseOptions([...args.split(' '), '--write']).writes).toBe(true);
    // Another group than the one that the chart speaks of.
    for (const other of ['--peers 5', '--set COALESCING=off'])
      expect(parseOptions(other.split(' ')).writes).toBe(false);
  });

  test.each([
    ['--only', 'puts'],
    ['--connections', '0'],
    ['--connections', '1,,2'],
    ['--values', '31'],
    ['--seconds', '0.5'],
    ['--peers', '2'],
    ['--systems', 'redis'],
    ['--set', 'coalescing'],
    ['--generator', 'ab'],
    ['--bogus', ''],
  ])('%s %s is refused', (name, value) => {
    expect(() => parseOptions([name, value])).toThrow(UsageError);
  });
});
