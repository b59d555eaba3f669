import { describe, expect, test } from 'vitest';
import type { Operation, Output } from '../linearizability/history.ts';
import { NotLinearizable } from '../linearizability/not-linearizable.ts';
import { checkHistories } from './histories.ts';

const lost = (value: string, call: number): Operation => ({
  clientId: value,
  key: 'k',
  input: { type: 'put', value },
  call,
  return: null,
  output: null,
});
const read = (call: number, output: Output): Operation => ({
  clientId: 'reader',
  key: 'k',
  input: { type: 'get' },
  call,
  return: call + 1,
  output,
});
const seen = (value: string, revision: number): Output => ({
  type: 'value',
  value,
  modRevision: revision,
  version: revision,
  storeRevision: revision,
});
const did = (outcomes: Record<string, number>) => (value: string) => {
  const revision = outcomes[value];
  return revision === undefined
    ? null
    : { type: 'written' as const, created: revision === 1, revision, version: revision };
};

describe('a history with too much to guess is held against what was done', () => {
  const history = [lost('a', 0), lost('b', 0), lost('c', 0), read(2, seen('b', 1)), read(4, seen('a', 2))];
  const NOTHING_TO_GUESS = 0;

  test('it is legal, in that order', () => {
    expect(() => checkHistories(history, [], did({ b: 1, a: 2 }), NOTHING_TO_GUESS)).not.toThrow();
  });

  test('it is illegal: somebody saw what was never done, or done later', () => {
    expect(() => checkHistories(history, [], did({ b: 1 }), NOTHING_TO_GUESS)).toThrow(NotLinearizable);
    expect(() => checkHistories(history, [], did({ a: 1, b: 2 }), NOTHING_TO_GUESS)).toThrow(NotLinearizable);
  });

  test('while it can be guessed, nobody is asked', () => {
    const nobody = () => {
      throw new Error('asked');
    };
    expect(() => checkHistories(history, [], nobody)).not.toThrow();
  });

  test('where nobody can be asked, the search is all there is', () => {
    expect(() => checkHistories(history, [])).not.toThrow();
  });
});
