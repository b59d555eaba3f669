/**
 * One write, exactly once: tries under the same Clerk-Seq until a reply that is kept, a refusal, or the end of the
 * caller's patience. The whole question is what each reply says about the seq:
 *
 *   200, 201, 412, 413 of an append, 507      received: the seq has its reply, for good
 *   429, 503, 408 of the store                nothing was done by this try; again later
 *   504, no reply, a proxy's 5xx              it may have been done; again later
 *   400, 401, 403, 404, 405, other 413        nothing was done, nor will be; the call ends
 *   410, 409                                  the identity is gone; a new one, if no try may have been done
 *
 * A call that ends while some try of it may have been done leaves its seq unresolved, for nobody can know. Such a seq is not
 * repeated in the background (the caller is gone, and a process should be free to end): once it holds up the window,
 * the identity is retired.
 */
import { backOff } from './back-off.ts';
import type { CallScope } from './call-scope.ts';
import { type ClerkError, OutcomeUnknownError, PreconditionFailedError } from './errors.ts';
import type { ClerkPlatform } from './platform.ts';
import {
  asCount,
  errorOf,
  etagRevision,
  isTransient,
  readObject,
  readProblem,
  retryAfterMs,
  unexpected,
} from './reply.ts';
import type { ClerkRequest } from './request.ts';
import { MAX_REQUEST_AGE_MS, type SessionPool, type Ticket } from './sessions.ts';
import { type ClerkFetch, type Reply, startTry, type Try, type TryResult } from './try.ts';

/** Age of a request, from its first try, at which it is repeated for the last time: leaves a try time to arrive. */
export const MAX_REPEAT_AGE_MS = MAX_REQUEST_AGE_MS - 15_000;
/** New identities that one call may ask for: more means that something else is wrong. */
const MAX_IDENTITIES_PER_CALL = 4;

export interface Transport {
  readonly platform: ClerkPlatform;
  readonly fetch: ClerkFetch;
  readonly tryTimeoutMs: number;
}

/** A success that the store keeps. */
export interface WriteReply {
  readonly created: boolean;
  readonly revision: number;
  /** Of a put or append. */
  readonly version: number;
  /** Of a delete. */
  readonly deleted: boolean;
  readonly replayed: boolean;
}

/** What a try says about its seq. */
export type WriteVerdict =
  | { readonly type: 'received'; readonly reply: WriteReply | ClerkError }
  | { readonly type: 'again'; readonly nothingDone: boolean; readonly error: ClerkError }
  | { readonly type: 'refused'; readonly error: ClerkError }
  | { readonly type: 'identity_lost'; readonly error: ClerkError }
  /** Not from the store, and no reason to expect another reply next time. */
  | { readonly type: 'unexpected'; readonly error: ClerkError };

/**
 * Sends one write.
 * @throws ClerkError
 */
export async function write(
  transport: Transport,
  sessions: SessionPool,
  request: ClerkRequest,
  call: CallScope,
): Promise<WriteReply> {
  for (let identities = 1; ; identities++) {
    const ticket = await sessions.acquire(call);
    const exchange = new WriteExchange(transport, sessions, request, call, ticket);
    const ended = await exchange.run();
    if (ended.type === 'received') {
      if (ended.reply instanceof Error) throw ended.reply;
      return ended.reply;
    }
    if (identities === MAX_IDENTITIES_PER_CALL) throw ended.error;
  }
}

/** The tries of one write under one seq. */
class WriteExchange {
  readonly #transport: Transport;
  readonly #sessions: SessionPool;
  readonly #request: ClerkRequest;
  readonly #call: CallScope;
  readonly #ticket: Ticket;
  readonly #firstTryAtMs: number;
  /** Some try may have been done. */
  #maybeDone = false;

  constructor(transport: Transport, sessions: SessionPool, request: ClerkRequest, call: CallScope, ticket: Ticket) {
    this.#transport = transport;
    this.#sessions = sessions;
    this.#request = request;
    this.#call = call;
    this.#ticket = ticket;
    this.#firstTryAtMs = transport.platform.now();
  }

  /** Ends with the kept reply, or with an identity lost before anything was done; else throws. */
  async run(): Promise<Extract<WriteVerdict, { type: 'received' | 'identity_lost' }>> {
    try {
      return await this.#tryUntilDecided();
    } finally {
      this.#ticket.abandon();
    }
  }

  async #tryUntilDecided(): Promise<Extract<WriteVerdict, { type: 'received' | 'identity_lost' }>> {
    const { platform } = this.#transport;
    let last: ClerkError | null = null;
    for (let tries = 1; ; tries++) {
      if (this.#call.left || this.#tooOld()) throw this.#giveUp(last);
      const sent = this.#send();
      const waited = await this.#call.until(sent.result);
      if (!waited.done) throw this.#leaveBehind(sent, last);
      const verdict = judgeWrite(this.#request.method, waited.value);
      switch (verdict.type) {
        case 'received':
          this.#ticket.received();
          return verdict;
        case 'identity_lost':
          this.#ticket.lost();
          if (this.#maybeDone) throw this.#giveUp(verdict.error);
          return verdict;
        case 'refused':
          throw this.#giveUp(verdict.error);
        case 'unexpected':
          this.#maybeDone = true;
          throw this.#giveUp(verdict.error);
        case 'again':
          last = verdict.error;
          this.#maybeDone ||= !verdict.nothingDone;
          if (!(await backOff(platform, this.#call, tries, retryAfterMs(waited.value)))) throw this.#giveUp(last);
      }
    }
  }

  #send(): Try {
    const { platform, fetch, tryTimeoutMs } = this.#transport;
    const headers = {
      ...this.#request.headers,
      'Clerk-Id': this.#ticket.clerkId,
      'Clerk-Seq': String(this.#ticket.seq),
      'Clerk-Acked': String(this.#ticket.acked()),
    };
    return startTry(platform, fetch, { ...this.#request, headers }, tryTimeoutMs);
  }

  #tooOld(): boolean {
    return this.#transport.platform.now() - this.#firstTryAtMs >= MAX_REPEAT_AGE_MS;
  }

  /** The error of a call that ends between tries; gives the seq back if nothing was done. */
  #giveUp(last: ClerkError | null): ClerkError {
    if (!this.#maybeDone) {
      this.#ticket.unused();
      return this.#call.failure(last);
    }
    this.#ticket.abandon();
    const left = this.#call.left;
    if (left?.type === 'aborted') return this.#call.failure(null, 'unknown');
    return new OutcomeUnknownError('the write may have been done, and no reply came that says so', last);
  }

  /**
   * The error of a call whose caller leaves during a try. The try goes on to its own timeout: its reply may still resolve
   * the seq, which keeps the identity in use.
   */
  #leaveBehind(sent: Try, last: ClerkError | null): ClerkError {
    const doneBefore = this.#maybeDone;
    this.#maybeDone = true;
    const error = this.#giveUp(last);
    if (this.#sessions.startLingering()) {
      void sent.result.then((result) => {
        this.#sessions.endLingering();
        this.#settleLate(judgeWrite(this.#request.method, result), doneBefore);
      });
    } else {
      sent.cancel();
    }
    return error;
  }

  #settleLate(verdict: WriteVerdict, doneBefore: boolean): void {
    if (verdict.type === 'received') this.#ticket.received();
    else if (verdict.type === 'identity_lost') this.#ticket.lost();
    else if (!doneBefore && saysNothingDone(verdict)) this.#ticket.unused();
  }
}

function saysNothingDone(verdict: WriteVerdict): boolean {
  return verdict.type === 'refused' || (verdict.type === 'again' && verdict.nothingDone);
}

/** What one try of a write says about its seq. */
export function judgeWrite(method: ClerkRequest['method'], result: TryResult): WriteVerdict {
  if (result.type === 'no_reply') return { type: 'again', nothingDone: false, error: errorOf(result, null) };
  if (result.status === 200 || result.status === 201) return judgeSuccess(method, result);
  const problem = readProblem(result);
  const error = errorOf(result, problem);
  switch (problem?.code) {
    case 'precondition_failed':
      return { type: 'received', reply: new PreconditionFailedError(error.detail, etagRevision(result)) };
    case 'storage_full':
      return { type: 'received', reply: error };
    case 'value_too_large':
      // Of an append it is about the result, and kept: its own bytes were checked before they were sent.
      return method === 'PATCH' ? { type: 'received', reply: error } : { type: 'refused', error };
    case 'session_expired':
    case 'seq_reused':
    case 'seq_acknowledged':
      return { type: 'identity_lost', error };
    case 'overloaded':
    case 'no_leader':
    case 'peer_unreachable':
    case 'request_timeout':
      return { type: 'again', nothingDone: true, error };
    case 'outcome_unknown':
    case 'internal_error':
      return { type: 'again', nothingDone: false, error };
    case 'invalid_request':
    case 'unauthenticated':
    case 'forbidden':
    case 'invalid_configuration':
    case 'no_such_route':
    case 'no_such_group':
    case 'no_such_peer':
    case 'method_not_allowed':
    case 'key_too_long':
    case 'not_leader':
      return { type: 'refused', error };
    default:
      return isTransient(result.status)
        ? { type: 'again', nothingDone: false, error }
        : { type: 'unexpected', error: unexpected(result, error.detail) };
  }
}

function judgeSuccess(method: ClerkRequest['method'], reply: Reply): WriteVerdict {
  const body = readObject(reply);
  const revision = asCount(body?.revision);
  const isDelete = method === 'DELETE';
  const count = asCount(isDelete ? body?.deleted : body?.version);
  if (revision === null || count === null) {
    return { type: 'unexpected', error: unexpected(reply, 'a success without its revision') };
  }
  const success: WriteReply = {
    created: reply.status === 201,
    revision,
    version: isDelete ? 0 : count,
    deleted: isDelete && count > 0,
    replayed: reply.headers.get('Clerk-Replayed') === 'true',
  };
  return { type: 'received', reply: success };
}
