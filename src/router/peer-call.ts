/** One call of one peer: encoded, timed, and its reply checked. */
import {
  decodeBody,
  encodeBody,
  type Member,
  objectName,
  type Reply,
  type RouterRoute,
  type RouterRoutes,
} from '../peer/protocol.ts';
import { replySchemas } from './peer-replies.ts';
import { type RouterPlatform, withTimeout } from './platform.ts';

/** A status, a `stand`, a fault: nothing that waits for other peers. */
export const QUICK_CALL_MS = 800;

/**
 * Null: no usable reply within `timeoutMs`. The peer may have done what was asked, and may still do it, however the call
 * failed.
 */
export async function callPeer<R extends RouterRoute>(
  platform: RouterPlatform,
  group: string,
  member: Callee,
  route: R,
  request: RouterRoutes[R]['request'],
  timeoutMs: number,
): Promise<Reply<R> | null> {
  return (await exchange(platform, group, member, route, request, timeoutMs))?.reply ?? null;
}

type Callee = Pick<Member, 'slot' | 'incarnation' | 'locationHint'>;

/** As `callPeer`; `bytes`: of the reply's body. */
export async function exchange<R extends RouterRoute>(
  platform: RouterPlatform,
  group: string,
  member: Callee,
  route: R,
  request: RouterRoutes[R]['request'],
  timeoutMs: number,
): Promise<{ readonly reply: Reply<R>; readonly bytes: number } | null> {
  const controller = new AbortController();
  const name = objectName(group, member);
  try {
    const body = encodeBody(request);
    const called = platform.call(name, member.locationHint, route, body, controller.signal);
    const bytes = await withTimeout(platform, timeoutMs, called, () => controller.abort());
    if (bytes === null) return null;
    return { reply: replySchemas[route].parse(decodeBody(bytes)), bytes: bytes.byteLength };
  } catch {
    return null;
  }
}
