/** What a body claims to hold (claims.ts): everything that is sent passes, and nothing that would cost more than it weighs. */
import { decode, encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holdsWhatItClaims } from '../../src/encoding/claims.ts';
import { decodeBody, encodeBody } from '../../src/peer/protocol.ts';
import { runs } from '../attack/runs.ts';

const MEBIBYTE = 1024 * 1024;
const plain = fc.anything({
  maxDepth: 6,
  key: fc.string().filter((key) => key !== '__proto__'),
  values: [
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double(),
    fc.string({ unit: 'binary' }),
    fc.uint8Array({ maxLength: 300 }),
    fc.boolean(),
    fc.constant(null),
    fc.constantFrom(31, 32, 255, 256, 65_535, 65_536).map((length) => 'x'.repeat(length)),
    fc.constantFrom(0, 15, 16, 65_535, 65_536).map((length) => new Array(length).fill(null)),
    fc.constantFrom(255, 256, 65_535, 65_536).map((length) => new Uint8Array(length)),
    fc.date({ noInvalidDate: true }),
  ],
});

/** Heads that claim `count` elements, one in the other. */
function nested(head: number, count: number, depth: number): Uint8Array {
  const bytes = Buffer.alloc(5 * depth);
  for (let i = 0; i < depth; i += 1) {
    bytes.writeUInt8(head, 5 * i);
    bytes.writeUInt32BE(count, 5 * i + 1);
  }
  return bytes;
}

describe('a body', () => {
  test('that was encoded holds what it claims (property)', () => {
    fc.assert(
      fc.property(plain, (value) => {
        expect(holdsWhatItClaims(encodeBody(value))).toBe(true);
      }),
      runs(500),
    );
  });

  test('that can be decoded holds what it claims (property)', () => {
    let decoded = 0;
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      fc.tuple(plain, fc.nat(), fc.integer({ max: 255 })).map(([value, at, byte]) => {
        const body = encode(value);
        body[at % body.byteLength] = byte;
        return body;
      }),
    );
    fc.assert(
      fc.property(bytes, (body) => {
        if (!holdsWhatItClaims(body)) {
          expect(() => decode(body)).toThrow();
          return;
        }
        try {
          decode(body);
          decoded += 1;
        } catch {
          // Of other reasons: text that is none, keys that are no text.
        }
      }),
      runs(2000),
    );
    expect(decoded).toBeGreaterThan(100);
  });

  test('that ends anywhere before its end does not', () => {
    const body = encodeBody({ a: [1, 'two', new Uint8Array(300), { b: 2 ** 40 }, 1.5, 'x'.repeat(300)], c: null });
    for (let length = 0; length < body.byteLength; length += 1) {
      expect(holdsWhatItClaims(body.slice(0, length)), `${length} bytes`).toBe(false);
    }
    expect(holdsWhatItClaims(body)).toBe(true);
    expect(holdsWhatItClaims(Buffer.concat([body, new Uint8Array(1)]))).toBe(false);
  });

  test.each([
    ['arrays of 32 million', nested(0xdd, 33_554_431, 4)],
    ['arrays of 4,096, a million levels deep', nested(0xdd, 4096, MEBIBYTE)],
    ['maps of 4 billion', nested(0xdf, 0xffff_ffff, 8)],
    ['arrays of one, eight million levels deep', new Uint8Array(8 * MEBIBYTE).fill(0x91)],
    ['maps of one, eight million levels deep', new Uint8Array(8 * MEBIBYTE).fill(0x81)],
  ])('of %s is refused at once, and takes no memory', (_, body) => {
    const beforeBytes = process.resourceUsage().maxRSS * 1024;
    // Processor time: what else runs on the machine is not the body's fault. Both bounds leave room for the engine's own work, and are far
    // below what believing the body would take: hundreds of MiB, and many seconds.
    const start = process.cpuUsage();
    expect(() => decodeBody(body)).toThrow(RangeError);
    const { user, system } = process.cpuUsage(start);
    expect((user + system) / 1000, 'ms of processor time').toBeLessThan(1500);
    expect(process.resourceUsage().maxRSS * 1024 - beforeBytes).toBeLessThan(64 * MEBIBYTE);
  });
});
