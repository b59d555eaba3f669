/** Results as lines of text. */
import { type CellResult, ratio, rowsOf } from './results.ts';
import { judge, nameOf, type Verdict } from './targets.ts';

const WIDTHS = { system: 13, number: 10, ratio: 8 };

export function tableHead(): string {
  const numbers = ['req/s', 'p50 ms', 'p99 ms', 'errors'].map((text) => text.padStart(WIDTHS.number));
  const ratios = ['/ plain', '/ etcd'].map((text) => text.padStart(WIDTHS.ratio + 1));
  return `${''.padEnd(WIDTHS.system)}${numbers.join('')}${ratios.join('')}   (ratios of req/s: the median of the rounds')`;
}

/** A cell: its name, then a line for each system. */
export function cellLines(result: CellResult): string {
  const { operation, valueBytes, connections } = result.cell;
  const lines = rowsOf(result).map(({ system, requestsPerSecond, p50Ms, p99Ms, errors }) => {
    const numbers = [requestsPerSecond.toFixed(0), p50Ms.toFixed(2), p99Ms.toFixed(2), String(errors)];
    const ratios = (['plain-object', 'etcd'] as const).map((other) => {
      const value = system === 'edgeraft' ? ratio(result, system, other, 'requestsPerSecond') : null;
      return value === null ? ''.padStart(WIDTHS.ratio + 1) : `${value.toFixed(2)}×`.padStart(WIDTHS.ratio + 1);
    });
    const columns = numbers.map((text) => text.padStart(WIDTHS.number)).join('');
    return `${nameOf(system).padEnd(WIDTHS.system)}${columns}${ratios.join('')}`.trimEnd();
  });
  return [`${operation}, ${valueBytes} B, ${connections} connection${connections === 1 ? '' : 's'}`, ...lines].join(
    '\n',
  );
}

export function verdictLines(verdicts: readonly Verdict[]): string {
  const lines = verdicts.map((verdict) => {
    const sign = verdict.isFloor ? '≥' : '≤';
    const limits = `must ${sign} ${verdict.must}, aim ${sign} ${verdict.aim}`;
    return `${verdict.subject.padEnd(46)}${verdict.value.toFixed(2).padStart(7)}   ${limits.padEnd(26)}${judge(verdict)}`;
  });
  return lines.join('\n');
}
