import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../clerk/simulated-platform.ts';
import { breakOneOutput } from './broken-history.ts';
import { isLinearizable } from './brute-force.ts';
import { checkHistory, formatOperations } from './check-history.ts';
import { type GeneratorOptions, generateHistory } from './generated-history.ts';
import type { Input, Operation, Output } from './history.ts';
import { concatenated, digestOf, sameValue } from './value-digest.ts';

const get = (output: Output | null = null) => ({ input: { type: 'get' } as const, output });
const value = (text: string, modRevision: number, more = {}): Output => ({
  type: 'value',
  value: text,
  modRevision,
  ...more,
});
const missing: Output = { type: 'missing' };
const put = (text: string, revision?: number, condition?: object) => ({
  input: { type: 'put', value: text, ...(condition ? { condition } : {}) } as Input,
  output: (revision === undefined ? null : { type: 'written', revision }) as Output | null,
});

/** `what` from `call` to `returned` (null: unknown). */
function at(
  call: number,
  returned: number | null,
  what: { input: Input; output: Output | null },
  key = 'k',
): Operation {
  return { clientId: 'c', key, call, return: returned, ...what, output: returned === null ? null : what.output };
}

const verdict = (...operations: Operation[]) => checkHistory(operations).type;

describe('a legal history', () => {
  it('may be empty', () => {
    expect(checkHistory([])).toEqual({ type: 'ok', keys: 0, steps: 0 });
  });

  it('reads what was written before', () => {
    expect(verdict(at(0, 1, get(missing)), at(2, 3, put('a', 1)), at(4, 5, get(value('a', 1))))).toBe('ok');
  });

  it('reads the old value or the new one while a write is on its way', () => {
    const before = at(0, 1, put('a', 1));
    const write = at(2, 9, put('b', 2));
    expect(verdict(before, write, at(3, 4, get(value('a', 1))), at(5, 6, get(value('b', 2))))).toBe('ok');
  });

  it('treats what happens at the same moment as concurrent', () => {
    expect(verdict(at(0, 5, put('a', 1)), at(5, 6, get(missing)))).toBe('ok');
  });

  it('may end with writes that nobody knows of', () => {
    const lost = at(0, null, put('a'));
    expect(verdict(lost, at(5, 6, get(missing)))).toBe('ok');
    expect(verdict(lost, at(5, 6, get(missing)), at(90, 91, get(value('a', 1))))).toBe('ok');
  });

  it('applies an open append once', () => {
    const lost = at(0, null, { input: { type: 'append', value: 'x' }, output: null });
    expect(verdict(lost, at(1, 2, get(value('x', 1))))).toBe('ok');
    expect(verdict(lost, at(1, 2, get(value('xx', 2))))).toBe('violation');
  });

  it('keeps conditions', () => {
    const first = at(0, 1, put('a', 4));
    const failed: Output = { type: 'precondition_failed', modRevision: 4 };
    const match = (revisions: number[]) => ({ type: 'match', revisions });
    expect(verdict(first, at(2, 3, put('b', 5, match([3, 4]))))).toBe('ok');
    expect(verdict(first, at(2, 3, put('b', 5, match([3]))))).toBe('violation');
    expect(verdict(first, at(2, 3, { ...put('b', 5, { type: 'absent' }), output: failed }))).toBe('ok');
    expect(verdict(first, at(2, 3, { ...put('b', 5, match([4])), output: failed }))).toBe('violation');
    expect(verdict(at(2, 3, { ...put('b', 5, { type: 'exists' }), output: { ...failed, modRevision: null } }))).toBe(
      'ok',
    );
  });
});

describe('an illegal history', () => {
  it('reads an old value after the write has returned', () => {
    expect(verdict(at(0, 1, put('a', 1)), at(2, 3, put('b', 2)), at(4, 5, get(value('a', 1))))).toBe('violation');
  });

  it('goes back from the new value to the old one', () => {
    const reads = [at(3, 4, get(value('b', 2))), at(5, 6, get(value('a', 1)))];
    expect(verdict(at(0, 1, put('a', 1)), at(2, 9, put('b', 2)), ...reads)).toBe('violation');
  });

  it('reads a value that nobody wrote', () => {
    expect(verdict(at(0, 1, put('a', 1)), at(2, 3, get(value('x', 1))))).toBe('violation');
  });

  it('reads a value before it was written', () => {
    expect(verdict(at(0, 1, get(value('a', 1))), at(2, null, put('a')))).toBe('violation');
  });

  it('loses a write that was confirmed', () => {
    const append = (text: string, revision: number, version: number) => ({
      input: { type: 'append', value: text } as const,
      output: { type: 'written', revision, version } as const,
    });
    expect(verdict(at(0, 1, append('a', 1, 1)), at(2, 3, append('b', 2, 1)))).toBe('violation');
    expect(verdict(at(0, 1, append('a', 1, 1)), at(2, 3, append('b', 2, 2)), at(4, 5, get(value('b', 2))))).toBe(
      'violation',
    );
  });

  it('shows the operation at which it became so, and what is around it', () => {
    const history = generateHistory(seededRandom(7), { ...LARGE, operations: 3000 });
    const last = Math.max(...history.map((operation) => operation.return ?? 0));
    const bad = at(last + 1, last + 2, get(value('never written', 999_999)), 'k3');
    const after = at(last + 3, last + 4, get(value('nor this', 999_999)), 'k3');
    const result = checkHistory([...history, after, bad], { revisions: false });
    if (result.type !== 'violation') return expect.fail(result.type);
    expect(result).toMatchObject({ kind: 'linearizability', key: 'k3', culprit: bad });
    expect(result.window).toContain(bad);
    expect(result.window.length).toBeLessThanOrEqual(64);
    expect(result.message).toMatch(/^> .*never written/m);
  });
});

describe('revisions across keys', () => {
  it('are given once', () => {
    const result = checkHistory([at(0, 5, put('a', 3), 'x'), at(1, 5, put('b', 3), 'y')]);
    expect(result).toMatchObject({ type: 'violation', kind: 'revisions' });
  });

  it('of a later write are higher', () => {
    expect(verdict(at(0, 1, put('a', 3), 'x'), at(2, 3, put('b', 2), 'y'))).toBe('violation');
    expect(verdict(at(0, 2, put('a', 3), 'x'), at(2, 3, put('b', 2), 'y'))).toBe('ok');
  });

  it('that a read tells are no lower than that of a write that had returned', () => {
    const write = at(0, 1, put('a', 3), 'x');
    const read = (storeRevision: number) => at(2, 3, get({ type: 'missing', storeRevision }), 'y');
    expect(verdict(write, read(2))).toBe('violation');
    expect(verdict(write, read(3))).toBe('ok');
  });

  it('never go back from one read to the next', () => {
    const read = (call: number, storeRevision: number) => at(call, call + 1, get({ type: 'missing', storeRevision }));
    expect(verdict(read(0, 8), read(5, 7))).toBe('violation');
  });

  it('are not looked at if that is wanted', () => {
    const operations = [at(0, 1, put('a', 3), 'x'), at(2, 3, put('b', 2), 'y')];
    expect(checkHistory(operations, { revisions: false }).type).toBe('ok');
  });
});

const SMALL: GeneratorOptions = {
  operations: 6,
  clients: 3,
  keys: 1,
  unknown: 0.25,
  distinctValues: 3,
  conditional: 0.3,
  omit: 'nothing',
  granularity: 4,
};

const LARGE: GeneratorOptions = {
  operations: 100_000,
  clients: 20,
  keys: 50,
  unknown: 0.02,
  distinctValues: Number.POSITIVE_INFINITY,
  conditional: 0.1,
  omit: 'nothing',
  granularity: 0,
};

const numRuns = Number(process.env.RUNS ?? 3000);

describe('against the definition', () => {
  const options = fc.record({
    seed: fc.integer(),
    operations: fc.integer({ min: 1, max: 6 }),
    unknown: fc.constantFrom(0, 0.25, 0.5),
    omit: fc.constantFrom('nothing', 'versions', 'all revisions'),
    breaks: fc.integer({ min: 0, max: 2 }),
  });

  it('small histories, legal or broken, get the same answer', () => {
    let illegal = 0;
    fc.assert(
      fc.property(options, ({ seed, breaks, ...chosen }) => {
        const random = seededRandom(seed);
        let history = generateHistory(random, { ...SMALL, ...chosen });
        if (breaks === 0) expect(isLinearizable(history)).toBe(true);
        for (let i = 0; i < breaks; i++) history = breakOneOutput(random, history) ?? history;
        const legal = isLinearizable(history);
        if (!legal) illegal += 1;
        const result = checkHistory(history, { revisions: false });
        expect(result.type, formatOperations(history)).toBe(legal ? 'ok' : 'violation');
        if (legal) expect(checkHistory(history).type, formatOperations(history)).toBe('ok');
      }),
      { numRuns },
    );
    expect(illegal).toBeGreaterThan(numRuns / 10);
  });

  it('the bad window names the return at which the prefix becomes illegal', () => {
    fc.assert(
      fc.property(options, ({ seed, breaks: _, ...chosen }) => {
        const random = seededRandom(seed);
        const history = breakOneOutput(random, generateHistory(random, { ...SMALL, ...chosen, granularity: 0 }));
        const result = history ? checkHistory(history, { revisions: false }) : null;
        if (!history || result?.type !== 'violation') return;
        const cut = (result.culprit as Operation).return!;
        const open = (operation: Operation): Operation => ({ ...operation, return: null, output: null });
        const upTo = (isIn: (returned: number) => boolean) =>
          history.filter(({ call }) => call <= cut).map((o) => (o.return !== null && isIn(o.return) ? o : open(o)));
        expect(isLinearizable(upTo((returned) => returned <= cut))).toBe(false);
        expect(isLinearizable(upTo((returned) => returned < cut))).toBe(true);
      }),
      { numRuns: numRuns / 3 },
    );
  });
});

describe('large histories', () => {
  it.each(['nothing', 'versions', 'all revisions'] as const)('100,000 legal operations, without %s', (omit) => {
    const history = generateHistory(seededRandom(42), { ...LARGE, omit, conditional: omit === 'nothing' ? 0.1 : 0 });
    const startMs = performance.now();
    const result = checkHistory(history);
    if (process.env.SHOW) console.log(omit, result, `${Math.round(performance.now() - startMs)} ms`);
    expect(result).toMatchObject({ type: 'ok', keys: 50 });
    expect(performance.now() - startMs).toBeLessThan(60_000);
  });

  it('a value that is not the one written is found, wherever it is', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = seededRandom(seed);
        const history = generateHistory(random, { ...LARGE, operations: 4000, keys: 2 });
        const reads = history.flatMap(({ output }, i) => (output?.type === 'value' ? [i] : []));
        const chosen = reads[Math.floor(random() * reads.length)]!;
        const wrong = { ...history[chosen]!, output: { ...history[chosen]!.output, value: 'wrong' } as Output };
        const result = checkHistory(history.with(chosen, wrong));
        expect(result).toMatchObject({ type: 'violation', culprit: wrong });
      }),
      { numRuns: 20 },
    );
  });

  it('one long history of a single key needs no deep stack', () => {
    const history = generateHistory(seededRandom(3), { ...LARGE, operations: 30_000, keys: 1, unknown: 0.005 });
    expect(checkHistory(history).type).toBe('ok');
  });
});

describe('the budget', () => {
  it('ends a search that takes too many steps, or too long', () => {
    const history = generateHistory(seededRandom(5), { ...LARGE, operations: 5000, keys: 1 });
    expect(checkHistory(history, { maxStepsPerKey: 100 })).toMatchObject({
      type: 'unknown',
      key: 'k0',
      reason: 'steps',
    });
    let nowMs = 0;
    const result = checkHistory(history, { timeoutMs: 1, now: () => nowMs++ });
    expect(result).toMatchObject({ type: 'unknown', reason: 'time' });
  });

  it('does not hide a violation of another key', () => {
    const history = generateHistory(seededRandom(5), { ...LARGE, operations: 5000, keys: 1 });
    const bad = at(0, 1, get(value('x', 1)), 'other');
    expect(checkHistory([...history, bad], { maxStepsPerKey: 100, revisions: false })).toMatchObject({
      type: 'violation',
    });
  });
});

describe('a malformed history', () => {
  it.each([
    ['returns before its call', { ...at(5, 4, get(missing)) }],
    ['has no output', { ...at(0, 1, get(null)) }],
    ['has an output of another operation', { ...at(0, 1, { ...get(), output: { type: 'deleted', deleted: true } }) }],
    ['fails without a condition', at(0, 1, { ...put('a', 1), output: { type: 'precondition_failed' } })],
    ['has no time', at(Number.NaN, 1, get(missing))],
  ])('that %s is refused', (_what, operation) => {
    expect(() => checkHistory([operation as Operation])).toThrow();
  });
});

describe('the digest of a value', () => {
  it('of a concatenation is that of its parts', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (left, right, other) => {
        expect(concatenated(digestOf(left), digestOf(right))).toEqual(digestOf(left + right));
        expect(sameValue(digestOf(left), digestOf(other))).toBe(left === other);
      }),
    );
  });
});
