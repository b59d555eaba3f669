/**
 * The only place that knows how many are enough. Joint consensus will add a second set of voters here and nowhere else.
 */
import type { Configuration, PeerId } from './types.ts';

function majority(configuration: Configuration): number {
  return Math.floor(configuration.voters.length / 2) + 1;
}

/** Whether those for whom `holds` is true form a quorum. */
export function isQuorum(configuration: Configuration, holds: (id: PeerId) => boolean): boolean {
  let count = 0;
  for (const voter of configuration.voters) if (holds(voter.id)) count += 1;
  return count >= majority(configuration);
}

/**
 * The largest value that a quorum has reached: matchIndex to the commit index (section 5.3), rounds to the confirmed
 * round, times of contact to the time when a quorum last answered.
 */
export function quorumValue(configuration: Configuration, reachedBy: (id: PeerId) => number): number {
  const values = configuration.voters.map((voter) => reachedBy(voter.id)).sort((a, b) => b - a);
  return values[majority(configuration) - 1] as number;
}
