/** One HTTP request and its whole reply, within a time of its own. */
import type { ClerkPlatform } from './platform.ts';
import type { ClerkRequest } from './request.ts';

/** As much of `fetch` as the clerk uses; the global one fits, and so does a service binding's. */
export type ClerkFetch = (
  url: string,
  init: {
    method: string;
    headers: Record<string, string>;
    body: Uint8Array<ArrayBuffer> | null;
    redirect: 'manual';
    signal: AbortSignal;
  },
) => Promise<ClerkResponse>;

export interface ClerkResponse {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  arrayBuffer(): Promise<ArrayBuffer>;
}

export interface Reply {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: Uint8Array<ArrayBuffer>;
}

export type TryResult =
  | ({ readonly type: 'reply' } & Reply)
  /** No reply, or only a part of one: whether the store saw the request is not known. */
  | { readonly type: 'no_reply'; readonly timedOut: boolean; readonly cause: unknown };

export interface Try {
  /** Never rejects, and ends by itself after the try's timeout. */
  readonly result: Promise<TryResult>;
  /** Ends it now, as without a reply. */
  cancel(): void;
}

/**
 * Sends `request` once. Redirects are not followed: they would carry the write, or lose the token, elsewhere. A `fetch` that
 * ignores its signal cannot hold the result up.
 */
export function startTry(platform: ClerkPlatform, fetch: ClerkFetch, request: ClerkRequest, timeoutMs: number): Try {
  const controller = new AbortController();
  let settle: (result: TryResult) => void = () => {};
  const result = new Promise<TryResult>((resolve) => {
    settle = resolve;
  });
  const end = (ended: TryResult) => {
    cancelTimer();
    settle(ended);
  };
  const stop = (timedOut: boolean) => {
    end({ type: 'no_reply', timedOut, cause: undefined });
    controller.abort();
  };
  const cancelTimer = platform.setTimer(timeoutMs, () => stop(true));
  exchange(fetch, request, controller.signal).then(
    (reply) => end({ type: 'reply', ...reply }),
    (cause: unknown) => end({ type: 'no_reply', timedOut: false, cause }),
  );
  return { result, cancel: () => stop(false) };
}

async function exchange(fetch: ClerkFetch, request: ClerkRequest, signal: AbortSignal): Promise<Reply> {
  const { method, url, headers, body } = request;
  const response = await fetch(url, { method, headers: { ...headers }, body, redirect: 'manual', signal });
  return { status: response.status, headers: response.headers, body: new Uint8Array(await response.arrayBuffer()) };
}
