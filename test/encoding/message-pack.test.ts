import { expect, test } from 'vitest';
import { decode, encode } from '../../src/encoding/message-pack.ts';
import { encodeEntry } from '../../src/peer/entry-codec.ts';

test('what is encoded keeps no buffer but its own alive: a peer remembers entries by their bytes', () => {
  const data = encodeEntry({ index: 7, term: 2, applyVersion: 1, elapsedMs: 5, payload: { type: 'noop' } });
  expect(data.byteLength).toBeLessThan(16);
  expect(data.buffer.byteLength).toBe(data.byteLength);
});

test('a large value, then a small one: each is whole', () => {
  const large = { value: new Uint8Array(1_000_000).fill(7) };
  expect(decode(encode(large))).toEqual(large);
  const small = encode(['small', 1]);
  expect(small.buffer.byteLength).toBe(small.byteLength);
  expect(decode(small)).toEqual(['small', 1]);
});

test('what was encoded before does not change with what is encoded next', () => {
  const first = encode('first');
  encode('other');
  expect(decode(first)).toBe('first');
});

test('fields that are undefined are not there', () => {
  expect(decode(encode({ kept: 1, left: undefined }))).toEqual({ kept: 1 });
});
