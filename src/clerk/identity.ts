/** Clerk-Seqs of one Clerk-Id: which may be issued, and which replies have been received (RIFL, section 3). */

/** The contract: no seq more than this above the lowest unresolved one. */
export const MAX_SEQ_LEAD = 255;

/** A seq on its way. */
interface Unresolved {
  /** When its call will have ended, if it is still alive. */
  readonly deadlineMs: number;
  /** Its call has ended without knowing the outcome: nobody repeats it any more. */
  abandoned: boolean;
}

export class Identity {
  /** Clerk-Id. */
  readonly id: string;
  /** Every seq up to this one has its reply: Clerk-Acked. */
  #acked = 0;
  #nextSeq = 1;
  /** Seqs above `acked` that have their reply. */
  readonly #received = new Set<number>();
  /** Seqs whose every try was refused with nothing done: not used up, and the first to be issued again, in any order. */
  readonly #unused: number[] = [];
  readonly #unresolved = new Map<number, Unresolved>();
  /** Issues no more; calls that have a seq of it go on. */
  retired = false;

  constructor(id: string) {
    this.id = id;
  }

  get acked(): number {
    return this.#acked;
  }

  /** The next seq, or null if the contract forbids one now. */
  issue(deadlineMs: number): number | null {
    const seq = this.retired ? null : this.#nextAllowed();
    if (seq !== null) this.#unresolved.set(seq, { deadlineMs, abandoned: false });
    return seq;
  }

  /** `seq` got a reply that is kept. */
  received(seq: number): void {
    if (!this.#unresolved.delete(seq)) return;
    this.#received.add(seq);
    while (this.#received.delete(this.#acked + 1)) this.#acked += 1;
  }

  /** Every try of `seq` was refused with nothing done. */
  unused(seq: number): void {
    if (this.#unresolved.delete(seq)) this.#unused.push(seq);
  }

  /** Nobody repeats `seq` any more, though it may have been used. */
  abandon(seq: number): void {
    const unresolved = this.#unresolved.get(seq);
    if (unresolved) unresolved.abandoned = true;
  }

  /**
   * The time from which the seq that holds everything up will not be resolved any more: 0 if that is known already. It can
   * come without `abandon`: a Worker drops a call whose client went away, in the middle and without a word.
   */
  blockedUntilMs(): number {
    const lowest = this.#unresolved.get(this.#acked + 1);
    return lowest && !lowest.abandoned ? lowest.deadlineMs : 0;
  }

  #nextAllowed(): number | null {
    const again = this.#unused.pop();
    if (again !== undefined) return again;
    const lowestUnresolved = this.#acked + 1;
    const opened = this.#acked >= 1;
    const allowed = opened ? this.#nextSeq <= lowestUnresolved + MAX_SEQ_LEAD : this.#nextSeq === 1;
    return allowed ? this.#nextSeq++ : null;
  }
}
