/**
 * The configurations that a search has been in (Lowe's memoisation): which operations are linearized, and the state. Both are
 * kept as one 128-bit hash; that two configurations of a search meet in it can be forgotten (10^7 of them: one in 10^24).
 */
import type { KeyState } from './key-state.ts';

/** Hash of a set of operations: the exclusive or of its members' random numbers, so that adding and removing are O(1). */
export class SetHash {
  readonly #numbers: Int32Array;
  readonly lanes = new Int32Array(4);

  constructor(members: number) {
    this.#numbers = new Int32Array(members * 4);
    let state = 0x1234567;
    for (let i = 0; i < this.#numbers.length; i++) {
      state = (state + 0x6d2b79f5) | 0;
      this.#numbers[i] = mixed(state);
    }
  }

  /** Adds the member, or removes it if it is in. */
  toggle(member: number): void {
    for (let lane = 0; lane < 4; lane++) this.lanes[lane]! ^= this.#numbers[member * 4 + lane]!;
  }
}

export class Visited {
  #table = new Int32Array(4 * 1024);
  #size = 0;
  readonly #hash = new Int32Array(4);

  get size(): number {
    return this.#size;
  }

  /** Adds a configuration; false: the search has been there. */
  add(linearized: SetHash, state: KeyState): boolean {
    this.#mix(linearized, state);
    if (!this.#insert(this.#hash, 0)) return false;
    this.#size += 1;
    if (this.#size * 2 > this.#table.length / 4) this.#grow();
    return true;
  }

  #mix(linearized: SetHash, state: KeyState): void {
    const { value, version, mod, modKnown, create, createKnown, floor } = state;
    for (let lane = 0; lane < 4; lane++) {
      let hash = linearized.lanes[lane]! ^ Math.imul(lane + 1, 0x2545f491);
      hash = stirred(hash, value === null ? -2 : value.length);
      if (value !== null) hash = stirred(stirred(stirred(hash, value.a), value.b), value.c);
      hash = stirred(stirred(hash, version), (modKnown ? 1 : 0) + (createKnown ? 2 : 0));
      hash = stirred(stirred(hash, create | 0), Math.floor(create / 2 ** 32));
      hash = stirred(stirred(hash, mod | 0), Math.floor(mod / 2 ** 32));
      hash = stirred(stirred(hash, floor | 0), Math.floor(floor / 2 ** 32));
      this.#hash[lane] = mixed(hash);
    }
    // An empty place is all zeros.
    if (this.#hash[0] === 0) this.#hash[0] = 1;
  }

  #insert(source: Int32Array, at: number): boolean {
    const table = this.#table;
    const places = table.length / 4;
    const [h0, h1, h2, h3] = [source[at]!, source[at + 1]!, source[at + 2]!, source[at + 3]!];
    let place = (h1 >>> 0) & (places - 1);
    for (;;) {
      const i = place * 4;
      if (table[i] === 0) {
        table[i] = h0;
        table[i + 1] = h1;
        table[i + 2] = h2;
        table[i + 3] = h3;
        return true;
      }
      if (table[i] === h0 && table[i + 1] === h1 && table[i + 2] === h2 && table[i + 3] === h3) return false;
      place = (place + 1) & (places - 1);
    }
  }

  #grow(): void {
    const old = this.#table;
    this.#table = new Int32Array(old.length * 2);
    for (let i = 0; i < old.length; i += 4) if (old[i] !== 0) this.#insert(old, i);
  }
}

function stirred(hash: number, number: number): number {
  return mixed(Math.imul(hash, 0x9e3779b1 | 0) + number);
}

function mixed(number: number): number {
  let hash = number | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
