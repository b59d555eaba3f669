/** Elections: sections 5.2 and 5.4.1, pre-vote, check-quorum. */
import type { Bug } from './bug.ts';

export const ELECTION_BUGS: readonly Bug[] = [
  {
    name: 'a vote is counted twice',
    edits: [
      {
        file: 'raft/raft.ts',
        search: 'see handleDurable.\n    this.votes.clear();',
        replacement: 'see handleDurable.\n    this.votes = new Map([[0, true]]);',
      },
      {
        file: 'raft/election.ts',
        search: 'if (!isQuorum(raft.electorate, (id) => raft.votes.get(id) === true)) return;',
        replacement:
          'if ([...raft.votes.values()].filter(Boolean).length * 2 <= raft.electorate.voters.length) return;',
      },
    ],
    caughtBy: [/election safety/, /elected by a quorum/, /own vote/],
    seeds: 40,
  },
  {
    name: 'stepping down within a term forgets the vote',
    edits: [
      {
        file: 'raft/raft.ts',
        search: '    if (term > this.currentTerm) {\n      this.quiesceRound = 0;',
        replacement: '    if (term >= this.currentTerm) {\n      this.quiesceRound = 0;',
      },
    ],
    caughtBy: [/one vote a term/],
    seeds: 20,
    seenIn: 'microsoft/CCF#8094',
  },
  {
    name: 'a vote is granted twice in a term',
    edits: [
      {
        file: 'raft/election.ts',
        search: 'const free = raft.asleep === null && (raft.votedFor === null || raft.votedFor === message.from);',
        replacement: "const free = raft.votedFor === null || raft.role === 'follower';",
      },
    ],
    caughtBy: [/one vote a term/, /election safety/],
    seeds: 200,
  },
  {
    name: 'votedFor is lost on restart',
    edits: [
      {
        file: 'peer/storage.ts',
        search: 'votedFor: votedFor as SqlValue as PeerId | null };',
        replacement: 'votedFor: (votedFor === undefined ? votedFor : null) as SqlValue as PeerId | null };',
      },
    ],
    caughtBy: [/a stored vote changed/],
    seeds: 20,
  },
  {
    name: 'a new term without a vote is not stored',
    edits: [
      {
        file: 'peer/storage.ts',
        search: 'if (effects.hardState !== null) this.#setState',
        replacement: 'if (effects.hardState !== null && effects.hardState.votedFor !== null) this.#setState',
      },
    ],
    caughtBy: [/a stored term went back/, /no entry is newer than the term/, /liveness/],
    seeds: 40,
  },
  {
    name: 'a candidate counts its own vote before it is on disk',
    edits: [
      {
        file: 'raft/raft.ts',
        search: 'see handleDurable.\n    this.votes.clear();',
        replacement: 'see handleDurable.',
      },
      {
        file: 'raft/election.ts',
        search: '  else raft.becomeCandidate();\n',
        replacement: '  else {\n    raft.becomeCandidate();\n    maybeWin(raft);\n  }\n',
      },
    ],
    caughtBy: [/own vote/, /election safety/],
    seeds: 20,
  },
  {
    name: 'a pre-vote raises the term',
    edits: [
      {
        file: 'raft/election.ts',
        search: 'if (message.term <= raft.currentTerm) return reply(raft, message, false, null);',
        replacement:
          'if (message.term <= raft.currentTerm) return reply(raft, message, false, null);\n  raft.becomeFollower(message.term, null);',
      },
    ],
    caughtBy: [/a term begins with a candidate/],
    seeds: 20,
  },
  {
    name: 'a deposed leader goes on without a quorum (check-quorum off)',
    edits: [
      {
        file: 'raft/replication.ts',
        search: 'if (raft.nowMs - quorumContactMs(raft) >= raft.options.electionTimeoutMs) raft.becomeFollower',
        replacement:
          'if (raft.nowMs - quorumContactMs(raft) >= 1000 * raft.options.electionTimeoutMs) raft.becomeFollower',
      },
    ],
    caughtBy: [/a leader without a quorum/],
    seeds: 20,
  },
  {
    name: 'the election restriction looks at the length only',
    edits: [
      {
        file: 'raft/log.ts',
        search:
          'return lastLogTerm > this.lastTerm || (lastLogTerm === this.lastTerm && lastLogIndex >= this.lastIndex);',
        replacement: 'return lastLogIndex >= this.lastIndex && lastLogTerm >= 0;',
      },
    ],
    caughtBy: [/leader completeness/, /committed entries are in every later leader/, /committed immutable/],
    from: 199,
    seeds: 30,
  },
  {
    name: 'the election restriction is checked in the pre-vote only',
    edits: [
      {
        file: 'raft/election.ts',
        search:
          'message.term === raft.currentTerm && free && raft.log.isUpToDate(message.lastLogIndex, message.lastLogTerm);',
        replacement: 'message.term === raft.currentTerm && free;',
      },
    ],
    caughtBy: [/leader completeness/, /committed entries are in every later leader/, /committed immutable/],
    seeds: 60,
  },
];
