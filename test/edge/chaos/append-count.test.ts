import { describe, expect, test } from 'vitest';
import type { Operation } from '../../linearizability/history.ts';
import { countAppends } from './append-count.ts';
import { piece, piecesOf, withoutPadding } from './pieces.ts';

const append = (value: string, acknowledged = true): Operation => ({
  clientId: 'c',
  key: 'k',
  input: { type: 'append', value },
  call: 0,
  return: acknowledged ? 1 : null,
  output: acknowledged ? { type: 'written' } : null,
});
const [one, two, three] = ['<c.1>', '<c.2>', '<c.3>'] as const;
const count = (operations: Operation[], value: string | null) => countAppends(operations, new Map([['k', value]]));
const messages = (operations: Operation[], value: string | null) =>
  count(operations, value).violations.map(({ message }) => message);

describe('appends are counted', () => {
  test('acknowledged ones once each; unknown ones may be there, at any place, or not', () => {
    const operations = [append(one), append(two, false), append(three)];
    expect(count(operations, `${one}${three}`)).toMatchObject({ acknowledged: 2, unknownDone: 0, violations: [] });
    expect(count(operations, `${one}${three}${two}`)).toMatchObject({ unknown: 1, unknownDone: 1, violations: [] });
  });

  test('a key that nobody has written may be missing', () => {
    expect(messages([], null)).toEqual([]);
    expect(messages([append(one, false)], null)).toEqual([]);
  });

  test('an acknowledged one is lost', () => {
    expect(messages([append(one), append(two)], two)).toEqual([`k: ${one} was acknowledged and is lost`]);
    expect(messages([append(one)], null)).toEqual([`k: ${one} was acknowledged and is lost`]);
  });

  test('one is done twice, whether acknowledged or not', () => {
    expect(messages([append(one), append(two)], `${one}${two}${one}`)).toContain(`k: ${one} was done 2 times`);
    expect(messages([append(one, false)], `${one}${one}`)).toEqual([`k: ${one} was done 2 times`]);
  });

  test('acknowledged ones are out of their order', () => {
    expect(messages([append(one), append(two)], `${two}${one}`)).toEqual([`k: ${one} comes after c's number 2`]);
  });

  test('one that was refused, or never sent, is there', () => {
    expect(messages([append(one)], `${one}${three}`)).toEqual([
      `k: ${three} is there, and nobody may have appended it`,
    ]);
  });

  test('the value is made of something else', () => {
    expect(messages([append(one)], `${one}?`)[0]).toMatch(/not made of appends/);
  });
});

describe('pieces', () => {
  test('lose their padding, and appends of them too', () => {
    const [small, large] = [piece('c', 1), piece('c', 2, 1000)];
    expect(large.sent.length).toBe(large.text.length + 1000);
    expect(withoutPadding(small.sent + large.sent + small.sent)).toBe(small.text + large.text + small.text);
    expect(piecesOf(small.text + large.text)).toEqual([small.text, large.text]);
  });

  test('that are damaged anywhere become a value that nobody wrote', () => {
    const { sent } = piece('c', 1, 100);
    for (const damaged of [sent.slice(0, -1), `${sent}.`, sent.replace('....', '..x.'), `x${sent}`, `${sent}<c.2`]) {
      expect(withoutPadding(damaged)).toMatch(/^damaged at/);
      expect(piecesOf(withoutPadding(damaged))).toBeNull();
    }
  });
});
