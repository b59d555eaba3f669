/**
 * One request's way to the leader.
 *
 *     somebody leads, it is said, and did not just fail us ──▶ ask it
 *     otherwise ──▶ probe the next peer: it is asked to stand, and its reply says whom it follows
 *
 * A peer that failed is not asked again on mere hearsay until others had the time to elect; a peer that says itself that
 * it leads is, at once.
 */
import type { Member, PeerId, PeerView } from '../peer/protocol.ts';
import type { GroupMemory } from './group-memory.ts';

/** Probes after which a peer that did not answer is asked again because others follow it still. */
const PROBES_AFTER_SILENCE = 3;
const PROBES_AFTER_REFUSAL = 1;

export type Step = { readonly type: 'ask' | 'probe'; readonly member: Member };

interface Blocked {
  readonly untilProbe: number;
  readonly term: number;
}

export class LeaderSearch {
  readonly #memory: GroupMemory;
  readonly #blocked = new Map<PeerId, Blocked>();
  #probed: PeerId | null = null;
  #probes = 0;

  constructor(memory: GroupMemory) {
    this.#memory = memory;
  }

  get probes(): number {
    return this.#probes;
  }

  /** Null: no members are known. */
  next(): Step | null {
    const leader = this.#memory.member(this.#memory.leader);
    if (leader !== null && !this.#isBlocked(leader.id)) return { type: 'ask', member: leader };
    const member = this.#nextToProbe();
    if (member === null) return null;
    this.#probed = member.id;
    this.#probes += 1;
    return { type: 'probe', member };
  }

  #nextToProbe(): Member | null {
    const { members, lastLeader } = this.#memory;
    const place = members.findIndex(({ id }) => id === (this.#probed ?? lastLeader));
    return members[(place + 1) % members.length] ?? null;
  }

  #isBlocked(id: PeerId): boolean {
    const blocked = this.#blocked.get(id);
    return blocked !== undefined && this.#probes < blocked.untilProbe && this.#memory.term <= blocked.term;
  }

  /** It did not answer. */
  silent(id: PeerId): void {
    this.#block(id, PROBES_AFTER_SILENCE);
  }

  /** It answered that it does not lead; or its call broke at once, and it may be there again. */
  refused(id: PeerId): void {
    this.#block(id, PROBES_AFTER_REFUSAL);
  }

  #block(id: PeerId, probes: number): void {
    this.#blocked.set(id, { untilProbe: this.#probes + probes, term: this.#memory.term });
  }

  /** A peer's own word, not hearsay. */
  heard(from: PeerId, view: PeerView): void {
    if (view.leader === from) this.#blocked.delete(from);
  }
}
