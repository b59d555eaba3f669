/**
 * Elections as seen from outside: who stood, who voted for whom, whom a leader heard from. What a peer believes is checked
 * against this record, which no peer can write.
 */
import type { PeerId } from '../../src/raft/types.ts';
import type { Instance } from './world.ts';

export type Assert = (condition: boolean, instance: Instance, rule: string) => void;

/** The founder leads term 1 by its own vote alone: nobody else can. */
const FOUNDING_TERM = 1;

interface Contact {
  /** When each object last answered this instance, on the instance's own clock; being elected counts for all. */
  readonly heardMs: Map<string, number>;
  slept: boolean;
}

export class ElectionRecord {
  readonly #assert: Assert;
  /** Terms that somebody stood in. */
  readonly #stoodIn = new Set<number>();
  /** By term, then by object. */
  readonly #votes = new Map<number, Map<string, PeerId>>();
  readonly #contacts = new WeakMap<Instance, Contact>();

  constructor(assert: Assert) {
    this.#assert = assert;
  }

  /** Of an instance that is seen for the first time. */
  watch(instance: Instance): void {
    const contact: Contact = { heardMs: new Map(), slept: instance.restoredFrom !== null };
    this.#contacts.set(instance, contact);
  }

  /** A term begins with a candidate: nothing else raises it, a pre-vote least of all. Votes are noted on the way. */
  checkTerm(instance: Instance, termBefore: number): void {
    const { currentTerm, votedFor, id } = instance.peer.raft!;
    if (currentTerm > termBefore) {
      if (votedFor === id) this.#stoodIn.add(currentTerm);
      this.#assert(
        this.#stoodIn.has(currentTerm),
        instance,
        `a term begins with a candidate: nobody stood in ${currentTerm}`,
      );
    }
    if (votedFor === null || instance.superseded) return;
    let votes = this.#votes.get(currentTerm);
    if (votes === undefined) {
      votes = new Map();
      this.#votes.set(currentTerm, votes);
    }
    votes.set(instance.object.name, votedFor);
  }

  checkNewLeader(instance: Instance): void {
    const raft = instance.peer.raft!;
    const { disk } = instance.object;
    if (!instance.superseded)
      this.#assert(disk.voteTurn <= disk.durableTurn, instance, 'a leader’s own vote is on disk before it counts');
    const heardMs = this.#contacts.get(instance)?.heardMs;
    for (const name of this.#voters(instance)) heardMs?.set(name, raft.nowMs);
    if (raft.currentTerm === FOUNDING_TERM) return;
    const votes = this.#votes.get(raft.currentTerm);
    const voters = this.#voters(instance);
    const count = voters.filter((name) => votes?.get(name) === raft.id).length;
    this.#assert(count * 2 > voters.length, instance, `elected by a quorum: ${count} voted for it`);
  }

  /** After each event: whoever still leads has heard from a quorum within the election timeout. */
  checkContact(instance: Instance): void {
    const contact = this.#contacts.get(instance);
    const raft = instance.peer.raft!;
    if (contact === undefined) return;
    const { heardMs } = contact;
    for (const name of instance.answeredBy) heardMs.set(name, raft.nowMs);
    instance.answeredBy.clear();
    if (raft.role !== 'leader') return;
    // Who sleeps hears from nobody; when it wakes, a quorum has the election timeout to answer.
    if (raft.asleep !== null) contact.slept = true;
    else if (contact.slept) {
      contact.slept = false;
      for (const name of this.#voters(instance)) heardMs.set(name, raft.nowMs);
    }
    if (raft.asleep !== null) return;
    const sinceMs = raft.nowMs - raft.options.electionTimeoutMs;
    const voters = this.#voters(instance);
    let count = 0;
    for (const name of voters) if (name === instance.object.name || (heardMs.get(name) ?? 0) > sinceMs) count += 1;
    this.#assert(count * 2 > voters.length, instance, 'a leader without a quorum’s answers steps down');
  }

  /** The group was deleted. */
  reset(): void {
    this.#stoodIn.clear();
    this.#votes.clear();
  }

  #voters(instance: Instance): string[] {
    const { group, raft } = instance.peer;
    return (raft?.configuration?.voters ?? []).map(({ slot, incarnation }) => `${group}/${slot}.${incarnation}`);
  }
}
