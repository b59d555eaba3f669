/** Counts what was tried and how it was answered, so that a run which attacked nothing cannot pass for one that did. */
import { expect } from 'vitest';

interface Line {
  readonly kinds: Map<string, number>;
  readonly answers: Map<string, number>;
  inputs: number;
}

function countIn(answers: ReadonlyMap<string, number>, answer: string): number {
  const wanted = /^\dxx$/.test(answer) ? new RegExp(`^${answer[0]}\\d\\d$`) : null;
  let count = 0;
  for (const [name, times] of answers) if (name === answer || wanted?.test(name)) count += times;
  return count;
}

export class Tally {
  readonly #lines = new Map<string, Line>();

  /** `route`: what was attacked; `kind`: how; `answer`: the status, or another word for how it ended. */
  note(route: string, kind: string, answer: string | number): void {
    const line = this.#lines.get(route) ?? { kinds: new Map(), answers: new Map(), inputs: 0 };
    this.#lines.set(route, line);
    line.inputs += 1;
    line.kinds.set(kind, (line.kinds.get(kind) ?? 0) + 1);
    line.answers.set(String(answer), (line.answers.get(String(answer)) ?? 0) + 1);
  }

  get inputs(): number {
    return [...this.#lines.values()].reduce((sum, { inputs }) => sum + inputs, 0);
  }

  /** How often `route` was answered so: a status, a class of them (`2xx`), or a word. */
  count(route: string, answer: string | number): number {
    return countIn(this.#lines.get(route)?.answers ?? new Map(), String(answer));
  }

  /** How often any route was. */
  countAll(answer: string | number): number {
    return [...this.#lines.keys()].reduce((sum, route) => sum + this.count(route, answer), 0);
  }

  /** One line a route: how many inputs, of which kinds, and how many of each answer. */
  table(title: string): string {
    const width = Math.max(...[...this.#lines.keys()].map((route) => route.length));
    const counted = (counts: Map<string, number>) =>
      [...counts]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, count]) => `${name} ${count}`)
        .join(', ');
    const lines = [...this.#lines]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([route, { inputs, kinds, answers }]) => {
        return `${route.padEnd(width)} ${String(inputs).padStart(6)}  ${counted(answers)}  [${counted(kinds)}]`;
      });
    return [`${title}: ${this.inputs} inputs`, ...lines, ''].join('\n');
  }

  print(title: string): void {
    process.stdout.write(`${this.table(title)}\n`);
  }

  /** Each of these routes was attacked, and gave each of its answers at least once. */
  expectReached(expected: Readonly<Record<string, readonly (string | number)[]>>): void {
    const missing: string[] = [];
    for (const [route, answers] of Object.entries(expected)) {
      for (const answer of answers) if (this.count(route, answer) === 0) missing.push(`${route}: ${answer}`);
    }
    expect(missing, 'answers that no input led to').toEqual([]);
  }
}
