import type { LabTest } from './lab.ts';

export const RSM_TESTS: readonly LabTest[] = [];
