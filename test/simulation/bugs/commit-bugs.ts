/** What counts as committed: sections 5.3 and 5.4.2. */
import type { Bug } from './bug.ts';

export const COMMIT_BUGS: readonly Bug[] = [
  {
    name: 'an entry of an older term is committed by counting',
    edits: [
      {
        file: 'raft/replication.ts',
        search: 'if (index > raft.commitIndex && raft.log.term(index) === raft.currentTerm) raft.commitIndex = index;',
        replacement: 'if (index > raft.commitIndex) raft.commitIndex = index;',
      },
    ],
    caughtBy: [/committed by counting/],
    seeds: 20,
    seenIn: 'goraft/raft#27',
  },
  {
    name: 'the leader counts its own copy before it is on disk',
    edits: [
      {
        file: 'raft/replication.ts',
        search: 'id === raft.id ? raft.durableIndex : raft.progressOf(id).matchIndex,',
        replacement: 'id === raft.id ? raft.log.lastIndex : raft.progressOf(id).matchIndex,',
      },
    ],
    caughtBy: [/committed on a quorum's disks/],
    seeds: 20,
    seenIn: 'deventlab/d-engine#329',
  },
  {
    name: 'commitIndex follows the leader’s beyond what was verified',
    edits: [
      {
        file: 'raft/replication.ts',
        search: 'Math.min(message.leaderCommit, message.lastIndex));',
        replacement: 'Math.min(message.leaderCommit, raft.log.lastIndex));',
      },
    ],
    caughtBy: [/committed immutable/, /committed entries are in every later leader/],
    seeds: 300,
    seenIn: 'scylladb/scylladb#10578, etcd-io/raft#139',
  },
  {
    name: 'half of the group is a majority',
    edits: [
      {
        file: 'raft/quorum.ts',
        search: 'return Math.floor(configuration.voters.length / 2) + 1;',
        replacement: 'return Math.max(1, Math.floor(configuration.voters.length / 2));',
      },
    ],
    caughtBy: [/committed on a quorum's disks/, /elected by a quorum/, /election safety/],
    seeds: 20,
  },
];
