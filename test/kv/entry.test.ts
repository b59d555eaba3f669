import { decode, encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { commandBytes } from '../../src/kv/command-bytes.ts';
import type { Command } from '../../src/kv/commands.ts';
import { decodeEntry, encodeEntry } from '../../src/kv/entry.ts';
import { createKeyValueStore } from '../../src/kv/key-value-store.ts';
import { entryLimits } from '../../src/kv/settings.ts';
import { as, bytes, digestOf, put, Replica, remove } from './replica.ts';

const LIMITS = entryLimits({});
const { machine } = new Replica();

const key = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 200 })
  .filter((text) => bytes(text).byteLength <= 1024);
const seqAndAcked = fc
  .tuple(fc.maxSafeNat(), fc.maxSafeNat())
  .filter(([a, b]) => a !== b)
  .map(([a, b]) => ({ seq: Math.max(a, b), acked: Math.min(a, b) }));
const condition = fc.oneof(
  fc.constant(null),
  fc.constant({ type: 'exists' } as const),
  fc.constant({ type: 'absent' } as const),
  fc.record({ type: fc.constant('match' as const), revisions: fc.array(fc.maxSafeNat(), { maxLength: 64 }) }),
);
const commands: fc.Arbitrary<Command> = fc
  .record({
    op: fc.constantFrom('put', 'append', 'delete'),
    key,
    value: fc.uint8Array({ maxLength: 70_000, size: 'medium' }),
    condition,
    pool: fc.constantFrom('clerk', 'router'),
    id: fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
    seqAndAcked,
  })
  .map(({ op, key, value, condition, pool, id, seqAndAcked }): Command => {
    const session = { pool, id, ...seqAndAcked, requestDigest: digestOf(value) } as const;
    const base = { key: bytes(key), condition, session };
    return op === 'delete' ? { op, ...base } : { op: op as 'put', ...base, value, valueDigest: digestOf(value) };
  });

describe('an entry', () => {
  test('brings back what was put in, within the bound that was announced', () => {
    fc.assert(
      fc.property(fc.array(commands, { maxLength: 8 }), (batch) => {
        expect(batch.every((each) => machine.accepts(each))).toBe(true);
        const data = encodeEntry(LIMITS, batch);
        expect(machine.understands(data)).toBe(true);
        expect(decodeEntry(data)).toEqual({ limits: LIMITS, commands: batch });
        const bound = batch.reduce((sum, each) => sum + commandBytes(each), 0);
        if (batch.length > 0) expect(data.byteLength).toBeLessThanOrEqual(bound);
      }),
      { numRuns: 200 },
    );
  });

  test('is not understood with anything in it that this version does not know', () => {
    const good = decode(encodeEntry(LIMITS, [put('a', '1', as('clerk', 2, 1)), remove('a')])) as unknown[];
    expect(machine.understands(encode(good))).toBe(true);
    const limits = good[1] as unknown[];
    const [first, second] = good[2] as [unknown[], unknown[]];
    const withPut = (at: number, value: unknown) => [good[0], limits, [first.with(at, value)]];
    const wrong: unknown[] = [
      null,
      {},
      [],
      [2, limits, []],
      [1, limits],
      [1, limits, [], 'more'],
      [1, limits.slice(1), []],
      [1, [...limits, 1], []],
      [1, limits.with(0, 0), []],
      [1, limits.with(0, 1e15), []],
      [1, limits, [null]],
      [1, limits, [first.slice(0, 9)]],
      [1, limits, [[...first, 1]]],
      [1, limits, [[...second, bytes('a'), digestOf('a')]]],
      withPut(0, 3),
      withPut(0, -1),
      withPut(0, 'put'),
      withPut(1, bytes('')),
      withPut(1, 'a'),
      withPut(1, bytes('a'.repeat(1025))),
      withPut(1, new Uint8Array([0xc3])),
      withPut(2, 1),
      withPut(2, [1.5]),
      withPut(
        2,
        Array.from({ length: 65 }, () => 1),
      ),
      withPut(3, 2),
      withPut(4, ''),
      withPut(4, 'a b'),
      withPut(5, 0),
      withPut(5, 2 ** 53),
      withPut(6, 2),
      withPut(6, -1),
      withPut(7, digestOf('a').subarray(1)),
      withPut(8, new Uint8Array(1_048_577)),
      withPut(8, 'text'),
      withPut(9, new Uint8Array(17)),
    ];
    for (const fields of wrong)
      expect(machine.understands(encode(fields)), JSON.stringify(fields)?.slice(0, 200)).toBe(false);
    const whole = encode(good);
    for (let length = 0; length < whole.byteLength; length++) {
      expect(machine.understands(whole.subarray(0, length))).toBe(false);
    }
    expect(machine.understands(new Uint8Array([...whole, 0]))).toBe(false);
  });

  test('any bytes at all are understood or not, without an exception; and if so, they can be applied', () => {
    const store = new Replica();
    const seed = encodeEntry(LIMITS, [put('a', '1', as('clerk', 1)), remove('b', as('clerk', 2, 1))]);
    fc.assert(
      fc.property(fc.nat(seed.byteLength - 1), fc.nat(255), fc.uint8Array({ maxLength: 40 }), (at, byte, noise) => {
        store.machine.understands(noise);
        const mutated = seed.with(at, byte);
        if (store.machine.understands(mutated)) store.applyData(mutated);
      }),
      { numRuns: 2000 },
    );
  });

  test('the limits act from the entry, not from the settings of the peer that applies it', () => {
    const [lavish, frugal] = [new Replica(), new Replica({ STORAGE_LIMIT_BYTES: '200', SESSION_LIMIT: '1' })];
    const entries = [lavish, frugal, lavish].map((leader, i) =>
      leader.machine.encodeEntry([put(`k${i}`, 'x'.repeat(150), as(`clerk${i}`, 1))]),
    );
    for (const data of entries) expect(lavish.applyData(data)).toEqual(frugal.applyData(data));
    expect(lavish.machine.stateHash()).toBe(frugal.machine.stateHash());
    expect(lavish.gauge('keys')).toBe(2);
  });
});

describe('a command', () => {
  const good = put('a', '1', as('clerk', 2, 1));
  const { session } = good;

  test('is accepted only if it is well-formed and within limits', () => {
    const largest = put('k'.repeat(1024), 'x'.repeat(1_048_576), as('i'.repeat(64), Number.MAX_SAFE_INTEGER));
    expect(machine.accepts(good)).toBe(true);
    expect(machine.accepts(largest)).toBe(true);
    const wrong: unknown[] = [
      null,
      'put',
      {},
      { ...good, op: 'increment' },
      { ...good, extra: 1 },
      { ...good, key: bytes('') },
      { ...good, key: bytes('k'.repeat(1025)) },
      { ...good, key: new Uint8Array([0xed, 0xa0, 0x80]) },
      { ...good, key: 'a' },
      { ...good, value: new Uint8Array(1_048_577) },
      { ...good, valueDigest: new Uint8Array(32) },
      { ...good, condition: undefined },
      { ...good, condition: { type: 'maybe' } },
      { ...good, condition: { type: 'exists', extra: 1 } },
      { ...good, condition: { type: 'match', revisions: Array.from({ length: 65 }, () => 1) } },
      { ...good, condition: { type: 'match', revisions: ['1'] } },
      { ...remove('a'), value: bytes('') },
      { ...good, session: { ...session, pool: 'admin' } },
      { ...good, session: { ...session, id: 'a'.repeat(65) } },
      { ...good, session: { ...session, id: 'ü' } },
      { ...good, session: { ...session, id: 'a\n' } },
      { ...good, session: { ...session, seq: 0 } },
      { ...good, session: { ...session, seq: 1.5 } },
      { ...good, session: { ...session, seq: 2 ** 53 } },
      { ...good, session: { ...session, acked: 2 } },
      { ...good, session: { ...session, acked: -1 } },
      { ...good, session: { ...session, requestDigest: bytes('short') } },
      { ...good, session: { ...session, extra: 1 } },
    ];
    for (const command of wrong) {
      expect(machine.accepts(command)).toBe(false);
      expect(machine.commandBytes(command)).toBeGreaterThan(0);
    }
  });
});

describe('settings', () => {
  test('have defaults, and are refused with a clear error when they make no sense', () => {
    expect(LIMITS).toEqual({
      storageLimitBytes: 4_000_000_000,
      historyLimitBytes: 536_870_912,
      clerkSessions: 65_536,
      routerSessions: 4096,
    });
    expect(entryLimits({ STORAGE_LIMIT_BYTES: '' })).toEqual(LIMITS);
    for (const text of ['0', '-1', '1e9', '4 GB', ' 5', '99999999999', '0x10']) {
      expect(() => createKeyValueStore(new Replica().sql, { STORAGE_LIMIT_BYTES: text })).toThrow(
        /STORAGE_LIMIT_BYTES must be/,
      );
    }
  });
});
