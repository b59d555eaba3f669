/** Log replication: section 5.3, and what a leader believes of its followers. */
import type { Bug } from './bug.ts';

export const REPLICATION_BUGS: readonly Bug[] = [
  {
    name: 'AppendEntries of an older term are accepted',
    edits: [
      {
        file: 'raft/replication.ts',
        search: 'if (message.term < raft.currentTerm) return replyFailure(raft, message, 0, 0);',
        replacement:
          "if (message.term < raft.currentTerm && raft.role === 'leader') return replyFailure(raft, message, 0, 0);",
      },
      {
        file: 'raft/replication.ts',
        search: "invariant(raft.leaderId === null || raft.leaderId === leaderId, 'one leader a term (5.2)');\n",
        replacement: '',
      },
    ],
    caughtBy: [/of the present term is never truncated/, /committed/, /terms never decrease/, /older round wakes/],
    from: 145,
    seeds: 30,
  },
  {
    name: 'a late AppendEntries truncates what it does not hold',
    edits: [
      {
        file: 'raft/replication.ts',
        search: '    raft.log.append(entry);\n    raft.effects.append.push(entry);\n  }\n',
        replacement:
          '    raft.log.append(entry);\n    raft.effects.append.push(entry);\n  }\n' +
          '  if (message.entries.length > 0 && message.lastIndex < raft.log.lastIndex && message.lastIndex >= raft.commitIndex) {\n' +
          '    raft.log.truncateFrom(message.lastIndex + 1);\n    raft.effects.truncateFrom ??= message.lastIndex + 1;\n  }\n',
      },
    ],
    caughtBy: [/of the present term is never truncated/],
    from: 22,
    seeds: 30,
    seenIn: 'ktoso/akka-raft#66, hashicorp/raft#113',
  },
  {
    name: 'entries that are there already are written again',
    edits: [
      {
        file: 'raft/replication.ts',
        search: 'if (term === entry.term) continue;',
        replacement: 'if (term === entry.term && entry.index <= raft.commitIndex) continue;',
      },
    ],
    caughtBy: [/of the present term is never truncated/, /committed on a quorum/],
    seeds: 100,
    seenIn: 'hashicorp/raft#113',
  },
  {
    name: 'a late rejection moves nextIndex back behind matchIndex',
    edits: [
      {
        file: 'raft/replication.ts',
        search: "if (progress.state === 'snapshot' || prevLogIndex <= progress.matchIndex) return;",
        replacement: "if (progress.state === 'snapshot') return;",
      },
      {
        file: 'raft/replication.ts',
        search: "if (progress.state === 'probe' && prevLogIndex !== probeIndex(raft, progress)) return;",
        replacement: '',
      },
      {
        file: 'raft/progress.ts',
        search: 'this.nextIndex = Math.max(nextIndex, this.matchIndex + 1);',
        replacement: 'this.nextIndex = nextIndex;',
      },
    ],
    caughtBy: [/nextIndex is beyond matchIndex/],
    from: 22,
    seeds: 30,
    seenIn: 'microsoft/CCF#5991',
  },
  {
    name: 'a follower acknowledges its whole log',
    edits: [
      {
        file: 'raft/replication.ts',
        search: 'leaderCommit, message.lastIndex));\n  replySuccess(raft, message, message.lastIndex);',
        replacement: 'leaderCommit, message.lastIndex));\n  replySuccess(raft, message, raft.log.lastIndex);',
      },
      {
        file: 'raft/replication.ts',
        search: "invariant(message.matchIndex <= raft.log.lastIndex, 'a follower matches only what was sent');",
        replacement: '',
      },
    ],
    caughtBy: [/matchIndex is what the follower has/, /committed/, /the peers do not reach the same state/],
    seeds: 100,
    seenIn: 'apache/ratis#1519',
  },
  {
    name: 'matchIndex is taken from the leader’s last index',
    edits: [
      {
        file: 'raft/replication.ts',
        search: 'progress.matchIndex = Math.max(progress.matchIndex, message.matchIndex);',
        replacement: 'progress.matchIndex = Math.max(progress.matchIndex, progress.nextIndex - 1, message.matchIndex);',
      },
    ],
    caughtBy: [/matchIndex is what the follower has/, /committed/],
    seeds: 20,
    seenIn: 'adjoint-io/raft#86',
  },
  {
    name: 'the check of prevLogTerm is left out',
    edits: [
      {
        file: 'raft/replication.ts',
        search: 'raft.log.term(message.prevLogIndex) !== message.prevLogTerm',
        replacement: 'raft.log.term(message.prevLogIndex) === undefined',
      },
    ],
    caughtBy: [/matchIndex is what the follower has/, /committed/],
    seeds: 100,
  },
];
