import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HISTORY_MIN_AGE_MS } from '../../src/kv/limits.ts';
import { StateSum } from '../../src/kv/state-hash.ts';
import { recomputedHash } from './recomputed-hash.ts';
import { append, as, put, Replica, remove } from './replica.ts';

const toNumber = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
const hash128 = fc.oneof(
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  fc.constant(new Uint8Array(16).fill(255)),
  fc.constant(new Uint8Array(16).with(0, 1)),
);

describe('the state hash', () => {
  test('sums mod 2^128', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), hash128)), (terms) => {
        const sum = new StateSum();
        let expected = 0n;
        for (const [adds, hash] of terms) {
          if (adds) sum.add(hash);
          else sum.subtract(hash);
          expected = BigInt.asUintN(128, adds ? expected + toNumber(hash) : expected - toNumber(hash));
        }
        expect(toNumber(sum.toBytes())).toBe(expected);
        expect(StateSum.from(sum.toBytes()).toBytes()).toEqual(sum.toBytes());
      }),
    );
  });

  test('of a known life is known: peers of different versions must agree on it', () => {
    const store = new Replica();
    expect(store.machine.stateHash()).toMatchInlineSnapshot(`"f01c8471348ae10131727627c70cc306"`);
    store.apply([put('a', '1', as('x', 1)), append('a', '2', as('x', 2, 1)), remove('a', as('y', 1))], 1000);
    expect(store.machine.stateHash()).toMatchInlineSnapshot(`"adb1d5fbd91eaf36b497393da764c5ab"`);
    store.wait(HISTORY_MIN_AGE_MS);
    expect(store.machine.stateHash()).toMatchInlineSnapshot(`"cb1b510507bb94bd760aa3016285ca7f"`);
  });

  test('differs wherever anything that is replicated differs', () => {
    const life = (change: (store: Replica) => void) => {
      const store = new Replica();
      store.apply([put('a', '1', as('x', 1)), put('b', '1', as('x', 2)), remove('b', as('x', 3))]);
      change(store);
      expect(recomputedHash(store)).toBe(store.machine.stateHash());
      return store.machine.stateHash();
    };
    const hashes = [
      life(() => {}),
      life((store) => store.applyData(null, 1)),
      life((store) => store.do(put('a', '2', as('x', 4)))),
      life((store) => store.do(put('a', '3', as('x', 4)))),
      life((store) => store.do(put('a', '3', as('y', 1)))),
      life((store) => store.do(put('a', '3', as('x', 5)))),
      life((store) => store.do(put('a', '3', as('x', 5, 4)))),
      life((store) => store.do(remove('none', as('x', 4)))),
      life((store) => store.do(put('a', '1', as('x', 1)), 1)),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  test('does not move by a refused write of an unknown session, a restart, a cut or physical deletion', () => {
    const store = new Replica();
    store.apply([put('a', '1', as('x', 1)), put('a', '2', as('x', 2))]);
    store.wait(HISTORY_MIN_AGE_MS);
    const hash = store.machine.stateHash();
    store.do(put('a', '2', as('unknown', 2)));
    store.machine.beginSnapshot();
    store.housekeepAll();
    store.machine.endSnapshot();
    store.housekeepAll();
    store.restart();
    expect(store.machine.stateHash()).toBe(hash);
  });
});
