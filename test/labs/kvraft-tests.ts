import type { LabTest } from './lab.ts';

export const KVRAFT_TESTS: readonly LabTest[] = [];
