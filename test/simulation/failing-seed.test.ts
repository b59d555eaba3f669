import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { KeyValueStore } from '../../src/kv/key-value-store.ts';
import { elementsIn, expectBadWindow, withClass } from '../linearizability/html-elements.ts';
import { NotLinearizable } from '../linearizability/not-linearizable.ts';
import { putBackStaleAnswers } from '../linearizability/stale-answers.ts';
import { replay } from './failing-seed.ts';
import { type SimulationFailure, simulate } from './simulation.ts';
import { drawPlan } from './swarm.ts';

/** Of its own, so that no soak's files are touched. */
const SUFFIX = '-of-a-test';
const plan = {
  peers: 3,
  faults: ['crash', 'partition', 'clockJump'],
  accidents: {},
  newerPeers: 0,
  tenant: false,
  chaosMs: 6000,
  store: drawPlan(1).store,
};
const run = (seed: number) => ({ seed, allFaults: false, plan });
const file = (seed: number, type: string) => join(import.meta.dirname, `../../.soak/seed-${seed}${SUFFIX}.${type}`);

const printed: string[] = [];
const listen = () => vi.spyOn(console, 'log').mockImplementation((text) => printed.push(String(text)));
afterEach(() => {
  vi.restoreAllMocks();
  for (const seed of [1, 2]) for (const type of ['html', 'trace']) rmSync(file(seed, type), { force: true });
  printed.length = 0;
});

describe('the replay of a seed whose clients saw what nothing explains', () => {
  async function replayed(seed: number) {
    putBackStaleAnswers();
    const failure = (await simulate(run(seed)).catch((error: unknown) => error)) as SimulationFailure;
    expect(failure.cause).toBeInstanceOf(NotLinearizable);
    vi.restoreAllMocks();
    putBackStaleAnswers();
    listen();
    expect(await replay(run(seed), SUFFIX)).toBeNull();
    const elements = elementsIn(readFileSync(file(seed, 'html'), 'utf8'));
    return { cause: failure.cause as NotLinearizable, elements, trace: readFileSync(file(seed, 'trace'), 'utf8') };
  }

  test('writes a timeline with every operation, the bad window marked, and tells where it is', async () => {
    const { cause, elements } = await replayed(1);
    expectBadWindow(elements, cause);
    expect(elements.find(({ tag }) => tag === 'pre')?.text).toBe(cause.violation.message.trim());
    expect(printed.at(-1)).toMatch(/^timeline: .*\.soak\/seed-1-of-a-test\.html$/);
  });

  test('shows as faults what the nemesis did, when it did it', async () => {
    const { elements, trace } = await replayed(2);
    const faults = withClass(elements, 'fault').map(({ title }) => title);
    const events = trace.split('\n').flatMap((line) => {
      const [, atMs, who, what] = /^ *(\d+\.\d\d) {2}(\S+).* (crash|partition)\b/.exec(line) ?? [];
      return what === undefined ? [] : [{ atMs: Number(atMs), who: who!.replace(/#\d+$/, ''), what }];
    });
    const lastsAt = (what: string, target: string, atMs: number) =>
      faults.some((title) => {
        const [, from, to] = /: ([\d.]+) – ([\d.]+|the end)/.exec(title) ?? [];
        // A trace has two decimals.
        const isOn = Number(from) < atMs + 0.01 && (to === 'the end' || Number(to) > atMs - 0.01);
        return isOn && title.startsWith(`${what} `) && title.includes(target);
      });
    const crashes = events.filter(({ what }) => what === 'crash');
    const partitions = events.filter(({ what }) => what === 'partition');
    expect(Math.min(crashes.length, partitions.length)).toBeGreaterThan(0);
    for (const { who, atMs } of crashes) expect(lastsAt('crash', who, atMs), `crash of ${who} at ${atMs}`).toBe(true);
    for (const { atMs } of partitions) expect(lastsAt('cut', ' | ', atMs), `partition at ${atMs}`).toBe(true);
    expect(withClass(elements, 'band')).toHaveLength(faults.length);
  });
});

test('a seed that fails in another way has a trace, and no timeline', async () => {
  vi.spyOn(KeyValueStore.prototype, 'query').mockImplementation(() => {
    throw new Error('this store answers nobody');
  });
  listen();
  expect(await replay(run(1), SUFFIX)).toBeNull();
  expect(readFileSync(file(1, 'trace'), 'utf8')).toContain('this store answers nobody');
  expect(existsSync(file(1, 'html'))).toBe(false);
});

test('a seed that passes leaves nothing', async () => {
  expect(await replay(run(1), SUFFIX)).toMatchObject({ seed: 1, peers: 3 });
  expect([existsSync(file(1, 'trace')), existsSync(file(1, 'html'))]).toEqual([false, false]);
});
