/** A load, written down once for every generator: requests with places for numbers, sent in turn by a closed loop. */

export interface LoadRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** As long for each number, since its length is a header. */
  readonly body?: string;
  /** Which number `{key}` is, from the number of the request. */
  readonly key: KeyRule;
}

/**
 * `new`: another one for each request. `known`: one of KNOWN_KEYS, all in turn. `shared`: a new one for every APPENDS_TO_A_KEY
 * requests.
 */
export type KeyRule = 'new' | 'known' | 'shared';

export interface Load {
  readonly url: string;
  readonly connections: number;
  /** An integer: wrk takes no other. */
  readonly seconds: number;
  /** In turn. */
  readonly requests: readonly LoadRequest[];
  /** Ends it before its time; what it tells then is of an unknown time, and only its errors count. */
  readonly signal?: AbortSignal;
}

export const KNOWN_KEYS = 1000;
export const APPENDS_TO_A_KEY = 16;
/** A prime that does not divide KNOWN_KEYS: neighbours in time are none in the key's order. */
export const STRIDE = 617;
/** Of `{key}` and `{count}`. */
export const NUMBER_DIGITS = 12;
/** `{seq}` of request 0: seq 1 opens a clerk's session, alone. */
export const FIRST_SEQ = 2;
/** Longer than any answer may take by contract. */
export const REQUEST_TIMEOUT_SECONDS = 20;

export function keyNumber(rule: KeyRule, count: number): number {
  if (rule === 'new') return count;
  return rule === 'known' ? (count * STRIDE) % KNOWN_KEYS : Math.floor(count / APPENDS_TO_A_KEY);
}

/** `text` with its places filled for request number `count`, from 0. */
export function filled(text: string, rule: KeyRule, count: number): string {
  const digits = (value: number): string => String(value).padStart(NUMBER_DIGITS, '0');
  return text
    .replaceAll('{key}', () => digits(keyNumber(rule, count)))
    .replaceAll('{count}', () => digits(count))
    .replaceAll('{seq}', () => String(count + FIRST_SEQ));
}
