/** Groups and peers that sleep, for the tests of quiescence. */
import type { AppendEntriesReply } from '../../src/raft/messages.ts';
import { Cluster, type ClusterOptions } from './cluster.ts';
import { CoreHost, diskWith, type HostSettings } from './core-host.ts';
import { appendEntries } from './messages.ts';

export const QUIESCE_AFTER_MS = 2000;
/** The question and its answers come with the next heartbeat. */
export const ASLEEP_WITHIN_MS = QUIESCE_AFTER_MS + 200;

export interface SleepingGroupOptions extends ClusterOptions {
  readonly settings?: Partial<HostSettings>;
}

export function cluster({ settings, ...options }: SleepingGroupOptions = {}): Cluster {
  return new Cluster({ host: () => ({ quiesceAfterMs: QUIESCE_AFTER_MS, ...settings }), ...options });
}

export const sleeping = (group: Cluster): number[] =>
  [...group.hosts.values()].filter(({ raft }) => raft.asleep !== null).map(({ id }) => id);

/** Peer 1 leads term 2; entries 1 and 2, then a command; all sleep, in round 1. */
export function sleepingGroup(options: SleepingGroupOptions = {}): Cluster {
  const group = cluster(options);
  group.elect(1);
  group.commit('a');
  group.advance(ASLEEP_WITHIN_MS);
  if (sleeping(group).length !== group.hosts.size) throw new Error(`asleep are only ${sleeping(group).join(', ')}`);
  return group;
}

/** The round in which `sleeper` sleeps. */
export const ROUND = 5;

/** Peer 2 asks peer 1, which has entry 1 of term 1, to sleep. */
export const question = (message: Parameters<typeof appendEntries>[0] = {}) =>
  appendEntries({ leaderCommit: 1, quiesceRound: ROUND, quiesce: true, ...message });

export const ask = (host: CoreHost, message = question()) => host.receive(message) as AppendEntriesReply;

/** Peer 1 of 3, which follows 2 in term 2, and has applied entry 1. */
export function follower(terms: readonly number[] = [1]): CoreHost {
  const host = new CoreHost({ id: 1, quiesceAfterMs: QUIESCE_AFTER_MS }, diskWith(3, terms));
  host.receive(appendEntries({ leaderCommit: 1 }));
  return host;
}

export function sleeper(): CoreHost {
  const host = follower();
  if (!ask(host).quiesced) throw new Error('it does not sleep');
  return host;
}
