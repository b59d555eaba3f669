import { describe, expect, test } from 'vitest';
import type { KeptResult } from '../../src/kv/commands.ts';
import { decodeReplies, encodeReplies, MAX_REPLIES, type Reply } from '../../src/kv/replies.ts';
import { digestOf } from './replica.ts';

const RESULTS: KeptResult[] = [
  { type: 'written', created: true, revision: 1, version: 1 },
  { type: 'written', created: false, revision: Number.MAX_SAFE_INTEGER, version: 2 ** 33 },
  { type: 'deleted', revision: 7, deleted: 1 },
  { type: 'deleted', revision: 0, deleted: 0 },
  { type: 'precondition_failed', modRevision: 9 },
  { type: 'precondition_failed', modRevision: null },
  { type: 'value_too_large' },
  { type: 'storage_full' },
];
const replies = RESULTS.map((result, i): Reply => ({ seq: 2 ** 40 + i, requestDigest: digestOf(String(i)), result }));

describe('the replies of a session', () => {
  test('come back as they were', () => {
    expect(decodeReplies(encodeReplies(replies))).toEqual(replies);
    expect(decodeReplies(new Uint8Array(0))).toEqual([]);
  });

  test('keep their bytes for ever: these are in the state hash', () => {
    const first = Buffer.from(encodeReplies(replies.slice(0, 1)).subarray(0, 41)).toString('hex');
    expect(first).toBe(
      `0000010000000000${Buffer.from(digestOf('0')).toString('hex')}0100000000000000010000000000000001`,
    );
  });

  test('have one encoding: anything else is refused', () => {
    const bytes = encodeReplies(replies);
    const record = 41;
    expect(decodeReplies(bytes.subarray(1))).toBeNull();
    expect(decodeReplies(new Uint8Array([...bytes.subarray(record), ...bytes.subarray(0, record)]))).toBeNull();
    expect(decodeReplies(new Uint8Array([...bytes.subarray(0, record), ...bytes.subarray(0, record)]))).toBeNull();
    expect(decodeReplies(new Uint8Array(record * (MAX_REPLIES + 1)))).toBeNull();
    for (const outcome of [0, 9, 255]) expect(decodeReplies(bytes.with(24, outcome))).toBeNull();
    // A number where this outcome has none, and one past 2^53.
    expect(decodeReplies(bytes.with(7 * record + 40, 1))).toBeNull();
    expect(decodeReplies(bytes.with(25, 255))).toBeNull();
  });
});
