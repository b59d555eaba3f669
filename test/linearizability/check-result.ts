/** What the checker is asked, and what it answers. */
import type { Operation } from './history.ts';
import type { Listing } from './listing.ts';

export interface CheckOptions {
  /** Steps of the search, for each key. Default 100,000,000. */
  readonly maxStepsPerKey?: number;
  /** For all keys together. Default 120,000. */
  readonly timeoutMs?: number;
  /** Check what revisions promise across keys. Default true. */
  readonly revisions?: boolean;
  /** Milliseconds; default: the real clock. */
  readonly now?: () => number;
}

export interface Violation {
  readonly type: 'violation';
  /**
   * `linearizability`: no order of one key's operations explains what was seen; `revisions`: two operations contradict each
   * other by their revisions alone; `listing`: a listing contradicts itself or a write.
   */
  readonly kind: 'linearizability' | 'revisions' | 'listing';
  /** Of the culprit; a listing's is the key that it shows wrongly, or its prefix. */
  readonly key: string;
  /** Several lines: what is wrong, and the window, one operation a line, the culprit marked by `>`. */
  readonly message: string;
  /** Where the history became illegal. */
  readonly culprit: Operation | Listing;
  /** The smallest set found of operations that contradict each other, in the order of calls. */
  readonly window: readonly Operation[];
  /** The listings that belong to it. */
  readonly windowListings: readonly Listing[];
}

export interface Unknown {
  readonly type: 'unknown';
  readonly key: string;
  readonly reason: 'steps' | 'time';
  readonly steps: number;
}

export type CheckResult =
  | { readonly type: 'ok'; readonly keys: number; readonly steps: number }
  | Violation
  /** The budget ran out before an answer; treat it as a failure. */
  | Unknown;
