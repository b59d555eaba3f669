/**
 * The keys of a run: a few live ones, and all of them new ones every few seconds, so that no key's history grows long (the
 * checker searches key by key), and values stay small however long the run is.
 */
import type { Random } from '../../simulation/random.ts';

const GENERATION_MS = 10_000;
/** Keys that are only appended to: there every append can be counted. */
const APPENDED_KEYS = 6;
/** Keys that meet everything. */
const MIXED_KEYS = 14;
/** How often a key of the generation before is used: what a crash might have lost must be looked at after it. */
const EARLIER = 0.15;

export class KeySpace {
  readonly #nowMs: () => number;
  /** By generation. */
  readonly #used: string[][] = [];

  /** `nowMs`: time since the run began. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  appended(random: Random): string {
    return `${this.#generation(random)}a${random.int(1, APPENDED_KEYS)}`;
  }

  mixed(random: Random): string {
    return `${this.#generation(random)}m${random.int(1, MIXED_KEYS)}`;
  }

  any(random: Random): string {
    return random.chance(APPENDED_KEYS / (APPENDED_KEYS + MIXED_KEYS)) ? this.appended(random) : this.mixed(random);
  }

  /** What all keys of a present generation begin with. */
  prefix(random: Random): string {
    return this.#generation(random);
  }

  /** All keys, used or not, that begin with `prefix`. */
  keys(prefix = ''): string[] {
    return this.#used.flat().filter((key) => key.startsWith(prefix));
  }

  isAppended(key: string): boolean {
    return /\/a\d+$/.test(key);
  }

  #generation(random: Random): string {
    const present = Math.floor(this.#nowMs() / GENERATION_MS);
    while (this.#used.length <= present) this.#used.push(keysOf(this.#used.length));
    const earlier = present > 0 && random.chance(EARLIER);
    return prefixOf(earlier ? present - 1 : present);
  }
}

/** The slash travels percent-encoded; an umlaut makes two bytes. */
const prefixOf = (generation: number): string => `gü${generation}/`;

function keysOf(generation: number): string[] {
  const prefix = prefixOf(generation);
  const numbered = (letter: string, count: number): string[] =>
    Array.from({ length: count }, (_, i) => `${prefix}${letter}${i + 1}`);
  return [...numbered('a', APPENDED_KEYS), ...numbered('m', MIXED_KEYS)];
}
