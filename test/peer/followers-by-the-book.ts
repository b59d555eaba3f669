/**
 * The other members of a group as one peer meets them: what each truly has and has truly said. They vote for whoever asks, append what
 * fits, take snapshots and sleep, and keep their word.
 */
import type { Loose } from '../attack/bend.ts';
import type { Call } from './lone-peer.ts';

/** What of a cut a follower has staged. */
interface Staged {
  readonly cutId: string;
  readonly chunk: number;
  readonly cursor: Uint8Array | null;
}

export class FollowersByTheBook {
  /** By id: up to where the log is the leader's. */
  readonly matched: Map<number, number>;
  /** By term: whose votes were given. */
  readonly grants = new Map<number, Set<number>>();
  /** Who sleeps, and in which round. */
  readonly sleeps = new Map<number, number>();
  readonly #staged = new Map<number, Staged>();

  constructor(ids: readonly number[]) {
    this.matched = new Map(ids.map((id) => [id, 0]));
  }

  /** Who answer as these would, and whose word does not bind these. */
  copy(): FollowersByTheBook {
    const copy = new FollowersByTheBook([]);
    for (const [id, index] of this.matched) copy.matched.set(id, index);
    for (const [id, round] of this.sleeps) copy.sleeps.set(id, round);
    for (const [id, staged] of this.#staged) copy.#staged.set(id, staged);
    return copy;
  }

  /** `busy`: it cannot sleep now. */
  answer({ to, body }: Call, busy: boolean): Loose {
    const [message] = body.messages as Loose[];
    const id = Number(to.at(-3));
    const base = { term: message.term, from: id, to: 1, seq: message.seq };
    const reply = { ...base, ...this.#reply(id, message, busy) };
    return { version: 1, groupId: body.groupId, replies: [reply] };
  }

  #reply(id: number, message: Loose, busy: boolean): Loose {
    switch (message.type) {
      case 'RequestVote':
        return this.#vote(id, message);
      case 'InstallSnapshot':
        return this.#install(id, message);
      default:
        return this.#append(id, message, busy);
    }
  }

  #vote(id: number, { term, preVote }: Loose): Loose {
    this.sleeps.delete(id);
    if (!preVote) this.grants.set(term, (this.grants.get(term) ?? new Set()).add(id));
    // To a pre-vote it answers in its own term.
    const own = preVote ? { term: term - 1 } : {};
    return { ...own, type: 'RequestVoteReply', preVote, voteGranted: true, retryAfterMs: null };
  }

  #append(id: number, message: Loose, busy: boolean): Loose {
    const matched = this.matched.get(id) ?? 0;
    const success = message.prevLogIndex <= matched;
    if (success) this.matched.set(id, Math.max(matched, message.lastIndex));
    const conflict = success ? 0 : matched;
    return {
      type: 'AppendEntriesReply',
      applyVersion: 1,
      success,
      matchIndex: success ? message.lastIndex : 0,
      quiesced: success && this.#sleeps(id, message, busy),
      conflictIndex: conflict,
      conflictTerm: conflict === 0 ? 0 : 1,
    };
  }

  /** A newer round wakes it; it sleeps when it is asked to and has no more, and no less, than the leader. */
  #sleeps(id: number, { quiesce, quiesceRound, lastIndex, leaderCommit }: Loose, busy: boolean): boolean {
    if (quiesceRound > (this.sleeps.get(id) ?? 0)) this.sleeps.delete(id);
    const equal = lastIndex === this.matched.get(id) && leaderCommit === lastIndex;
    if (quiesce && equal && !busy && !this.sleeps.has(id)) this.sleeps.set(id, quiesceRound);
    return quiesce && this.sleeps.get(id) === quiesceRound;
  }

  /** Chunk after chunk of one cut; another cut begins from zero, and the last page makes it the state. */
  #install(id: number, { cutId, chunk, lastIncludedIndex, page }: Loose): Loose {
    const said = (outcome: string, { chunk, cursor }: Omit<Staged, 'cutId'>): Loose => {
      return { type: 'InstallSnapshotReply', cutId, outcome, chunk, cursor };
    };
    const nothing = { cutId, chunk: 0, cursor: null };
    if (lastIncludedIndex <= (this.matched.get(id) ?? 0)) return said('installed', nothing);
    const staged = this.#staged.get(id)?.cutId === cutId ? (this.#staged.get(id) as Staged) : nothing;
    if (chunk !== staged.chunk) return said('staged', staged);
    if (page.next !== null) {
      const more = { cutId, chunk: chunk + 1, cursor: page.next };
      this.#staged.set(id, more);
      return said('staged', more);
    }
    this.#staged.delete(id);
    this.matched.set(id, lastIncludedIndex);
    return said('installed', nothing);
  }
}
