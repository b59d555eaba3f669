/**
 * Applies what is committed, one batch a turn, and lets the state machine and the log clean up behind it.
 *
 * On a leader clients wait for the results: their answers leave before the rows are written (write-behind.ts).
 */
import type { Peer } from './peer.ts';

/** What a turn writes before it leaves the rest to the next one; its last entry may exceed it. */
const TURN_WRITTEN_BYTES = 16 * 1024 * 1024;

export class Applying {
  readonly #peer: Peer;
  #appliedThisTurn = false;
  #mustHousekeep = false;
  /** A piece of lazy work is on its way to the disk, and more is to come. */
  housekeeping = false;

  constructor(peer: Peer) {
    this.#peer = peer;
  }

  beginTurn(): void {
    this.#appliedThisTurn = false;
  }

  /** What was handed out, one batch a turn: a long backlog must neither block the object nor become one huge commit. */
  applyCommitted(): void {
    const { raft } = this.#peer;
    if (raft === null || raft.stopped || raft.handedOut <= raft.lastApplied) return;
    if (this.#appliedThisTurn) return this.#peer.onceDurable(() => this.applyCommitted());
    this.#appliedThisTurn = true;
    this.#apply(raft.lastApplied + 1, raft.handedOut);
  }

  #apply(fromIndex: number, toIndex: number): void {
    const { storage, stateMachine, counters, proposals } = this.#peer;
    this.#gatherWrites();
    this.#peer.wrote = true;
    this.#mustHousekeep = true;
    const writtenBefore = stateMachine.writtenBytes;
    for (const { entry } of storage.entries(fromIndex, toIndex)) {
      const { index, term, elapsedMs, payload } = entry;
      if (!this.#peer.understands(entry)) {
        this.#applied(index - 1);
        return this.#peer.stop('entry');
      }
      const data = payload.type === 'command' ? payload.data : null;
      const results = stateMachine.apply({ index, term, elapsedMs, data });
      counters.commands += results.length;
      proposals.applied(index, term, results);
      if (index < toIndex && stateMachine.writtenBytes - writtenBefore > TURN_WRITTEN_BYTES) {
        this.#applied(index);
        return this.applyCommitted();
      }
    }
    this.#applied(toIndex);
  }

  /** On a leader they are put off; where this turn has written already, nothing is won by that. */
  #gatherWrites(): void {
    const { raft, wrote } = this.#peer;
    const { sql } = this.#peer.platform;
    if (raft?.role === 'leader' && !wrote && !sql.pending) sql.putOff();
    else sql.gather();
  }

  #applied(index: number): void {
    this.#peer.storage.setLastApplied(index);
    this.#peer.step({ type: 'applied', index });
  }

  /** Lazy work comes in small pieces, each a turn of its own once the one before is on disk. */
  housekeep(): void {
    if (!this.#mustHousekeep || this.housekeeping) return;
    this.#mustHousekeep = this.#peer.storage.housekeep();
    if (!this.#mustHousekeep) return;
    this.housekeeping = true;
    this.#peer.onceDurable(() => {
      this.#peer.wrote = true;
      this.housekeeping = false;
    });
  }
}
