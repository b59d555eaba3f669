/** Every test of the labs, in the order of the table, and the tests of our own beside them (`beyond`). */
import { KEY_VALUE_BEYOND_TESTS } from './kv-beyond.ts';
import { KEY_VALUE_TESTS } from './kv-tests.ts';
import { KVRAFT_TESTS } from './kvraft-tests.ts';
import type { LabTest } from './lab.ts';
import { RAFT_AGREEMENT_TESTS } from './raft-agreement.ts';
import { RAFT_BEYOND_TESTS } from './raft-beyond.ts';
import { RAFT_ELECTION_TESTS } from './raft-election.ts';
import { RAFT_PERSISTENCE_TESTS } from './raft-persistence.ts';
import { RAFT_SNAPSHOT_TESTS } from './raft-snapshots.ts';
import { RSM_TESTS } from './rsm-tests.ts';

/** The course's 28 Raft tests: 3A, 3B, 3C, 3D. */
export const RAFT_TESTS: readonly LabTest[] = [
  ...RAFT_ELECTION_TESTS,
  ...RAFT_AGREEMENT_TESTS,
  ...RAFT_PERSISTENCE_TESTS,
  ...RAFT_SNAPSHOT_TESTS,
];

/** All of the course's. */
export const COURSE_TESTS: readonly LabTest[] = [...RAFT_TESTS, ...KEY_VALUE_TESTS, ...RSM_TESTS, ...KVRAFT_TESTS];

export const CATALOGUE: readonly LabTest[] = [...COURSE_TESTS, ...RAFT_BEYOND_TESTS, ...KEY_VALUE_BEYOND_TESTS];

/** The test of that name, or else all whose names contain it; null: all. */
export function selectTests(name: string | null): readonly LabTest[] {
  if (name === null) return CATALOGUE;
  const exact = CATALOGUE.filter((test) => test.name === name);
  const selected = exact.length > 0 ? exact : CATALOGUE.filter((test) => test.name.includes(name));
  if (selected.length === 0) throw new RangeError(`no lab test is called ${name}`);
  return selected;
}
