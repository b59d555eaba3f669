/** The appends, counted on the keys where nothing else happens: by the last read of each of them. */
import type { Operation } from '../../linearizability/history.ts';
import { authorOf, piecesOf } from './pieces.ts';
import type { Finding } from './run-record.ts';

export interface AppendCount {
  readonly acknowledged: number;
  /** Nobody knows of them; so many are there. */
  readonly unknown: number;
  readonly unknownDone: number;
  readonly violations: readonly Finding[];
}

const wrong = (key: string, message: string): Finding => ({ message: `${key}: ${message}`, key, atMs: null });

interface Append {
  readonly text: string;
  readonly acknowledged: boolean;
}

/**
 * Each acknowledged append is there exactly once and in its clerk's order (a clerk here sends one after the other); one of
 * unknown outcome at most once; nothing else is there. `operations`: of all keys. `finally`: the last value of each key
 * to be counted (null: there is none).
 */
export function countAppends(
  operations: readonly Operation[],
  finalValues: ReadonlyMap<string, string | null>,
): AppendCount {
  const byKey = new Map<string, Append[]>([...finalValues.keys()].map((key) => [key, []]));
  for (const { key, input, output } of operations) {
    if (input.type === 'append') byKey.get(key)?.push({ text: input.value, acknowledged: output !== null });
  }
  const violations: Finding[] = [];
  const total = { acknowledged: 0, unknown: 0, unknownDone: 0 };
  for (const [key, appends] of byKey) {
    const found = piecesOf(finalValues.get(key) ?? '');
    if (found === null) {
      violations.push(wrong(key, `its value is not made of appends: ${finalValues.get(key)}`));
      continue;
    }
    const counted = countKey(key, appends, found);
    violations.push(...counted.violations);
    total.acknowledged += counted.acknowledged;
    total.unknown += counted.unknown;
    total.unknownDone += counted.unknownDone;
  }
  return { ...total, violations };
}

function countKey(key: string, appends: readonly Append[], found: readonly string[]): AppendCount {
  const violations: Finding[] = [];
  const times = new Map<string, number>();
  for (const text of found) times.set(text, (times.get(text) ?? 0) + 1);
  let [acknowledged, unknown, unknownDone] = [0, 0, 0];
  for (const append of appends) {
    const seen = times.get(append.text) ?? 0;
    times.delete(append.text);
    if (append.acknowledged) acknowledged += 1;
    else unknown += 1;
    if (!append.acknowledged) unknownDone += Math.min(seen, 1);
    if (append.acknowledged && seen === 0) violations.push(wrong(key, `${append.text} was acknowledged and is lost`));
    if (seen > 1) violations.push(wrong(key, `${append.text} was done ${seen} times`));
  }
  for (const text of times.keys()) violations.push(wrong(key, `${text} is there, and nobody may have appended it`));
  violations.push(...disorder(key, found, new Set(appends.filter((a) => a.acknowledged).map(({ text }) => text))));
  return { acknowledged, unknown, unknownDone, violations };
}

/** One whose outcome was unknown may have been done late: it has no place in the order. */
function disorder(key: string, found: readonly string[], acknowledged: ReadonlySet<string>): Finding[] {
  const latest = new Map<string, number>();
  const violations: Finding[] = [];
  for (const text of found) {
    const author = acknowledged.has(text) ? authorOf(text) : null;
    if (author === null) continue;
    const before = latest.get(author.writer) ?? 0;
    if (author.n < before) violations.push(wrong(key, `${text} comes after ${author.writer}'s number ${before}`));
    latest.set(author.writer, author.n);
  }
  return violations;
}
