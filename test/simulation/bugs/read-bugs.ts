/** Linearizable reads (dissertation 6.4). */
import type { Bug } from './bug.ts';

export const READ_BUGS: readonly Bug[] = [
  {
    name: 'reads are answered before anything of the term is committed',
    edits: [
      {
        file: 'raft/raft.ts',
        search: 'readIndex: this.commitIndex >= this.termStartIndex ? this.commitIndex : null,',
        replacement: 'readIndex: this.commitIndex,',
      },
    ],
    caughtBy: [/a read misses what was committed/],
    from: 40,
    seeds: 40,
    seenIn: 'etcd-io/etcd#7331, tikv/tikv#9239',
  },
  {
    name: 'a read is confirmed by the answer to an older round',
    edits: [
      {
        file: 'raft/replication.ts',
        search: 'progress.ackedRound = Math.max(progress.ackedRound, call.round);',
        replacement: 'progress.ackedRound = raft.reads.round;',
      },
    ],
    caughtBy: [/a read misses what was committed/],
    from: 921,
    seeds: 30,
  },
  {
    name: 'reads without a round',
    edits: [
      {
        file: 'raft/raft.ts',
        search: 'ackedRound: (id: PeerId) => this.progressOf(id).ackedRound,',
        replacement: 'ackedRound: (_id: PeerId) => this.reads.round,',
      },
    ],
    caughtBy: [/a read misses what was committed/],
    from: 24,
    seeds: 30,
    seenIn: 'deventlab/d-engine#381',
  },
  {
    name: 'a lease: reads are confirmed by any answer of the last election timeout',
    edits: [
      {
        file: 'raft/raft.ts',
        search: 'ackedRound: (id: PeerId) => this.progressOf(id).ackedRound,',
        replacement:
          'ackedRound: (id: PeerId) => this.nowMs - this.progressOf(id).lastContactMs < this.options.electionTimeoutMs ? this.reads.round : 0,',
      },
    ],
    caughtBy: [/a read misses what was committed/],
    from: 24,
    seeds: 30,
    seenIn: 'sofastack/sofa-jraft#34, tikv/tikv#964',
  },
  {
    name: 'a read is answered before its index is applied',
    edits: [
      {
        file: 'raft/raft.ts',
        search: 'for (const read of this.reads.takeReady(this.lastApplied))',
        replacement: 'for (const read of this.reads.takeReady(this.commitIndex))',
      },
    ],
    caughtBy: [/a read misses what was committed/],
    from: 130,
    seeds: 30,
  },
  {
    name: 'followers answer linearizable reads',
    edits: [
      {
        file: 'peer/peer.ts',
        search: "if (request.consistency === 'stale') return this.#answer(waiting);",
        replacement:
          "if (request.consistency === 'stale' || this.raft.role === 'follower') return this.#answer(waiting);",
      },
    ],
    caughtBy: [/a read misses what was committed/],
    seeds: 20,
    seenIn: 'tikv/tikv#6340',
  },
];
