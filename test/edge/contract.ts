/** What the contract says of every reply, checked on every reply; and the names that tests give to keys, clerks and groups. */
import { expect } from 'vitest';
import type { EdgeRuntime } from './edge-runtime.ts';
import type { Reply, RequestOptions } from './raw-http.ts';

/** Statuses of each code of a problem. */
const CODES: Readonly<Record<string, number>> = {
  invalid_request: 400,
  unauthenticated: 401,
  key_not_found: 404,
  no_such_route: 404,
  no_such_group: 404,
  no_such_peer: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  not_leader: 409,
  seq_acknowledged: 409,
  seq_reused: 409,
  session_expired: 410,
  revision_compacted: 410,
  precondition_failed: 412,
  value_too_large: 413,
  key_too_long: 413,
  overloaded: 429,
  no_leader: 503,
  peer_unreachable: 503,
  outcome_unknown: 504,
  storage_full: 507,
};

/** Sends a request, and holds the reply against what is promised of all replies. */
export async function ask(
  edge: EdgeRuntime,
  method: string,
  path: string,
  options: RequestOptions = {},
): Promise<Reply> {
  const reply = await edge.request(method, path, options);
  const { headers, status } = reply;
  expect(headers['cache-control'], `${method} ${path}: Cache-Control`).toBe('no-store');
  expect(headers['x-content-type-options'], `${method} ${path}: X-Content-Type-Options`).toBe('nosniff');
  if (status >= 400) checkProblem(reply, method);
  if (headers['access-control-allow-origin'] !== undefined) expect(headers.vary).toMatch(/\bOrigin\b/i);
  return reply;
}

function checkProblem(reply: Reply, method: string): void {
  const { headers, status } = reply;
  expect(headers['content-type']).toBe('application/problem+json');
  if (status === 401) expect(headers['www-authenticate']).toBe('Bearer');
  if (status === 405) expect(headers.allow).toMatch(/^[A-Z]+(, [A-Z]+)*$/);
  if (status === 429 || status === 503) expect(headers['retry-after']).toMatch(/^[1-9][0-9]*$/);
  if (method === 'HEAD') return expect(reply.body.length).toBe(0);
  const problem = reply.json;
  expect(problem).toMatchObject({
    type: expect.any(String),
    title: expect.any(String),
    status,
    code: expect.any(String),
    detail: expect.any(String),
  });
  expect(CODES[problem.code], `the code ${problem.code}`).toBe(status);
  expect(reply.text).not.toMatch(/\bat .*[:(]\d+|\.ts\b|\.js\b/);
}

/** The store's revision, from a read of a key that does not exist. */
export async function revisionOf(edge: EdgeRuntime, base = ''): Promise<number> {
  const reply = await ask(edge, 'GET', `${base}/kv?key=there+is+no+such+key`);
  expect(reply.outcome).toBe('404 key_not_found');
  return Number(reply.headers['raft-revision']);
}

export interface Item {
  readonly key: string;
  readonly value?: string;
  readonly valueBase64?: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
}

/** All pages of a listing. `query`: parameters beside the cursor. */
export async function listAll(edge: EdgeRuntime, query: string, base = ''): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | null = null;
  do {
    const next: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const reply = await ask(edge, 'GET', `${base}/kv?${query}${next}`);
    expect(reply.status, reply.text.slice(0, 300)).toBe(200);
    items.push(...reply.json.items);
    cursor = reply.json.cursor;
  } while (cursor !== null);
  return items;
}

let names = 0;

/** A name that this process has not given yet: of letters, digits and hyphens. */
export function fresh(kind: string): string {
  names += 1;
  return `${kind}-${names}`;
}

export const clerk = (id: string, seq: number, acked?: number): Record<string, string> => ({
  'Clerk-Id': id,
  'Clerk-Seq': String(seq),
  ...(acked === undefined ? {} : { 'Clerk-Acked': String(acked) }),
});
