/** The load generator of a run: wrk where it is installed, since it costs less. */
import { runAutocannon } from './autocannon.ts';
import type { Generator } from './cells.ts';
import { hasWrk, runWrk } from './wrk.ts';

export const GENERATORS = ['wrk', 'autocannon'] as const;

/** `name`: null: whichever is there. Says which it is. */
export function chooseGenerator(name: (typeof GENERATORS)[number] | null): Generator {
  const chosen = name ?? (hasWrk() ? 'wrk' : 'autocannon');
  console.log(`load by ${chosen}`);
  return chosen === 'wrk' ? runWrk : runAutocannon;
}
