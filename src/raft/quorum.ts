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
  // The greatest first, by insertion: a few numbers, at every step of a leader, where a general sort takes a third of its time.
  const values: number[] = [];
  for (const { id } of configuration.voters) {
    const value = reachedBy(id);
    let place = values.length;
    for (; place > 0 && (values[place - 1] as number) < value; place -= 1) values[place] = values[place - 1] as number;
    values[place] = value;
  }
  return values[majority(configuration) - 1] as number;
}
