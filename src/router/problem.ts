/** Errors as clients see them: RFC 9457 problem details with a stable `code`, and never a stack. */
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Failure } from './outcome.ts';

const PROBLEMS = {
  invalid_request: [400, 'The request is malformed'],
  unauthenticated: [401, 'A valid bearer token is needed'],
  key_not_found: [404, 'The key does not exist'],
  no_such_route: [404, 'There is no such route'],
  no_such_group: [404, 'The group does not exist'],
  no_such_peer: [404, 'The group has no such peer'],
  method_not_allowed: [405, 'The resource does not support this method'],
  request_timeout: [408, 'The request body took too long'],
  not_leader: [409, 'The peer does not lead the group'],
  seq_acknowledged: [409, 'The sequence number is acknowledged or too old'],
  seq_reused: [409, 'The sequence number belongs to another request'],
  session_expired: [410, 'The session does not exist any more'],
  revision_compacted: [410, 'The revision is not kept any more'],
  precondition_failed: [412, 'The condition does not hold'],
  value_too_large: [413, 'The value is too large'],
  key_too_long: [413, 'The key is too long'],
  overloaded: [429, 'Too much is under way'],
  internal_error: [500, 'Internal error'],
  invalid_configuration: [500, 'The server is configured wrongly'],
  no_leader: [503, 'No leader could be reached'],
  peer_unreachable: [503, 'The peer cannot be reached'],
  outcome_unknown: [504, 'The outcome of the write is unknown'],
  storage_full: [507, "The group's storage is full"],
} as const satisfies Record<string, readonly [ContentfulStatusCode, string]>;

export type ProblemCode = keyof typeof PROBLEMS;

/** The codes that say what is wrong with the request itself: found without asking the group. */
const ABOUT_THE_REQUEST: readonly ProblemCode[] = [
  'invalid_request',
  'no_such_route',
  'method_not_allowed',
  'request_timeout',
  'value_too_large',
  'key_too_long',
];
const RETRY_AFTER_SECONDS = '1';

export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ProblemCode;
  readonly headers: Readonly<Record<string, string>>;
  readonly extra: Readonly<Record<string, unknown>>;

  constructor(
    code: ProblemCode,
    detail: string,
    headers: Readonly<Record<string, string>> = {},
    extra: Readonly<Record<string, unknown>> = {},
  ) {
    super(detail);
    this.code = code;
    this.headers = headers;
    this.extra = extra;
  }

  get status(): ContentfulStatusCode {
    return PROBLEMS[this.code][0];
  }

  get isAboutTheRequest(): boolean {
    return ABOUT_THE_REQUEST.includes(this.code);
  }

  response(): Response {
    const [status, title] = PROBLEMS[this.code];
    const headers = new Headers({ ...this.headers, 'Content-Type': 'application/problem+json' });
    if (status === 429 || status === 503) headers.set('Retry-After', RETRY_AFTER_SECONDS);
    const body = { type: 'about:blank', title, status, code: this.code, detail: this.message, ...this.extra };
    return new Response(JSON.stringify(body), { status, headers });
  }
}

export function invalid(detail: string): Problem {
  return new Problem('invalid_request', detail);
}

const FAILURE_DETAILS: Readonly<Record<Exclude<Failure['type'], 'not_understood'>, string>> = {
  no_leader: 'No leader answered in time; nothing was done.',
  overloaded: 'The group has too much under way; nothing was done.',
  outcome_unknown:
    'The write may or may not have been done. Repeat it with the same Clerk-Id and Clerk-Seq; without them it cannot be resolved.',
  no_such_group: 'Create it with POST /groups/{group}.',
  no_such_peer: 'GET /cluster lists the peers of the group.',
  peer_unreachable: 'The peer, or a peer that is needed, did not answer; nothing was done.',
  not_leader: 'This peer does not lead; nothing was done.',
};

/** `unreachable`: what to say of peers that did not answer, where something may have been done. */
export function failureProblem(failure: Failure, unreachable = FAILURE_DETAILS.peer_unreachable): Problem {
  if (failure.type === 'not_understood') {
    return new Problem('no_leader', 'The peers run a version that does not understand the request; nothing was done.');
  }
  const detail = failure.type === 'peer_unreachable' ? unreachable : FAILURE_DETAILS[failure.type];
  if (failure.type !== 'not_leader') return new Problem(failure.type, detail);
  return new Problem('not_leader', detail, {}, { leader: peerName(failure.leader) });
}

/** Peers' ids as the HTTP contract writes them. */
export function peerName(id: number | null): string | null {
  return id === null ? null : String(id);
}
