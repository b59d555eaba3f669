import { describe, expect, test } from 'vitest';
import type { Input, Operation, Output } from '../../linearizability/history.ts';
import type { StaleRead } from './run-record.ts';
import { findStaleViolations } from './stale-reads.ts';

/** Each write is sent at ten times its revision and answered five later. */
function wrote(revision: number, input: Input, key = 'k'): Operation {
  const output: Output =
    input.type === 'delete' ? { type: 'deleted', deleted: true, revision } : { type: 'written', revision };
  return { clientId: 'c', key, input, call: revision * 10, return: revision * 10 + 5, output };
}
const unknown = (call: number, input: Input): Operation => ({
  clientId: 'c',
  key: 'k',
  input,
  call,
  return: null,
  output: null,
});
const put = (n: number): Input => ({ type: 'put', value: `<c.${n}>` });
const append = (n: number): Input => ({ type: 'append', value: `<c.${n}>` });
const remove: Input = { type: 'delete' };

function read(storeRevision: number, value: string | null, modRevision: number | null, more: Partial<StaleRead> = {}) {
  return { clientId: 'c', peer: '1', key: 'k', value, modRevision, storeRevision, call: 900, return: 910, ...more };
}
const verdict = (operations: Operation[], ...reads: StaleRead[]): string =>
  findStaleViolations(operations, reads)
    .map(({ message }) => message)
    .join('\n');

const history = [wrote(1, put(1)), wrote(2, put(2)), wrote(3, put(9), 'other'), wrote(4, remove), wrote(5, put(5))];

describe('a stale read may show', () => {
  test.each([
    ['nothing, before the first write', read(0, null, null)],
    ['the first value', read(1, '<c.1>', 1)],
    ['the second value', read(2, '<c.2>', 2)],
    ['the second value, when another key was written last', read(3, '<c.2>', 2)],
    ['nothing, after the delete', read(4, null, null)],
    ['the last value', read(5, '<c.5>', 5)],
  ])('%s', (_, stale) => {
    expect(verdict(history, stale)).toBe('');
  });

  test('what a write of unknown outcome has done', () => {
    const open = [...history, unknown(60, append(6))];
    expect(verdict(open, read(6, '<c.5><c.6>', 6))).toBe('');
    expect(verdict([...history, unknown(60, remove)], read(6, null, null))).toBe('');
  });

  test('less than another peer has shown before', () => {
    const [newer, older] = [read(5, '<c.5>', 5, { call: 700, return: 710 }), read(1, '<c.1>', 1, { peer: '2' })];
    expect(verdict(history, newer, older)).toBe('');
  });
});

describe('a stale read may not show', () => {
  test.each([
    ['a revision that was written after it', read(5, '<c.5>', 5, { call: 20, return: 30 }), /from the future/],
    ['more revisions than writes', read(6, '<c.5>', 5), /from the future/],
    ['a value newer than its store', read(4, '<c.5>', 5), /newer than its store/],
    ['a value that was replaced before its revision', read(3, '<c.1>', 1), /misses/],
    ['nothing, where something was', read(2, null, null), /missing/],
    ['something, after the delete', read(4, '<c.2>', 2), /misses/],
    ['something, at the revision of the delete', read(4, '<c.2>', 4), /deleted/],
    ['a value that nobody wrote', read(2, '<c.7>', 2), /others saw/],
    ['the value of another key', read(3, '<c.9>', 3), /nobody has written/],
  ])('%s', (_, stale, message) => {
    expect(verdict(history, stale)).toMatch(message);
  });

  const appended = [wrote(1, append(1)), wrote(2, append(2))];
  test.each([
    ['an append twice', read(2, '<c.1><c.1><c.2>', 2), /twice/],
    ['a piece of nobody', read(2, '<c.1><c.3>', 2), /nobody had sent/],
    ['a damaged value', read(2, 'damaged at 3', 2), /damaged/],
  ])('%s', (_, stale, message) => {
    expect(verdict(appended, stale)).toMatch(message);
  });

  test('another value than was read at that revision', () => {
    const seen: Operation = {
      clientId: 'c',
      key: 'k',
      input: { type: 'get' },
      call: 50,
      return: 60,
      output: { type: 'value', value: '<c.1><c.2>', modRevision: 2 },
    };
    expect(verdict([...appended, seen], read(2, '<c.2>', 2))).toMatch(/others saw/);
  });

  test('less than the same peer has shown before', () => {
    const before = read(5, '<c.5>', 5, { call: 700, return: 710 });
    expect(verdict(history, before, read(2, '<c.2>', 2))).toMatch(/went back/);
    // At the same time is no order.
    expect(verdict(history, read(5, '<c.5>', 5, { call: 880, return: 905 }), read(2, '<c.2>', 2))).toBe('');
  });
});
