/**
 * What the group client needs of the world: the seams between the same code in production (workers-platform.ts), in the
 * simulator, and in tests on a fake clock.
 */
export interface RouterPlatform {
  /** Ms; only differences matter. */
  now(): number;
  /** In [0, 1). */
  random(): number;
  /** 128 random bits, hex. Called while a request is handled, never before (Workers have no randomness at start). */
  randomId(): string;
  /** Runs `run` after `delayMs`; returns its cancellation. */
  setTimer(delayMs: number, run: () => void): () => void;
  /** One call of a peer's route. Rejects on any failure of transport, and when `signal` is aborted. */
  call(
    objectName: string,
    locationHint: string,
    route: string,
    body: Uint8Array<ArrayBuffer>,
    signal: AbortSignal,
  ): Promise<Uint8Array>;
  /**
   * What another request may call to let this one go on. The runtime drops it when this one's handler has been cut off; so do
   * simulators, for which this seam is.
   */
  handoff?(run: () => void): () => void;
  /** Structured log line. Never values, keys or secrets. */
  log(event: Record<string, unknown>): void;
}

export function sleep(platform: RouterPlatform, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    platform.setTimer(delayMs, resolve);
  });
}

/** Resolves to null when `promise` takes longer than `timeoutMs`; its timer is gone in either case. */
export async function withTimeout<T>(
  platform: RouterPlatform,
  timeoutMs: number,
  promise: Promise<T>,
  onTimeout: () => void = () => {},
): Promise<T | null> {
  const { promise: timeout, resolve } = Promise.withResolvers<null>();
  const cancel = platform.setTimer(timeoutMs, () => {
    resolve(null);
    onTimeout();
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    cancel();
  }
}
