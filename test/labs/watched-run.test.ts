import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { elementsIn, expectBadWindow, withClass } from '../linearizability/html-elements.ts';
import { NotLinearizable } from '../linearizability/not-linearizable.ts';
import { putBackStaleAnswers } from '../linearizability/stale-answers.ts';
import { selectTests } from './catalogue.ts';
import { LabFailure, type LabReport, type LabTest } from './lab.ts';
import { watchedRun } from './watched-run.ts';

/** Clerks on random keys, whose answers nobody but the checker judges; under its own name, so that no soak's file is touched. */
const [chosen] = selectTests('TestPersistPartitionUnreliableLinearizable4A');
const LAB: LabTest = { ...chosen!, name: 'Test of a test' };
const FILE = join(import.meta.dirname, '../../.soak/lab-Test-of-a-test-3.html');

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(FILE, { force: true });
});

test('a run whose clerks saw what nothing explains leaves a timeline: operations, the bad window, crashes and cuts', async () => {
  let thrown: unknown = null;
  const run: LabTest['run'] = (options) =>
    LAB.run(options).catch((error: unknown) => {
      thrown = error;
      throw error;
    });
  putBackStaleAnswers();
  const [log] = [vi.spyOn(console, 'log').mockReturnValue(), vi.spyOn(console, 'error').mockReturnValue()];
  expect(await watchedRun({ ...LAB, run }, { seed: 3 })).toBeNull();

  expect(thrown).toBeInstanceOf(NotLinearizable);
  expect(log.mock.lastCall?.[0]).toMatch(/^timeline: .*\.soak\/lab-Test-of-a-test-3\.html$/);
  const elements = elementsIn(readFileSync(FILE, 'utf8'));
  expectBadWindow(elements, thrown as NotLinearizable);
  const faults = withClass(elements, 'fault').map(({ title }) => title);
  for (const kind of [/^crash default\/1\.1, default/, /^down default\/1\.1, default/, /^cut .* \| /])
    expect(faults.filter((title) => kind.test(title))).not.toEqual([]);
});

test('a run that fails in another way leaves none; one that passes gives its report', async () => {
  const log = vi.spyOn(console, 'log').mockReturnValue();
  const error = vi.spyOn(console, 'error').mockReturnValue();
  const run = () => Promise.reject(new LabFailure('too slow'));
  expect(await watchedRun({ ...LAB, run }, { seed: 3 })).toBeNull();
  expect(error.mock.lastCall?.[0]).toContain('LabFailure: too slow');
  const report = { rpcs: 1 } as LabReport;
  expect(await watchedRun({ ...LAB, run: async () => report }, { seed: 3 })).toBe(report);
  expect([existsSync(FILE), log.mock.calls]).toEqual([false, []]);
});
