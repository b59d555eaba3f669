/**
 * A value as its length and three polynomial hashes (77 bits): equal values have equal digests, an append costs O(1), and
 * two different values of one history meet with a probability that can be forgotten.
 */
export interface ValueDigest {
  readonly length: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  /** Base to the power of `length`, for each hash. */
  readonly powerA: number;
  readonly powerB: number;
  readonly powerC: number;
}

// Primes below 2^26, so that products stay exact in doubles.
const PRIME_A = 67_108_859;
const PRIME_B = 67_108_837;
const PRIME_C = 33_554_393;
const BASE_A = 31_415_927;
const BASE_B = 27_182_819;
const BASE_C = 16_180_339;

export function digestOf(value: string): ValueDigest {
  let [a, b, c, powerA, powerB, powerC] = [0, 0, 0, 1, 1, 1];
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i) + 1;
    a = (a * BASE_A + code) % PRIME_A;
    b = (b * BASE_B + code) % PRIME_B;
    c = (c * BASE_C + code) % PRIME_C;
    powerA = (powerA * BASE_A) % PRIME_A;
    powerB = (powerB * BASE_B) % PRIME_B;
    powerC = (powerC * BASE_C) % PRIME_C;
  }
  return { length: value.length, a, b, c, powerA, powerB, powerC };
}

/** The digest of `left` followed by `right`. */
export function concatenated(left: ValueDigest, right: ValueDigest): ValueDigest {
  return {
    length: left.length + right.length,
    a: (left.a * right.powerA + right.a) % PRIME_A,
    b: (left.b * right.powerB + right.b) % PRIME_B,
    c: (left.c * right.powerC + right.c) % PRIME_C,
    powerA: (left.powerA * right.powerA) % PRIME_A,
    powerB: (left.powerB * right.powerB) % PRIME_B,
    powerC: (left.powerC * right.powerC) % PRIME_C,
  };
}

export function sameValue(left: ValueDigest, right: ValueDigest): boolean {
  return left.length === right.length && left.a === right.a && left.b === right.b && left.c === right.c;
}

/** Stands for every value that no read of the history can have seen. */
export const UNSEEN: ValueDigest = { length: -1, a: -1, b: -1, c: -1, powerA: 0, powerB: 0, powerC: 0 };
