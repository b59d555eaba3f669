/** From the caller's arguments to URL, headers and body: checked here, before anything is sent. */
import { ClerkError, invalidRequest } from './errors.ts';

/** Limits of the HTTP contract. Bytes, and items of a page. */
export const MAX_KEY_BYTES = 1024;
export const MAX_VALUE_BYTES = 1_048_576;
export const MAX_PAGE_ITEMS = 1000;

/** When a write may happen; at most one of the two. */
export interface Conditions {
  /** The key's modRevision must be this one, or one of these; `'*'`: the key must exist. */
  readonly ifMatch?: number | readonly number[] | '*' | undefined;
  /** `'*'`: the key must not exist. */
  readonly ifNoneMatch?: '*' | undefined;
}

export interface ClerkRequest {
  readonly method: 'GET' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array<ArrayBuffer> | null;
}

const LONE_SURROGATE = /\p{Surrogate}/u;

/** UTF-8 of `text`. A lone surrogate has none, and would silently become U+FFFD: refused. */
export function encodeText(text: string, what: string): Uint8Array<ArrayBuffer> {
  if (LONE_SURROGATE.test(text)) throw invalidRequest(`${what} holds a lone surrogate, which UTF-8 cannot carry`);
  return new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>;
}

/** The URL of `key`: as a path segment, or as a query for the two that URLs resolve away (`.` and `..`). */
export function keyUrl(groupUrl: string, key: string, parameters: readonly string[] = []): string {
  if (typeof key !== 'string') throw invalidRequest('the key must be a string');
  const keyBytes = encodeText(key, 'the key').length;
  if (keyBytes === 0) throw invalidRequest('the key is empty');
  if (keyBytes > MAX_KEY_BYTES) {
    throw new ClerkError(
      'key_too_long',
      `the key has ${keyBytes} bytes of UTF-8; at most ${MAX_KEY_BYTES} are allowed`,
    );
  }
  const inQuery = key === '.' || key === '..';
  const path = inQuery ? `${groupUrl}/kv` : `${groupUrl}/kv/${encodeURIComponent(key)}`;
  return withQuery(path, inQuery ? [`key=${key}`, ...parameters] : parameters);
}

export function withQuery(url: string, parameters: readonly string[]): string {
  return parameters.length === 0 ? url : `${url}?${parameters.join('&')}`;
}

/**
 * The value's bytes, copied: a repeat must carry what the first try carried, even if the caller has changed its buffer
 * since (the store would answer `seq_reused`).
 */
export function valueBytes(value: Uint8Array | string): Uint8Array<ArrayBuffer> {
  if (typeof value !== 'string' && !(value instanceof Uint8Array)) {
    throw invalidRequest('the value must be a string or a Uint8Array');
  }
  const size = value.length;
  const bytes =
    size > MAX_VALUE_BYTES ? null : typeof value === 'string' ? encodeText(value, 'the value') : copy(value);
  if (bytes === null || bytes.length > MAX_VALUE_BYTES) {
    throw new ClerkError('value_too_large', `the value is larger than ${MAX_VALUE_BYTES} bytes`);
  }
  return bytes;
}

function copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copied = new Uint8Array(bytes.length);
  copied.set(bytes);
  return copied;
}

export function conditionHeaders(conditions: Conditions): Record<string, string> {
  const { ifMatch, ifNoneMatch } = conditions;
  if (ifMatch !== undefined && ifNoneMatch !== undefined) {
    throw invalidRequest('ifMatch and ifNoneMatch exclude each other');
  }
  if (ifNoneMatch !== undefined) {
    if (ifNoneMatch !== '*') throw invalidRequest("ifNoneMatch can only be '*'");
    return { 'If-None-Match': '*' };
  }
  if (ifMatch === undefined) return {};
  if (ifMatch === '*') return { 'If-Match': '*' };
  const revisions = typeof ifMatch === 'number' ? [ifMatch] : ifMatch;
  if (!Array.isArray(revisions) || revisions.length === 0) {
    throw invalidRequest("ifMatch must be '*', a revision, or a list of at least one");
  }
  for (const revision of revisions) {
    if (!Number.isSafeInteger(revision) || revision < 1) throw invalidRequest('a revision is an integer of at least 1');
  }
  return { 'If-Match': revisions.map((revision) => `"${revision}"`).join(', ') };
}
