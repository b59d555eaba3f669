import type { CallScope } from './call-scope.ts';
import type { ClerkPlatform } from './platform.ts';

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5000;
/** A try with less time than this is not worth sending. */
const MIN_TRY_MS = 10;

/**
 * Waits before try number `tries` + 1 (`tries` >= 1 have failed): exponential with jitter from a half up, and no less than
 * the server asked for. Near the deadline it waits only half of what is left, so that the time is used. False: the caller
 * has left, or would have by then.
 */
export async function backOff(
  platform: ClerkPlatform,
  call: CallScope,
  tries: number,
  retryAfterMs: number,
): Promise<boolean> {
  const ceilingMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(tries - 1, 16));
  const jitteredMs = ceilingMs * (0.5 + platform.random() / 2);
  const remainingMs = call.remainingMs();
  const delayMs = Math.max(retryAfterMs, Math.min(jitteredMs, remainingMs / 2));
  if (remainingMs - delayMs < MIN_TRY_MS) return false;
  await call.sleep(delayMs);
  return call.left === null;
}
