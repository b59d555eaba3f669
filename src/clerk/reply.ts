/** What a reply means: its problem, the result in it, and how long to wait before asking again. */
import { ClerkError, type ProblemCode, STATUS_OF_CODE } from './errors.ts';
import type { Reply, TryResult } from './try.ts';

export interface Problem {
  readonly code: ProblemCode;
  readonly detail: string;
}

/** The body as a JSON object; null if it is not one. */
export function readObject(reply: Reply): Readonly<Record<string, unknown>> | null {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder().decode(reply.body));
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

/**
 * The problem of the contract that the reply carries; null if it carries none. Code and status must agree: a proxy's own
 * 503 says nothing about what the store did.
 */
export function readProblem(reply: Reply): Problem | null {
  const body = readObject(reply);
  if (typeof body?.code !== 'string' || !Object.hasOwn(STATUS_OF_CODE, body.code)) return null;
  const code = body.code as ProblemCode;
  if (STATUS_OF_CODE[code] !== reply.status) return null;
  return { code, detail: typeof body.detail === 'string' ? body.detail : '' };
}

/** The error of a try without a reply, or with one that is no result. */
export function errorOf(result: TryResult, problem: Problem | null): ClerkError {
  if (result.type === 'no_reply') {
    if (result.timedOut) return new ClerkError('timeout', 'a try got no reply in its time');
    return new ClerkError('network_error', 'the connection failed', { cause: result.cause });
  }
  if (problem) return new ClerkError(problem.code, problem.detail, { status: result.status });
  if (isRedirect(result.status)) return unexpected(result, 'a redirect, which is not followed: is the endpoint right?');
  return unexpected(result, `status ${result.status} without a problem of the contract`);
}

/** Browsers show a redirect that is not followed as status 0. */
function isRedirect(status: number): boolean {
  return status === 0 || (status >= 300 && status < 400);
}

export function unexpected(reply: Reply, detail: string): ClerkError {
  return new ClerkError('unexpected_response', detail, { status: reply.status });
}

/**
 * Whether a reply without a problem of the contract may be another one next time: an overloaded or broken server or
 * proxy, a Worker that threw.
 */
export function isTransient(status: number): boolean {
  return status === 429 || (status >= 500 && status !== 501 && status !== 505);
}

/** What `Retry-After` asks for, in ms: seconds, or a date (measured from the reply's own `Date`); 0 without one. */
export function retryAfterMs(result: TryResult): number {
  if (result.type === 'no_reply') return 0;
  const value = result.headers.get('Retry-After')?.trim() ?? '';
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const waitMs = Date.parse(value) - Date.parse(result.headers.get('Date') ?? '');
  return Number.isFinite(waitMs) ? Math.max(0, waitMs) : 0;
}

/** The revision in an `ETag`, which a proxy that compresses may have made weak; null without one. */
export function etagRevision(reply: Reply): number | null {
  const match = /^(?:W\/)?"(\d{1,16})"$/.exec(reply.headers.get('ETag')?.trim() ?? '');
  return match ? asCount(Number(match[1])) : null;
}

/** A header that holds a count; null without one. */
export function countHeader(reply: Reply, name: string): number | null {
  const value = reply.headers.get(name)?.trim() ?? '';
  return /^\d{1,16}$/.test(value) ? asCount(Number(value)) : null;
}

/** `value` if it is an integer from 0 to 2^53-1, else null. */
export function asCount(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}
