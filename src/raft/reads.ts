/**
 * Linearizable reads without log writes (dissertation 6.4, "ReadIndex"). Reads wait for a *round*: a heartbeat sent to
 * everybody after the read arrived, and answered by a quorum in the leader's term. That proves that at some moment
 * after the read's arrival nobody newer led, so the commit index of its arrival was the newest. One round serves
 * every read that waited when it began; the reads that come meanwhile wait for the next.
 */
import { isQuorum, quorumValue } from './quorum.ts';
import type { Configuration, PeerId } from './types.ts';

export interface PendingRead {
  readonly id: number;
  /** The round that confirms it; set when the round starts. */
  round: number | null;
  /** The commit index that it must see; set with the round. */
  readIndex: number;
}

interface ReadContext {
  readonly configuration: Configuration;
  readonly selfId: PeerId;
  /** The commit index, or null while nothing of the leader's term is committed. */
  readonly readIndex: number | null;
  readonly ackedRound: (id: PeerId) => number;
}

export class ReadQueue {
  /** In order of arrival, so also of round. */
  #pending: PendingRead[] = [];
  #ready: PendingRead[] = [];
  /** The newest round begun: every AppendEntries sent from now on belongs to it. */
  round = 0;
  confirmedRound = 0;

  get size(): number {
    return this.#pending.length + this.#ready.length;
  }

  add(id: number): void {
    this.#pending.push({ id, round: null, readIndex: 0 });
  }

  /** Takes in acknowledgements, and begins the next round when the last one is through and somebody waits. */
  confirm(context: ReadContext): void {
    const { configuration, selfId, readIndex } = context;
    this.#takeConfirmed(context);
    if (readIndex === null || this.confirmedRound < this.round) return;
    const waiting = this.#pending.filter((read) => read.round === null);
    if (waiting.length === 0) return;
    this.round += 1;
    for (const read of waiting) {
      read.round = this.round;
      // Of now, not of the arrival: a later index is as correct, and one for all.
      read.readIndex = readIndex;
    }
    if (isQuorum(configuration, (id) => id === selfId)) this.#takeConfirmed(context);
  }

  #takeConfirmed({ configuration, ackedRound, selfId }: ReadContext): void {
    const confirmed = quorumValue(configuration, (id) => (id === selfId ? this.round : ackedRound(id)));
    this.confirmedRound = Math.max(this.confirmedRound, Math.min(confirmed, this.round));
    while (true) {
      const read = this.#pending[0];
      if (read === undefined || read.round === null || read.round > this.confirmedRound) return;
      this.#ready.push(read);
      this.#pending.shift();
    }
  }

  takeReady(lastApplied: number): PendingRead[] {
    const ready = this.#ready.filter((read) => read.readIndex <= lastApplied);
    if (ready.length > 0) this.#ready = this.#ready.filter((read) => read.readIndex > lastApplied);
    return ready;
  }

  clear(): PendingRead[] {
    const all = [...this.#ready, ...this.#pending];
    this.#pending = [];
    this.#ready = [];
    return all;
  }
}
