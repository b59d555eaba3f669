/** What is on disk when: the output gate, turns, instances that end. */
import type { Bug } from './bug.ts';

export const DISK_BUGS: readonly Bug[] = [
  {
    name: 'a throw is caught, and the instance goes on',
    edits: [
      {
        file: 'peer/peer.ts',
        search: '      this.#end(error);\n      throw error;',
        replacement: '      throw error;',
      },
    ],
    caughtBy: [
      /the log's rows are the core's log/,
      /liveness/,
      /storage: /,
      /state machine safety/,
      /is in the log/,
      /committed/,
    ],
    seeds: 100,
  },
  {
    name: 'durable is said before the flush',
    edits: [
      {
        file: 'peer/peer.ts',
        search: '    this.onceDurable(() => {\n      this.#flushing = false;',
        replacement:
          '    ((run: () => void) => void Promise.resolve().then(() => this.#continue(run)))(() => {\n      this.#flushing = false;',
      },
    ],
    caughtBy: [/committed on a quorum's disks/, /own vote/],
    seeds: 20,
  },
  {
    name: 'durable of an older term counts',
    edits: [
      { file: 'raft/replication.ts', search: 'if (term !== raft.currentTerm) return;', replacement: 'void term;' },
    ],
    caughtBy: [/counts as its own copy/, /own vote/, /what is durable was appended/, /committed on a quorum's disks/],
    from: 64,
    seeds: 30,
  },
  {
    name: 'refused writes are ignored (a superseded instance still sends)',
    edits: [
      {
        file: 'peer/stored-log.ts',
        search: 'this.#writeRow(entry, stored.data);',
        replacement: 'try { this.#writeRow(entry, stored.data); } catch {}',
      },
      {
        file: 'peer/stored-log.ts',
        search: "this.#sql.exec('DELETE FROM log WHERE idx >= ?', index);",
        replacement: "try { this.#sql.exec('DELETE FROM log WHERE idx >= ?', index); } catch {}",
      },
      {
        file: 'peer/peer.ts',
        search: '      this.storage.flushState();',
        replacement: '      try { this.storage.flushState(); } catch {}',
      },
    ],
    caughtBy: [
      /the log's rows are the core's log/,
      /committed on a quorum's disks/,
      /committed immutable/,
      /is in the log/,
    ],
    from: 9,
    seeds: 30,
    seenIn: 'canonical/raft#320',
  },
  {
    name: 'the applied index is written after the state',
    edits: [
      {
        file: 'peer/applying.ts',
        search: '    this.#peer.storage.setLastApplied(index);',
        replacement: '    this.#peer.onceDurable(() => this.#peer.storage.setLastApplied(index));',
      },
    ],
    caughtBy: [/state machine safety/, /its tables do not make its state hash/],
    seeds: 60,
  },
  {
    name: 'the state machine’s summary is one turn old',
    edits: [
      {
        file: 'peer/storage.ts',
        search: 'const summary = this.#stateMachine.summary();',
        replacement: 'const summary = (this as any).older ?? null; (this as any).older = this.#stateMachine.summary();',
      },
    ],
    caughtBy: [/state machine safety/, /its tables do not make its state hash/],
    seeds: 30,
  },
  {
    name: 'a row of the log is taken while its entry is still needed',
    edits: [
      {
        file: 'peer/stored-log.ts',
        search:
          "'SELECT idx, length(data) FROM log WHERE idx <= ? ORDER BY idx DESC LIMIT ?',\n      lastIncludedIndex,",
        replacement:
          "'SELECT idx, length(data) FROM log WHERE idx <= ? ORDER BY idx DESC LIMIT ?',\n      lastIncludedIndex + 1,",
      },
    ],
    caughtBy: [/the log's rows are the core's log/, /is in the log/, /committed/],
    seeds: 30,
  },
  {
    name: 'after a restart, compacted entries are in the log again',
    edits: [
      {
        file: 'peer/stored-log.ts',
        search: 'summaries.at(-1)?.index ?? lastIncludedIndex,',
        replacement: 'summaries.at(-1)?.index ?? lastIncludedIndex * 0,',
      },
    ],
    caughtBy: [/the log has no gaps/, /terms never decrease/],
    seeds: 30,
  },
  {
    name: 'an alarm is set for the present time',
    edits: [
      {
        file: 'peer/alarm.ts',
        search: 'this.#setForMs = Math.max(Math.ceil(this.#deadlineMs), Math.floor(this.#clock.now()) + 1);',
        replacement: 'this.#setForMs = Math.max(this.#deadlineMs, this.#clock.now());',
      },
    ],
    caughtBy: [/has an alarm/, /liveness/],
    seeds: 100,
  },
  {
    name: 'an alarm that fires early is set again for the same time',
    edits: [
      {
        file: 'peer/alarm.ts',
        search: 'if (this.#clock.wall(this.#setForMs) === this.#firedForMs) this.#setForMs += 1;',
        replacement: '',
      },
    ],
    caughtBy: [/has an alarm/, /liveness/],
    from: 20,
    seeds: 30,
  },
  {
    name: 'what is in the log is answered as if nothing was done',
    edits: [
      {
        file: 'peer/proposals.ts',
        search:
          "for (const { waiting } of this.#appended.values()) for (const { answer } of waiting) answer({ type: 'unknown' });",
        replacement:
          "for (const { waiting } of this.#appended.values()) for (const { answer } of waiting) answer({ type: 'not_leader' });",
      },
    ],
    caughtBy: [/nothing was done/],
    seeds: 20,
  },
];
