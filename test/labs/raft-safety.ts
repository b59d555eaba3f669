/**
 * Raft's invariants (Figure 3) after every step of every lab: election safety, log matching (raft-disk.ts), leader
 * completeness, state machine safety; and what the labs leave out: nothing is committed that is not on a quorum's
 * disks, and no vote or acknowledgement leaves that a crash would take back.
 */
import type { Reply, Request } from '../../src/raft/messages.ts';
import type { Effects, PeerId } from '../../src/raft/types.ts';
import { LabFailure } from './lab.ts';
import type { RaftServer } from './raft-server.ts';

export class RaftSafety {
  readonly #servers: ReadonlyMap<PeerId, RaftServer>;
  readonly #leaders = new Map<number, PeerId>();
  /** By entry index: the term committed there, and the term of whoever committed it. */
  readonly #committed: number[] = [];
  readonly #committedIn: number[] = [];
  /** By command number, from 1: what was applied there, anywhere. */
  readonly values: (string | undefined)[] = [undefined];
  readonly #votes = new Map<number, PeerId>();
  /** By server: what this instance has reached. */
  readonly #seen = new Map<PeerId, { instance: number; term: number; commitIndex: number }>();
  leaders = 0;

  constructor(servers: ReadonlyMap<PeerId, RaftServer>) {
    this.#servers = servers;
  }

  stepped(server: RaftServer, effects: Effects): void {
    const { raft, instance, id } = server;
    const { currentTerm: term, commitIndex } = raft;
    let seen = this.#seen.get(id);
    if (seen === undefined || seen.instance !== instance) {
      seen = { instance, term, commitIndex: raft.log.lastIncludedIndex };
      this.#seen.set(id, seen);
    }
    if (term < seen.term || commitIndex < seen.commitIndex) throw new LabFailure(`server ${id} went back`);
    if (raft.role === 'leader' && this.#leaders.get(term) !== id) this.#checkLeader(server);
    const from = effects.reset === null ? seen.commitIndex : commitIndex;
    for (let index = from + 1; index <= commitIndex; index += 1) this.#checkCommit(server, index);
    seen.term = term;
    seen.commitIndex = commitIndex;
  }

  #checkLeader({ id, raft }: RaftServer): void {
    const term = raft.currentTerm;
    const known = this.#leaders.get(term);
    if (known !== undefined) throw new LabFailure(`election safety: servers ${known} and ${id} lead term ${term}`);
    this.#leaders.set(term, id);
    this.leaders += 1;
    // The newest that was committed before this term; logs match, so it brings the older ones with it.
    let index = this.#committed.length - 1;
    while (index > 0 && (this.#committedIn[index] ?? 0) >= term) index -= 1;
    const held = index < raft.log.lastIncludedIndex || raft.log.term(index) === this.#committed[index];
    if (index > 0 && !held)
      throw new LabFailure(`leader completeness: server ${id} leads term ${term} without entry ${index}`);
  }

  #checkCommit({ id, raft, disk }: RaftServer, index: number): void {
    const term = disk.term(index);
    if (term === undefined) return;
    const known = this.#committed[index];
    if (known === term) return;
    if (known !== undefined) throw new LabFailure(`committed ${index}/${known}, and ${index}/${term} at server ${id}`);
    let holders = 0;
    for (const { durable } of this.#servers.values())
      if (durable.term(index) === term || index < durable.lastIncludedIndex) holders += 1;
    if (2 * holders <= this.#servers.size)
      throw new LabFailure(`entry ${index}/${term} is committed, and on ${holders} disks only`);
    this.#committed[index] = term;
    this.#committedIn[index] = raft.currentTerm;
  }

  /** The labs' checkLogs: what stands at a number is the same on every server. */
  applied({ id, disk }: RaftServer, fromNumber: number): void {
    for (let number = fromNumber; number <= disk.values.length; number += 1) {
      const value = disk.values[number - 1]!;
      const known = this.values[number];
      if (known === undefined && number > this.values.length) throw new LabFailure(`command ${number} before its turn`);
      if (known === undefined) this.values[number] = value;
      else if (known !== value)
        throw new LabFailure(`state machine safety: command ${number} is ${value} at server ${id}, elsewhere ${known}`);
    }
  }

  promised({ id, durable }: RaftServer, message: Request | Reply): void {
    if (message.type === 'RequestVote' && !message.preVote) this.#vote(id, message.term, id, durable.hardState);
    if (message.type === 'RequestVoteReply' && !message.preVote && message.voteGranted)
      this.#vote(id, message.term, message.to, durable.hardState);
    if (message.type !== 'AppendEntriesReply' || !message.success) return;
    // Of an older term it may be gone again: a newer leader has other entries.
    if (message.term === durable.hardState.currentTerm && durable.lastIndex < message.matchIndex)
      throw new LabFailure(`server ${id} acknowledged what is not on its disk`);
  }

  #vote(
    voter: PeerId,
    term: number,
    candidate: PeerId,
    onDisk: { currentTerm: number; votedFor: PeerId | null },
  ): void {
    const known = this.#votes.get(term * 64 + voter) ?? candidate;
    if (known !== candidate)
      throw new LabFailure(`server ${voter} voted for ${known} and ${candidate} in term ${term}`);
    this.#votes.set(term * 64 + voter, candidate);
    const stored = onDisk.currentTerm > term || (onDisk.currentTerm === term && onDisk.votedFor === candidate);
    if (!stored) throw new LabFailure(`server ${voter} promised a vote that is not on its disk`);
  }
}
