/** What a step begins with: nothing to do. */
import type { Effects } from './types.ts';

export function noEffects(): Effects {
  return {
    hardState: null,
    reset: null,
    truncateFrom: null,
    append: [],
    compact: null,
    reply: null,
    requests: [],
    committed: null,
    reads: [],
    proposal: null,
    beginCut: false,
    endCut: false,
    stage: null,
    quiesce: null,
    deadlineMs: null,
  };
}
