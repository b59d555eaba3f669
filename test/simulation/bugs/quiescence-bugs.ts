/** Quiescence: a group that sleeps, and what its records promise (src/raft/quiescence.ts). */
import type { Bug } from './bug.ts';

export const QUIESCENCE_BUGS: readonly Bug[] = [
  {
    name: 'a peer wakes without deleting its record',
    edits: [{ file: 'raft/quiescence.ts', search: "  raft.effects.quiesce = { type: 'wake' };\n", replacement: '' }],
    caughtBy: [/a quiesce record exists exactly while it sleeps/],
    seeds: 20,
  },
  {
    name: 'the record is deleted only after what the wake sends',
    edits: [
      {
        file: 'peer/peer.ts',
        search: "storeQuiesceRecord(this.platform.sql, quiesce.type === 'sleep' ? quiesce.record : null, this.clock);",
        replacement:
          "if (quiesce.type === 'sleep') storeQuiesceRecord(this.platform.sql, quiesce.record, this.clock); else this.platform.setTimer(1, () => { if (this.raft?.asleep === null) storeQuiesceRecord(this.platform.sql, null, this.clock); });",
      },
    ],
    caughtBy: [/a quiesce record exists exactly while it sleeps/, /sent a message while its sleep is on disk/],
    seeds: 20,
  },
  {
    name: 'the record is kept when the term changes',
    edits: [
      {
        file: 'raft/raft.ts',
        search: '    maybeWake(this);\n    if (term > this.currentTerm) {',
        replacement: '    this.asleep = null;\n    if (term > this.currentTerm) {',
      },
    ],
    caughtBy: [/a quiesce record exists exactly while it sleeps/],
    from: 99,
    seeds: 30,
  },
  {
    name: 'who is restored asleep leads, whoever led',
    edits: [
      { file: 'raft/quiescence.ts', search: 'const leads = leaderId === raft.id;', replacement: 'const leads = true;' },
      { file: 'raft/quiescence.ts', search: "  invariant(valid, 'a quiesce", replacement: "  void (valid, 'a quiesce" },
    ],
    caughtBy: [/elected by a quorum/, /election safety/, /one leader a term/],
    from: 251,
    seeds: 30,
  },
  {
    name: 'a restored leader begins its rounds anew',
    edits: [{ file: 'raft/quiescence.ts', search: '  raft.quiesceRound = round;\n', replacement: '' }],
    caughtBy: [/nothing of an older round wakes/, /who sleeps changes nothing/],
    seeds: 60,
  },
  {
    name: 'a leader that wakes goes on in the round of its sleep',
    edits: [
      {
        file: 'raft/quiescence.ts',
        search: '  raft.quiesceRound += 1;\n  // As after an election',
        replacement: '  // As after an election',
      },
    ],
    caughtBy: [/nothing of an older round wakes/, /who sleeps changes nothing/],
    seeds: 20,
  },
  {
    name: 'a message of an older round wakes',
    edits: [
      {
        file: 'raft/quiescence.ts',
        search: 'return raft.asleep !== null && term === raft.asleep.term && quiesceRound <= raft.asleep.round;',
        replacement: 'return raft.asleep !== null && term === raft.asleep.term && quiesceRound < 0;',
      },
    ],
    caughtBy: [/nothing of an older round wakes/],
    seeds: 20,
  },
  {
    name: 'what the leader asked before it was elected wakes its followers',
    edits: [
      {
        file: 'raft/election.ts',
        search: 'const leaderIsBack = raft.leaderId === message.from && message.term > raft.currentTerm;',
        replacement: 'const leaderIsBack = raft.leaderId === message.from;',
      },
    ],
    caughtBy: [/nothing of an older round wakes/],
    from: 705,
    seeds: 30,
  },
  {
    name: 'a question of an older round puts to sleep',
    edits: [{ file: 'raft/quiescence.ts', search: 'message.quiesceRound < raft.quiesceRound || ', replacement: '' }],
    caughtBy: [/rounds of a term grow/],
    from: 24,
    seeds: 30,
  },
  {
    name: 'a follower sleeps with a tail that is not committed',
    edits: [
      {
        file: 'raft/quiescence.ts',
        search: 'const applied = raft.stopped || raft.lastApplied === lastIndex;',
        replacement: 'const applied = true;',
      },
      {
        file: 'raft/quiescence.ts',
        search: 'const equal = message.lastIndex === lastIndex && raft.commitIndex === lastIndex;',
        replacement: 'const equal = message.lastIndex <= lastIndex;',
      },
    ],
    caughtBy: [/who sleeps has nothing that is not/],
    seeds: 60,
  },
  {
    name: 'a follower sleeps before it has applied its log',
    edits: [
      {
        file: 'raft/quiescence.ts',
        search: 'const applied = raft.stopped || raft.lastApplied === lastIndex;',
        replacement: 'const applied = true;',
      },
    ],
    caughtBy: [/who sleeps has nothing that is not applied/],
    seeds: 60,
  },
  {
    name: 'the leader sleeps before all have agreed',
    edits: [
      {
        file: 'raft/quiescence.ts',
        search: '  return waiting.size === 0;',
        replacement: '  return waiting.size <= raft.progress.size / 2;',
      },
    ],
    caughtBy: [/a leader sleeps after its live followers/],
    seeds: 20,
  },
  {
    name: 'the leader asks nobody, and sleeps',
    edits: [
      {
        file: 'raft/quiescence.ts',
        search: 'if (!isDead(raft, progress) && !asleep.has(id) && !waiting.has(id)) waiting.set(id, null);',
        replacement: 'if (raft.nowMs < 0 && !asleep.has(id)) waiting.set(id, null);',
      },
    ],
    caughtBy: [/a leader sleeps after its live followers/],
    seeds: 20,
  },
  {
    name: 'who comes back while its group falls asleep is not asked',
    edits: [
      {
        file: 'raft/quiescence.ts',
        search: '!asleep.has(id) && !waiting.has(id)) waiting.set(id, null);',
        replacement: '!asleep.has(id) && !waiting.has(id) && !(waiting as any).asked) waiting.set(id, null);',
      },
      {
        file: 'raft/quiescence.ts',
        search: '  return waiting.size === 0;',
        replacement: '  (waiting as any).asked = true;\n  return waiting.size === 0;',
      },
    ],
    caughtBy: [/a leader sleeps after its live followers/],
    from: 2231,
    seeds: 30,
  },
  {
    name: 'the leader sleeps before all is committed and applied',
    edits: [
      {
        file: 'raft/quiescence.ts',
        search:
          '  if (commitIndex !== log.lastIndex || lastApplied !== log.lastIndex || durableIndex !== log.lastIndex) return false;\n',
        replacement: '  void (commitIndex + lastApplied + durableIndex);\n',
      },
    ],
    caughtBy: [/who sleeps has nothing that is not/],
    from: 305,
    seeds: 30,
  },
  {
    name: 'the leader sleeps though a live follower is behind',
    edits: [
      {
        file: 'raft/quiescence.ts',
        search:
          "if (progress.silent || progress.matchIndex !== log.lastIndex || progress.state !== 'replicate') return false;",
        replacement: 'if (progress.matchIndex > log.lastIndex) return false;',
      },
      {
        file: 'raft/quiescence.ts',
        search: 'if (!isDead(raft, progress) && !asleep.has(id) && !waiting.has(id)) waiting.set(id, null);',
        replacement:
          'if (progress.matchIndex === raft.log.lastIndex && !asleep.has(id) && !waiting.has(id)) waiting.set(id, null);',
      },
    ],
    caughtBy: [/a leader sleeps after its live followers/],
    seeds: 20,
  },
  {
    name: 'a sleeping peer campaigns when time has passed',
    edits: [
      {
        file: 'raft/raft.ts',
        search: '  #checkClock(): void {\n    if (this.asleep !== null) return;\n',
        replacement: '  #checkClock(): void {\n',
      },
    ],
    caughtBy: [/does not campaign/, /who sleeps changes nothing/],
    seeds: 60,
  },
  {
    name: 'the alarm is left when a peer falls asleep',
    edits: [{ file: 'peer/alarm.ts', search: '    this.#platform.deleteAlarm();\n', replacement: '' }],
    caughtBy: [/who sleeps has no alarm/],
    seeds: 20,
  },
  {
    name: 'a peer that wakes sets no alarm',
    edits: [
      {
        file: 'peer/alarm.ts',
        search: '    this.#maybeSet = false;\n    this.#setForMs = null;\n    this.#platform',
        replacement: '    this.#maybeSet = false;\n    this.#platform',
      },
    ],
    caughtBy: [/who waits for a time has an alarm/],
    seeds: 60,
  },
];
