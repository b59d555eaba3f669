/** What the contract promises of every reply, whatever was asked (http-api.md, "Errors"). */
import { expect } from 'vitest';

export interface HttpReply {
  readonly status: number;
  /** Null: there is no such header. */
  readonly header: (name: string) => string | null;
  readonly body: Uint8Array;
}

/** 5xx are named with their reasons; 500 is not among them. */
const CODES: Readonly<Record<number, readonly string[]>> = {
  400: ['invalid_request'],
  401: ['unauthenticated'],
  404: ['key_not_found', 'no_such_route', 'no_such_group', 'no_such_peer'],
  405: ['method_not_allowed'],
  408: ['request_timeout'],
  409: ['not_leader', 'seq_acknowledged', 'seq_reused'],
  410: ['session_expired', 'revision_compacted'],
  412: ['precondition_failed'],
  413: ['value_too_large', 'key_too_long'],
  429: ['overloaded'],
  503: ['no_leader', 'peer_unreachable'],
  504: ['outcome_unknown'],
  507: ['storage_full'],
};
const MAX_PROBLEM_BYTES = 2048;

export const textOf = (reply: HttpReply): string => Buffer.from(reply.body).toString('utf8');

/** The code of a problem; null: it is none. Fails unless it is a reply that the contract knows. */
export function checkReply(method: string, reply: HttpReply): string | null {
  const { status, header } = reply;
  expect(header('cache-control')).toBe('no-store');
  expect(header('x-content-type-options')).toBe('nosniff');
  if (method === 'HEAD') expect(reply.body.byteLength).toBe(0);
  if (status < 400) {
    expect([200, 201, 204, 304]).toContain(status);
    return null;
  }
  expect(Object.keys(CODES), `status ${status}: ${textOf(reply).slice(0, 300)}`).toContain(String(status));
  expect(header('content-type')).toBe('application/problem+json');
  if (status === 401) expect(header('www-authenticate')).toBe('Bearer');
  if (status === 405) expect(header('allow')).toMatch(/^[A-Z]+(, [A-Z]+)*$/);
  if (status === 429 || status === 503) expect(header('retry-after')).toMatch(/^[1-9][0-9]*$/);
  if (method === 'HEAD') return '';
  expect(reply.body.byteLength, 'a problem is short, whatever was sent').toBeLessThan(MAX_PROBLEM_BYTES);
  const problem = JSON.parse(textOf(reply));
  const known = new Set(['type', 'title', 'status', 'code', 'detail', 'leader']);
  expect(Object.keys(problem).filter((name) => !known.has(name))).toEqual([]);
  for (const name of ['type', 'title', 'code', 'detail']) expect(typeof problem[name], name).toBe('string');
  expect(problem.status).toBe(status);
  expect(CODES[status]).toContain(problem.code);
  expect(textOf(reply)).not.toMatch(/\bat .*[:(]\d+|\.ts\b|\.js\b/);
  return problem.code;
}

/** Found without asking the group: nothing is proposed, not even a session's row. */
export function isAboutTheRequest(code: string): boolean {
  return [
    'invalid_request',
    'unauthenticated',
    'no_such_route',
    'no_such_group',
    'no_such_peer',
    'method_not_allowed',
    'request_timeout',
    'key_too_long',
  ].includes(code);
}
