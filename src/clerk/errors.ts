/** Every way a call can fail. All errors of the clerk are `ClerkError`s, told apart by `code`. */

/** Codes of the HTTP API, with the status each one comes with. Another pair is not from the store. */
export const STATUS_OF_CODE = {
  invalid_request: 400,
  unauthenticated: 401,
  /** Reserved: for tokens with fewer rights. */
  forbidden: 403,
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
  internal_error: 500,
  invalid_configuration: 500,
  no_leader: 503,
  peer_unreachable: 503,
  outcome_unknown: 504,
  storage_full: 507,
} as const;

export type ProblemCode = keyof typeof STATUS_OF_CODE;

export type ClerkErrorCode =
  | ProblemCode
  /** The whole call took longer than `timeoutMs`, and nothing was done (a write that may have been: `outcome_unknown`). */
  | 'timeout'
  /** The caller's AbortSignal; `cause` is its reason, and `outcome` says whether the write may have been done. */
  | 'aborted'
  /** No reply: the connection failed. Reads only; a write in that case is `outcome_unknown`. */
  | 'network_error'
  /** Too many calls (or bytes) wait in this clerk for their turn; the call was never sent. */
  | 'queue_full'
  /** A reply that the contract does not know: most likely not from the store. */
  | 'unexpected_response'
  /** `text()` of a value that is not UTF-8. */
  | 'not_text';

/** Whether the write that failed may have been done: now, or later by a request that is still on its way. */
export type FailedOutcome = 'not_applied' | 'unknown';

export interface ClerkErrorDetails {
  readonly status?: number | null;
  readonly outcome?: FailedOutcome;
  readonly cause?: unknown;
}

export class ClerkError extends Error {
  readonly code: ClerkErrorCode;
  /** HTTP status of the reply that decided it; null if there was none. */
  readonly status: number | null;
  /** What happened, for people. */
  readonly detail: string;
  /** `not_applied` for reads. */
  readonly outcome: FailedOutcome;

  constructor(code: ClerkErrorCode, detail: string, details: ClerkErrorDetails = {}) {
    super(`${code}: ${detail}`, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'ClerkError';
    this.code = code;
    this.detail = detail;
    this.status = details.status ?? null;
    this.outcome = details.outcome ?? 'not_applied';
  }
}

/** `precondition_failed` (412): the key is not as the condition says, and nothing was written. */
export class PreconditionFailedError extends ClerkError {
  declare readonly code: 'precondition_failed';
  /** The key's modRevision at that moment; null: there was no such key. */
  readonly modRevision: number | null;

  constructor(detail: string, modRevision: number | null) {
    super('precondition_failed', detail, { status: 412 });
    this.name = 'PreconditionFailedError';
    this.modRevision = modRevision;
  }
}

/**
 * `outcome_unknown`: the write may have been done, or may still be, at most once. `cause` is the last thing that went
 * wrong. Only reading the key can tell; calling again would be another write.
 */
export class OutcomeUnknownError extends ClerkError {
  declare readonly code: 'outcome_unknown';

  constructor(detail: string, cause: ClerkError | null) {
    super('outcome_unknown', detail, { status: cause?.status ?? null, outcome: 'unknown', cause: cause ?? undefined });
    this.name = 'OutcomeUnknownError';
  }
}

/** Bad input, refused before anything was sent. */
export function invalidRequest(detail: string): ClerkError {
  return new ClerkError('invalid_request', detail);
}
