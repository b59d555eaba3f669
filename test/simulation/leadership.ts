/** Whether a group has a leader: one that a majority follows in its term, awake or asleep. */
import type { SimObject } from './world.ts';

/** What a peer holds for true, in memory or in the record of its sleep. */
interface Office {
  readonly term: number;
  readonly leaderId: number | null;
  /** It is the leader itself; asleep, it will lead again as soon as it wakes. */
  readonly leads: boolean;
}

/** `objects`: all of the group's, by slot from 1, which is the peers' ids too. */
export function hasLeader(objects: readonly SimObject[]): boolean {
  const offices = objects.map((object, i) => officeOf(object, i + 1));
  return offices.some((office) => {
    const followers = offices.filter((other) => other?.term === office?.term && other?.leaderId === office?.leaderId);
    return office?.leads === true && followers.length * 2 > objects.length;
  });
}

function officeOf({ instance, disk }: SimObject, id: number): Office | null {
  const raft = instance?.peer?.raft;
  if (raft) return { term: raft.currentTerm, leaderId: raft.leaderId, leads: raft.role === 'leader' };
  const record = disk.quiesceRecord();
  return record && { term: record.term, leaderId: record.leaderId, leads: record.leaderId === id };
}
