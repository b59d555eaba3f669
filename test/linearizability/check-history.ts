/**
 * Whether a history of operations on many keys is linearizable. Keys are independent objects, so each is searched alone
 * (linearizability is local: Herlihy & Wing, theorem 1); revisions, which all keys share, are checked apart.
 */
import { Budget } from './budget.ts';
import { FreeRevisions, takenBy } from './free-revisions.ts';
import { assertWellFormed, type Operation } from './history.ts';
import { searchKey } from './key-search.ts';
import { findBadWindow } from './minimal-prefix.ts';
import { findRevisionViolation } from './revisions.ts';

export interface CheckOptions {
  /** Steps of the search, for each key. Default 20,000,000. */
  readonly maxStepsPerKey?: number;
  /** For all keys together. Default 120,000. */
  readonly timeoutMs?: number;
  /** Check what revisions promise across keys. Default true. */
  readonly revisions?: boolean;
  /** Milliseconds; default: the real clock. */
  readonly now?: () => number;
}

export type CheckResult =
  | { readonly type: 'ok'; readonly keys: number; readonly steps: number }
  | {
      readonly type: 'violation';
      readonly kind: 'linearizability' | 'revisions';
      /** Of the culprit. */
      readonly key: string;
      readonly message: string;
      /** The operation at which the history became illegal. */
      readonly culprit: Operation;
      /** The operations around it. */
      readonly window: readonly Operation[];
    }
  /** The budget ran out before an answer; treat it as a failure. */
  | { readonly type: 'unknown'; readonly key: string; readonly reason: 'steps' | 'time'; readonly steps: number };

type Violation = Extract<CheckResult, { type: 'violation' }>;
type Unknown = Extract<CheckResult, { type: 'unknown' }>;

const DEFAULT_MAX_STEPS_PER_KEY = 20_000_000;
const DEFAULT_TIMEOUT_MS = 120_000;
/** For making a violation that was found smaller. */
const BAD_WINDOW_TIMEOUT_MS = 20_000;

/**
 * Checks a history; the order of `operations` means nothing. A violation found anywhere goes before keys whose search
 * exceeded its budget.
 * @throws Error if an operation is malformed
 */
export function checkHistory(operations: readonly Operation[], options: CheckOptions = {}): CheckResult {
  for (const operation of operations) assertWellFormed(operation);
  const now = options.now ?? (() => performance.now());
  if (options.revisions ?? true) {
    const violation = checkRevisions(operations);
    if (violation) return violation;
  }
  const endMs = now() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  // Without the promise that a revision is given once, any could be anybody's.
  const taken = (options.revisions ?? true) ? takenBy(operations) : new Set<number>();
  const free = new FreeRevisions(taken);
  const keys = Map.groupBy(operations, (operation) => operation.key);
  let steps = 0;
  let unknown: Unknown | null = null;
  for (const [key, history] of keys) {
    const budget = new Budget(options.maxStepsPerKey ?? DEFAULT_MAX_STEPS_PER_KEY, endMs - now(), now);
    const result = searchKey(history, budget, free);
    steps += budget.steps;
    if (result === 'violation') return describe(key, history, withoutOwn(taken, history), now);
    if (result === 'unknown') unknown ??= { type: 'unknown', key, reason: budget.exceeded ?? 'steps', steps };
  }
  return unknown ?? { type: 'ok', keys: keys.size, steps };
}

function checkRevisions(operations: readonly Operation[]): Violation | null {
  const found = findRevisionViolation(operations);
  if (!found) return null;
  const culprit = found.operations.at(-1)!;
  const { message, operations: window } = found;
  return { type: 'violation', kind: 'revisions', key: culprit.key, message, culprit, window };
}

function withoutOwn(taken: ReadonlySet<number>, history: readonly Operation[]): Set<number> {
  const own = takenBy(history);
  return new Set([...taken].filter((revision) => !own.has(revision)));
}

function describe(
  key: string,
  history: readonly Operation[],
  taken: ReadonlySet<number>,
  now: () => number,
): Violation {
  const { culprit, operations: window } = findBadWindow(history, taken, BAD_WINDOW_TIMEOUT_MS, now);
  const message = `key ${JSON.stringify(key)} is not linearizable: no order explains\n${formatOperations(window, culprit)}`;
  return { type: 'violation', kind: 'linearizability', key, message, culprit, window };
}

/** One operation a line, in fixed columns; the culprit is marked. */
export function formatOperations(operations: readonly Operation[], culprit: Operation | null = null): string {
  const rows = operations.map((operation) => {
    const { type, ...input } = operation.input;
    return [
      operation === culprit ? '>' : ' ',
      String(operation.call).padStart(12),
      String(operation.return ?? 'unknown').padStart(12),
      String(operation.clientId).padEnd(8),
      type.padEnd(6),
      shortened(input).padEnd(40),
      operation.output === null
        ? ''
        : `${operation.output.type} ${shortened({ ...operation.output, type: undefined })}`,
    ];
  });
  return rows.map((row) => row.join(' ').trimEnd()).join('\n');
}

/** Of long values the end is what differs. */
function shortened(fields: object): string {
  return JSON.stringify(fields, (_name, field: unknown) =>
    typeof field === 'string' && field.length > 48 ? `…${field.slice(-48)}` : field,
  );
}
