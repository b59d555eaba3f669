import type { LabTest } from './lab.ts';

export const KEY_VALUE_TESTS: readonly LabTest[] = [];
