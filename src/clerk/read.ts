/** Reads: nothing to lose, so whatever is transient is tried again until the caller leaves. */
import { backOff } from './back-off.ts';
import type { CallScope } from './call-scope.ts';
import type { ClerkError } from './errors.ts';
import { errorOf, isTransient, type Problem, readProblem, retryAfterMs } from './reply.ts';
import type { ClerkRequest } from './request.ts';
import { type Reply, startTry, type TryResult } from './try.ts';
import type { Transport } from './write.ts';

/**
 * Sends one read. Returns a 200 or a 404 `key_not_found`.
 * @throws ClerkError
 */
export async function read(transport: Transport, request: ClerkRequest, call: CallScope): Promise<Reply> {
  const { platform, fetch, tryTimeoutMs } = transport;
  let last: ClerkError | null = null;
  for (let tries = 1; ; tries++) {
    if (call.left) throw call.failure(last);
    const sent = startTry(platform, fetch, request, tryTimeoutMs);
    const waited = await call.until(sent.result);
    if (!waited.done) {
      sent.cancel();
      throw call.failure(last);
    }
    const result = waited.value;
    const problem = result.type === 'reply' && result.status !== 200 ? readProblem(result) : null;
    if (result.type === 'reply' && (result.status === 200 || problem?.code === 'key_not_found')) return result;
    last = errorOf(result, problem);
    if (!mayChange(result, problem)) throw last;
    if (!(await backOff(platform, call, tries, retryAfterMs(result)))) throw call.failure(last);
  }
}

function mayChange(result: TryResult, problem: Problem | null): boolean {
  if (result.type === 'no_reply' || problem?.code === 'request_timeout') return true;
  const lasts = problem?.code === 'storage_full' || problem?.code === 'invalid_configuration';
  return isTransient(result.status) && !lasts;
}
