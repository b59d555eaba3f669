/**
 * The stories in scenarios/: each file says what its commands show, and that is what they must show. After a change
 * that is meant, `RAFT_SCENARIOS=write npx vitest run scenarios` writes them anew, for the diff to be read.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runScenario } from './scenario.ts';

const folder = join(import.meta.dirname, 'scenarios');
const names = readdirSync(folder).filter((name) => name.endsWith('.txt') && name !== 'README.txt');

describe('scenarios', () => {
  test.each(names)('%s', (name) => {
    const file = join(folder, name);
    const expected = readFileSync(file, 'utf8');
    const shown = runScenario(expected);
    if (process.env.RAFT_SCENARIOS === 'write') writeFileSync(file, shown);
    else expect(shown).toBe(expected);
  });

  test('there are some', () => {
    expect(names.length).toBeGreaterThan(5);
  });
});
