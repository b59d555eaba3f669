/** What must hold when a peer falls asleep, and when it wakes (src/raft/quiescence.ts). For one group. */
import type { Raft } from '../../src/raft/raft.ts';
import type { PeerId } from '../../src/raft/types.ts';
import type { Assert } from './election-record.ts';
import type { Instance } from './world.ts';

/** An instance as it was after the last event in which it did something. */
interface Seen {
  readonly term: number;
  /** The newest round that it knew of in that term. */
  readonly round: number;
  readonly record: { readonly term: number; readonly round: number; readonly leaderId: PeerId } | null;
}

export class SleepRules {
  readonly #assert: Assert;
  readonly #seen = new WeakMap<Instance, Seen>();
  /** Who has slept, by term and round. */
  readonly #sleepers = new Map<string, Set<PeerId>>();
  /** How often a leader fell asleep, its group with it. */
  sleeps = 0;

  constructor(assert: Assert) {
    this.#assert = assert;
  }

  check(instance: Instance, raft: Raft): void {
    const { restoredFrom } = instance;
    const before = this.#seen.get(instance) ?? { term: restoredFrom?.term ?? 0, round: 0, record: restoredFrom };
    const { currentTerm: term, quiesceRound: round, asleep } = raft;
    this.#assert(term > before.term || round >= before.round, instance, 'rounds of a term grow');
    const fellAsleep = asleep !== null && (before.record?.term !== asleep.term || before.record.round !== asleep.round);
    if (fellAsleep) this.#checkFallingAsleep(instance, raft);
    if (asleep !== null) {
      const keepsOffice = raft.role === (asleep.leaderId === raft.id ? 'leader' : 'follower');
      const knows = raft.leaderId === asleep.leaderId && term === asleep.term;
      this.#assert(keepsOffice && knows, instance, 'who sleeps does not campaign, and knows its leader');
    }
    if (asleep === null && before.record !== null) this.#checkWaking(instance, raft, before.record);
    this.#seen.set(instance, { term, round, record: asleep });
  }

  #checkFallingAsleep(instance: Instance, raft: Raft): void {
    const { currentTerm, quiesceRound, log, commitIndex, lastApplied, stopped } = raft;
    this.#assert(commitIndex === log.lastIndex, instance, 'who sleeps has nothing that is not committed');
    this.#assert(stopped || lastApplied === log.lastIndex, instance, 'who sleeps has nothing that is not applied');
    const key = `${currentTerm}/${quiesceRound}`;
    const sleepers = this.#sleepers.get(key) ?? new Set();
    this.#sleepers.set(key, sleepers.add(raft.id));
    if (raft.role !== 'leader') return;
    this.sleeps += 1;
    this.#assert(raft.reads.size === 0, instance, 'who sleeps owes nobody an answer');
    for (const { id, silent, lastContactMs } of raft.progress.values()) {
      const isDead = silent && raft.nowMs - lastContactMs >= raft.options.electionTimeoutMs;
      this.#assert(isDead || sleepers.has(id), instance, `a leader sleeps after its live followers: ${id} has not`);
    }
  }

  /** By what is newer than the sleep, or by a client that finds no leader, or because the leader is one no more. */
  #checkWaking(instance: Instance, raft: Raft, record: NonNullable<Seen['record']>): void {
    if (raft.currentTerm !== record.term || raft.leaderId !== record.leaderId) return;
    this.#assert(raft.quiesceRound > record.round, instance, 'nothing of an older round wakes');
  }
}
