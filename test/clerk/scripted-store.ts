import { type ProblemCode, STATUS_OF_CODE } from '../../src/clerk/errors.ts';
import type { ClerkFetch, ClerkResponse } from '../../src/clerk/try.ts';
import type { SimulatedPlatform } from './simulated-platform.ts';

/** A request as the store sees it. */
export interface Sent {
  readonly atMs: number;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | null;
  readonly clerkId: string;
  readonly seq: number;
  readonly acked: number;
}

export type Answer = ClerkResponse | 'no_reply' | 'disconnect';
export function toSent(atMs: number, url: string, init: Parameters<ClerkFetch>[1]): Sent {
  const { method, headers, body } = init;
  return {
    atMs,
    method,
    url,
    headers,
    body,
    clerkId: headers['Clerk-Id'] ?? '',
    seq: Number(headers['Clerk-Seq']),
    acked: Number(headers['Clerk-Acked']),
  };
}

export type Script = (sent: Sent, index: number) => Answer | Promise<Answer>;

/** A reply, with its problem's code in view. */
export interface ScriptedReply extends ClerkResponse {
  readonly code: ProblemCode | null;
}

export function reply(status: number, body: unknown, headers: Record<string, string> = {}): ScriptedReply {
  const bytes = body instanceof Uint8Array ? Uint8Array.from(body) : new TextEncoder().encode(JSON.stringify(body));
  const lowerCase = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return {
    status,
    code: null,
    headers: { get: (name) => lowerCase.get(name.toLowerCase()) ?? null },
    arrayBuffer: async () => bytes.buffer as ArrayBuffer,
  };
}

export function problem(code: ProblemCode, headers: Record<string, string> = {}): ScriptedReply {
  const status = STATUS_OF_CODE[code];
  const body = { type: 'about:blank', title: code, status, code, detail: `because ${code}` };
  return { ...reply(status, body, headers), code };
}

export const written = (revision = 1, version = 1) => reply(200, { revision, version }, { ETag: `"${revision}"` });

/** A `fetch` that answers by script, each time after `delayMs`, and keeps what was sent. */
export function scriptedStore(platform: SimulatedPlatform, script: Script, delayMs = 1) {
  const sent: Sent[] = [];
  const aborted: Sent[] = [];
  const fetch: ClerkFetch = async (url, init) => {
    const request = toSent(platform.now(), url, init);
    init.signal.addEventListener('abort', () => aborted.push(request));
    const index = sent.push(request) - 1;
    await platform.sleep(delayMs);
    const answer = await script(request, index);
    if (answer === 'disconnect') throw new TypeError('connection reset');
    return answer === 'no_reply' ? new Promise(() => {}) : answer;
  };
  return { fetch, sent, aborted };
}

/** Answers each request by the next of `answers`, and then always by `written`. */
export function inOrder(...answers: Answer[]): Script {
  return (_sent, index) => answers[index] ?? written(index + 1);
}
