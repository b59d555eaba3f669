/** What a failing run leaves in `.soak` for people to read: its trace, and the timeline of a history that is not linearizable. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { NotLinearizable } from '../linearizability/not-linearizable.ts';
import { type Fault, writeTimeline } from '../linearizability/timeline.ts';

const DIRECTORY = join(import.meta.dirname, '../../.soak');

/** Returns its path, for printing. */
export function writeLines(name: string, lines: readonly string[]): string {
  mkdirSync(DIRECTORY, { recursive: true });
  const path = join(DIRECTORY, name);
  writeFileSync(path, [...lines, ''].join('\n'));
  return relative(process.cwd(), path);
}

export interface FailedRun {
  readonly title: string;
  readonly error: unknown;
  readonly faults: readonly Fault[];
}

/** Returns its path, for printing; null: that is not what failed. */
export function writeTimelineOf(name: string, { title, error, faults }: FailedRun): string | null {
  const cause = error instanceof Error && error.cause instanceof NotLinearizable ? error.cause : error;
  if (!(cause instanceof NotLinearizable)) return null;
  const { operations, listings, violation } = cause;
  const path = join(DIRECTORY, name);
  writeTimeline(path, { title, operations, listings, faults, violation });
  return relative(process.cwd(), path);
}
