/** A leader-to-be whose calls the test answers: by the book, or in the others' place. What it believes is held against what is true. */
import { expect } from 'vitest';
import type { RaftLimits } from '../../src/raft/types.ts';
import type { Loose } from '../attack/bend.ts';
import { Counters } from '../simulation/counter.ts';
import { FollowersByTheBook } from './followers-by-the-book.ts';
import { type Call, LonePeer, membersOf, settled } from './lone-peer.ts';

const PEERS = 5;
const MAJORITY = 3;
export const OTHERS: readonly number[] = [2, 3, 4, 5];
export const STEP_MS = 50;

export class AttackedGroup {
  readonly lone: LonePeer;
  readonly followers = new FollowersByTheBook(OTHERS);
  /** Answers that were given, for replays. */
  readonly said: Loose[] = [];
  /** Of all writes: settled when each has its reply. */
  readonly written: Promise<unknown>[] = [];

  constructor({ quiesceAfterMs = 0, limits = {} as Partial<RaftLimits> } = {}) {
    this.lone = new LonePeer((sql) => new Counters(sql), { quiesceAfterMs, limits });
  }

  async found(): Promise<void> {
    const { lone } = this;
    const founding = lone.post('found', { members: membersOf(PEERS), nonce: lone.peer.nonce });
    await settled();
    for (const call of lone.calls.splice(0)) call.answer({ nonce: 'n', groupId: null, hasLog: false });
    await this.settle();
    for (const call of lone.calls.splice(0)) call.answer({ stored: true });
    expect((await founding).complete).toBe(true);
    await this.settle();
  }

  async settle(): Promise<void> {
    await settled(3);
  }

  write(to: string): void {
    const requests = [{ type: 'submit', command: { add: 1, to } }];
    this.written.push(this.lone.post('client', { requests }));
  }

  /** What the called peer says by the book; it keeps its word from now on. `busy`: it cannot sleep now. */
  honest(call: Call, busy = false): Loose {
    const said = this.followers.answer(call, busy);
    this.said.push(said);
    return said;
  }

  /** The calls that follow from time passing. */
  async pass(stepMs: number): Promise<Call[]> {
    this.lone.nowMs += stepMs;
    this.lone.peer.onAlarm(this.lone.nowMs);
    await this.settle();
    return this.lone.calls.splice(0);
  }

  /** What counts was truly said. */
  check(): void {
    const { raft } = this.lone.peer;
    const { matched, grants } = this.followers;
    expect(this.lone.aborted).toBeNull();
    if (raft === null) throw new Error('it belongs to a group');
    const copies = 1 + [...matched.values()].filter((index) => index >= raft.commitIndex).length;
    expect(copies, `copies of entry ${raft.commitIndex}`).toBeGreaterThanOrEqual(MAJORITY);
    if (raft.role !== 'leader') return;
    for (const { id, matchIndex } of raft.progress.values())
      expect(matchIndex, `what peer ${id} has`).toBeLessThanOrEqual(matched.get(id) ?? 0);
    if (raft.currentTerm === 1) return;
    expect(1 + (grants.get(raft.currentTerm)?.size ?? 0), 'votes of its term').toBeGreaterThanOrEqual(MAJORITY);
  }

  /** A leader that sleeps is told so by all who were not silent for long, in that round. True: it sleeps. */
  checkSleep(): boolean {
    const { raft } = this.lone.peer;
    if (raft?.role !== 'leader' || raft.asleep === null) return false;
    for (const { id, silent, matchIndex } of raft.progress.values()) {
      if (silent) continue;
      expect(this.followers.sleeps.get(id), `round in which peer ${id} sleeps`).toBe(raft.asleep.round);
      expect(this.followers.matched.get(id)).toBe(matchIndex);
    }
    return true;
  }

  /** Everybody has everything, and it is committed. */
  get isWhole(): boolean {
    const { raft } = this.lone.peer;
    if (raft?.role !== 'leader' || raft.commitIndex !== raft.log.lastIndex) return false;
    return [...this.followers.matched.values()].every((index) => index === raft.log.lastIndex);
  }
}
