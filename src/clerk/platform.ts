/**
 * What a clerk needs of the machine it runs on besides `fetch`: the seams that tests replace by simulated ones. Nothing here
 * runs when the module is loaded, because a Worker allows neither timers nor random bits at its global scope.
 */

export interface ClerkPlatform {
  /** Milliseconds from any origin; never goes back. Time asleep counts (a request grows old while a laptop sleeps). */
  now(): number;
  /** From 0 up to but not 1; only spreads retries out. */
  random(): number;
  /** Unpredictable bytes: identities must never meet. */
  randomBytes(length: number): Uint8Array;
  /** Calls `fire` once, after `delayMs` ms or later. Returns what cancels it. */
  setTimer(delayMs: number, fire: () => void): () => void;
}

/** Longest delay that timers of browsers, Node and Workers keep (2^31 - 1 ms); longer ones would fire at once. */
export const MAX_TIMER_MS = 2_147_483_647;

/**
 * Wall time that never steps back: a step back of the machine's clock counts as no time passed. The monotonic clock of
 * `performance` would not do, since on several systems it stands still while the machine sleeps.
 */
export function createMonotonicClock(wallNow: () => number): () => number {
  let lastMs = Number.NEGATIVE_INFINITY;
  let offsetMs = 0;
  return () => {
    const wallMs = wallNow() + offsetMs;
    if (wallMs < lastMs) offsetMs += lastMs - wallMs;
    else lastMs = wallMs;
    return lastMs;
  };
}

/** The real thing: browsers, Node >= 20, Workers. */
export const defaultPlatform: ClerkPlatform = {
  now: createMonotonicClock(() => Date.now()),
  random: () => Math.random(),
  randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  setTimer(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    return () => clearTimeout(timer);
  },
};
