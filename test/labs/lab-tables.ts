/** The tables of a soak: plain for a terminal, and the one of README.md. */
import type { TestFigures } from './lab-figures.ts';
import { COURSE_REFERENCE, GO_SOLUTION } from './reference-figures.ts';

function whole(value: number): string {
  return Number.isNaN(value) ? '–' : Math.round(value).toLocaleString('en-US');
}

function tenths(value: number): string {
  return Number.isNaN(value) ? '–' : value.toFixed(1);
}

function figure(value: number): string {
  return value < 100 ? String(Math.round(value * 100) / 100) : whole(value);
}

function ownFigures(test: TestFigures): string {
  return test.own.map((name) => `${name} ${figure(test.median(name))}`).join(', ');
}

const HEAD = ['test', 'runs', 'failed', 'median ms', 'median simulated s', 'median RPCs', 'median bytes', 'figures'];

export function soakTable(tests: readonly TestFigures[]): string {
  const rows = tests.map((test) => [
    test.test.name,
    String(test.runs),
    String(test.failed),
    tenths(test.median('wallMs')),
    tenths(test.median('simulatedMs') / 1000),
    whole(test.median('rpcs')),
    whole(test.median('rpcBytes')),
    ownFigures(test),
  ]);
  const widths = HEAD.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (i === 0 || i === HEAD.length - 1 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd();
  return [HEAD, ...rows].map(line).join('\n');
}

export function markdownTable(tests: readonly TestFigures[]): string {
  const rows = tests.map((test) => {
    const { name, servers, bound } = test.test;
    const figures = ownFigures(test);
    const ours = [
      `${tenths(test.median('simulatedMs') / 1000)} s`,
      `${whole(test.median('rpcs'))} RPCs`,
      `${whole(test.median('rpcBytes'))} B`,
      ...(figures === '' ? [] : [figures]),
    ];
    return [name, String(servers), bound, ours.join(', '), COURSE_REFERENCE[name] ?? '', GO_SOLUTION[name] ?? ''];
  });
  const head = ['test', 'servers', 'bound', 'ours', 'the course’s reference', 'a public Go solution'];
  const rule = head.map((_, i) => (i === 1 ? '---:' : '---'));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
