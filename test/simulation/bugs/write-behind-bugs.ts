/** What leaves before it is written here: the early fan-out of a leader's entries, and writes that are put off until the answers have left. */
import type { Bug } from './bug.ts';

export const WRITE_BEHIND_BUGS: readonly Bug[] = [
  {
    name: 'what is sent before it is written counts as the leader’s own copy at once',
    edits: [
      {
        file: 'peer/peer.ts',
        search: '    this.#outbox.send();\n    effects.requests = [];',
        replacement:
          '    this.#outbox.send();\n    effects.requests = [];\n    this.raft.durableIndex = this.raft.log.lastIndex;',
      },
    ],
    caughtBy: [/counts as its own copy/, /committed on a quorum's disks/],
    seeds: 30,
  },
  {
    name: 'an entry that ends a sleep is sent before the sleep’s record is gone',
    edits: [
      {
        file: 'peer/peer.ts',
        search: 'if (hardState !== null || quiesce !== null) this.#mayFanOutEarly = false;',
        replacement: 'if (hardState !== null) this.#mayFanOutEarly = false;',
      },
    ],
    caughtBy: [/sent a message while its sleep is on disk/],
    seeds: 60,
  },
  {
    name: 'the leader applies, and answers, what only it has on disk',
    edits: [
      {
        file: 'raft/raft.ts',
        search: 'const toIndex = this.log.batchEnd(fromIndex, this.commitIndex, applyBytes, Number.POSITIVE_INFINITY);',
        replacement:
          'const toIndex = this.log.batchEnd(fromIndex, Math.max(this.durableIndex, this.commitIndex), applyBytes, Number.POSITIVE_INFINITY);',
      },
      {
        file: 'raft/raft.ts',
        search: "    invariant(this.lastApplied <= this.commitIndex, 'only committed entries are applied (5.3)');\n",
        replacement: '',
      },
    ],
    caughtBy: [/only committed entries are applied/, /an entry that the core knows of is in the log/],
    seeds: 30,
  },
  {
    name: 'what was put off is forgotten when the next turn begins',
    edits: [
      {
        file: 'peer/write-behind.ts',
        search: '  beginTurn(): void {\n',
        replacement: '  beginTurn(): void {\n    this.#waiting = [];\n',
      },
    ],
    caughtBy: [/state machine safety/, /its tables do not make its state hash/, /linearizability/, /not in the queue/],
    seeds: 30,
  },
  {
    name: 'a turn whose first writes were made puts the rest off: two commits',
    edits: [
      {
        file: 'peer/write-behind.ts',
        search: '    this.#late = false;\n    const writes',
        replacement: '    const writes',
      },
    ],
    caughtBy: [/the log's rows are the core's log/, /state machine safety/, /its tables do not make its state hash/],
    seeds: 60,
  },
  {
    name: 'the applied index does not wait for the state that is put off',
    edits: [
      {
        file: 'peer/write-behind.ts',
        search: 'if (this.#gathering && isPlainWrite(statement) && this.#waiting.length < MAX_WAITING) {',
        replacement:
          "if (statement.startsWith('UPDATE peer_state ')) return this.#sql.exec(statement, ...parameters);\n    if (this.#gathering && isPlainWrite(statement) && this.#waiting.length < MAX_WAITING) {",
      },
    ],
    caughtBy: [/state machine safety/, /its tables do not make its state hash/, /told session_expired/],
    seeds: 60,
  },
  {
    name: 'who reads does not see what is put off',
    edits: [
      {
        file: 'peer/write-behind.ts',
        search: 'if (this.#waiting.length > 0) this.#write();',
        replacement: "if (this.#waiting.length > 0 && !statement.startsWith('SELECT')) this.#write();",
      },
    ],
    caughtBy: [/state machine safety/, /its tables do not make its state hash/, /linearizability/],
    seeds: 60,
  },
  {
    name: 'what is put off is overtaken by later writes',
    edits: [
      {
        file: 'peer/write-behind.ts',
        search: 'if (this.#waiting.length > 0) this.#write();',
        replacement: "if (this.#waiting.length > 0 && statement.startsWith('SELECT')) this.#write();",
      },
    ],
    caughtBy: [/state machine safety/, /its tables do not make its state hash/, /linearizability/],
    seeds: 60,
  },
];
