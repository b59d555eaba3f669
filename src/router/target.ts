/**
 * What a request is about, read from the raw URL. Frameworks hand out decoded paths, in which `/kv/a/b` and `/kv/a%2Fb` look
 * alike and broken escapes have become text; here every octet counts.
 */
import { DEFAULT_GROUP } from './founding.ts';

export type Route =
  | { readonly name: 'healthz' | 'cluster' | 'metrics' | 'group' | 'nothing' }
  /** `/kv`, or `/kv/{key}` with the key decoded. */
  | { readonly name: 'kv'; readonly key: string | null }
  | { readonly name: 'chaos'; readonly peer: string }
  /** The path of a route that exists, and cannot be read: 400. */
  | { readonly name: 'malformed'; readonly detail: string };

export interface Target {
  readonly group: string;
  /** False: the name in the path is not one that a group can have. */
  readonly groupIsValid: boolean;
  readonly route: Route;
  /** Without the `?`; '' if there is none. */
  readonly query: string;
}

const GROUP_NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** `url`: absolute, as it arrived. */
export function parseTarget(url: string): Target {
  const { path, query } = splitUrl(url);
  const prefixed = /^\/groups\/([^/]*)(.*)$/s.exec(path);
  if (prefixed === null) return { group: DEFAULT_GROUP, groupIsValid: true, route: parseRoute(path), query };
  const group = decodeStrictly(prefixed[1] ?? '') ?? '';
  const rest = prefixed[2] ?? '';
  const parsed: Route = rest === '' ? { name: 'group' } : parseRoute(rest);
  const route: Route = parsed.name === 'healthz' ? { name: 'nothing' } : parsed;
  return { group, groupIsValid: GROUP_NAME.test(group), route, query };
}

function splitUrl(url: string): { path: string; query: string } {
  const [beforeFragment = ''] = url.split('#', 1);
  const withoutOrigin = beforeFragment.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i, '');
  const mark = withoutOrigin.indexOf('?');
  if (mark < 0) return { path: withoutOrigin, query: '' };
  return { path: withoutOrigin.slice(0, mark), query: withoutOrigin.slice(mark + 1) };
}

function parseRoute(path: string): Route {
  switch (path) {
    case '/healthz':
      return { name: 'healthz' };
    case '/cluster':
      return { name: 'cluster' };
    case '/metrics':
      return { name: 'metrics' };
    case '/kv':
      return { name: 'kv', key: null };
  }
  if (path.startsWith('/kv/')) return parseKey(path.slice('/kv/'.length));
  const peer = /^\/chaos\/([^/]*)$/s.exec(path)?.[1];
  if (peer !== undefined) return { name: 'chaos', peer: decodeStrictly(peer) ?? '' };
  return { name: 'nothing' };
}

function parseKey(segment: string): Route {
  if (segment === '') return malformed('The key is empty.');
  if (segment.includes('/')) return malformed('A key is one path segment: write / as %2F, or use /kv?key=.');
  const key = decodeStrictly(segment);
  if (key === null) return malformed('The key is not valid percent-encoded UTF-8.');
  if (key === '.' || key === '..') return malformed('A URL cannot carry the keys . and .. in its path: use /kv?key=.');
  return { name: 'kv', key };
}

function malformed(detail: string): Route {
  return { name: 'malformed', detail };
}

/**
 * Null: broken escapes, or bytes that are not UTF-8. Raw bytes of that kind have become U+FFFD before any Worker sees the URL:
 * two keys would be one, so an unescaped U+FFFD is refused too.
 */
export function decodeStrictly(text: string): string | null {
  if (text.includes('\uFFFD')) return null;
  try {
    const decoded = decodeURIComponent(text);
    return decoded.isWellFormed() ? decoded : null;
  } catch {
    return null;
  }
}
