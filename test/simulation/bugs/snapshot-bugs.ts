/** Snapshots and compaction: section 7. */
import type { Bug, Edit } from './bug.ts';

/** The receiver recomputes the state's sums, and refuses a wrong snapshot. Without that, what was sent wrongly is installed. */
const UNCHECKED: Edit = {
  file: 'kv/install.ts',
  search: '  return same && isWithin(meta, progress) ? meta : null;',
  replacement: '  return same === isWithin(meta, progress) ? meta : meta;',
};

export const SNAPSHOT_BUGS: readonly Bug[] = [
  {
    name: 'a snapshot forgets the sessions',
    edits: [UNCHECKED, { file: 'kv/snapshot.ts', search: 'if (present === 1) {', replacement: 'if (present === 2) {' }],
    caughtBy: [/state machine safety/],
    seeds: 40,
  },
  {
    name: 'a snapshot’s sessions are newer than its keys',
    edits: [
      UNCHECKED,
      {
        file: 'kv/key-value-store.ts',
        search: 'this.#cut?.keepSession(pool, id)',
        replacement: 'void [pool, id]',
      },
    ],
    caughtBy: [/state machine safety/],
    seeds: 60,
  },
  {
    name: 'chunks of two cuts are mixed',
    edits: [
      UNCHECKED,
      {
        file: 'peer/installation.ts',
        search: 'if (staging === null || staging.cutId !== cutId) {',
        replacement: 'if (staging === null) {',
      },
    ],
    caughtBy: [/state machine safety/],
    from: 20,
    seeds: 30,
  },
  {
    name: 'a snapshot that is older than the commit index is installed',
    edits: [
      {
        file: 'raft/snapshot.ts',
        search: "if (lastIncludedIndex <= raft.commitIndex) return reply(raft, message, 'installed', 0, null);\n",
        replacement: '',
      },
      {
        file: 'raft/snapshot.ts',
        search: "invariant(lastIncludedIndex > raft.commitIndex, 'an older snapshot never replaces newer state');\n",
        replacement: '',
      },
    ],
    caughtBy: [/commitIndex never decreases/, /monotonic/, /state machine safety/, /already exists/],
    from: 192,
    seeds: 30,
  },
  {
    name: 'a log that is long enough counts as the snapshot, whatever its terms',
    edits: [
      {
        file: 'raft/snapshot.ts',
        search: 'if (raft.log.term(lastIncludedIndex) === lastIncludedTerm) {',
        replacement: 'if (raft.log.lastIndex >= lastIncludedIndex && lastIncludedTerm > 0) {',
      },
    ],
    caughtBy: [/the log begins behind/, /committed immutable/, /state machine safety/, /committed entries/],
    from: 390,
    seeds: 30,
  },
  {
    name: 'the log’s old rows survive a snapshot’s installation',
    edits: [
      {
        file: 'peer/stored-log.ts',
        search: 'this.truncateFrom(lastIncludedIndex + 1);',
        replacement: 'for (const index of [...this.#cache.keys()]) this.#forget(index);',
      },
    ],
    caughtBy: [/the log's rows are the core's log/],
    from: 1097,
    seeds: 30,
  },
  {
    name: 'a snapshot’s tables and its log are two commits',
    edits: [
      {
        file: 'peer/peer.ts',
        search: '      this.step(stageChunk(message, this.storage, this.stateMachine));',
        replacement:
          "      const staged = stageChunk(message, this.storage, this.stateMachine);\n      if (staged.outcome !== 'installed') this.step(staged);\n      else this.platform.sync().then(() => this.#continue(() => this.step(staged)));",
      },
    ],
    caughtBy: [/state machine safety/],
    from: 24,
    seeds: 30,
  },
  {
    name: 'the configuration is lost with what is compacted',
    edits: [
      {
        file: 'peer/storage.ts',
        search: 'configuration: configuration instanceof Uint8Array ? (decode(configuration) as Configuration) : null,',
        replacement: 'configuration: configuration === undefined ? (decode(configuration) as Configuration) : null,',
      },
    ],
    caughtBy: [/configuration/],
    seeds: 40,
  },
  {
    name: 'lastIncludedTerm is lost on restart',
    edits: [
      {
        file: 'peer/storage.ts',
        search: 'lastIncludedTerm: lastIncludedTerm as number,',
        replacement: 'lastIncludedTerm: (lastIncludedTerm as number) * 0,',
      },
    ],
    caughtBy: [/the log begins behind/, /committed entries are in every later leader/, /committed immutable/],
    seeds: 100,
  },
  {
    name: 'the row of an old version is taken before it is compacted',
    edits: [
      {
        file: 'kv/recycling.ts',
        search: 'items: tail.itemsEver - supersessions,',
        replacement: 'items: tail.itemsEver,',
      },
      {
        file: 'kv/key-value-store.ts',
        search: 'this.#cut?.header.compactedRevision ?? this.#restoredMeta().compactedRevision',
        replacement: 'this.#restoredMeta().revision',
      },
    ],
    caughtBy: [/linearizab/, /state hash/, /state machine safety/, /not in the queue/, /liveness/],
    seeds: 60,
  },
  {
    name: 'history is deleted that an open cut still shows',
    edits: [
      UNCHECKED,
      {
        file: 'kv/key-value-store.ts',
        search: 'this.#cut?.header.compactedRevision ?? this.#restoredMeta().compactedRevision',
        replacement: 'this.#restoredMeta().compactedRevision',
      },
    ],
    caughtBy: [/state machine safety/, /liveness/],
    from: 42,
    seeds: 30,
  },
];
