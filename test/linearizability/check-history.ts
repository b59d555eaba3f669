/** The checker for histories without listings. */
import type { CheckOptions, CheckResult } from './check-result.ts';
import { checkStoreHistory } from './check-store-history.ts';
import type { Operation } from './history.ts';

export type { CheckOptions, CheckResult } from './check-result.ts';
export { formatOperations } from './format.ts';

/** As `checkStoreHistory`, without listings. */
export function checkHistory(operations: readonly Operation[], options: CheckOptions = {}): CheckResult {
  return checkStoreHistory(operations, [], options);
}
