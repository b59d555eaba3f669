/**
 * Raft's promises (Figure 3 of the paper, and what the core adds), checked after every step of every host. It sees all
 * disks at once, which no peer can.
 */
import type { Reply, Request } from '../../src/raft/messages.ts';
import type { Effects, Entry, Input, PeerId } from '../../src/raft/types.ts';
import type { CoreHost, Disk, Watcher } from './core-host.ts';
import { decodeText } from './entries.ts';

export class SafetyViolation extends Error {
  override readonly name = 'SafetyViolation';
}

export class Safety implements Watcher {
  readonly #hosts: ReadonlyMap<PeerId, CoreHost>;
  readonly #leaders = new Map<number, PeerId>();
  /** `index/term` to what stands there, with the term before it. */
  readonly #entries = new Map<string, string>();
  /** By index: the term that was committed there. */
  readonly committed: number[] = [];
  /** By index: the term of whoever committed it. Leaders of later terms must have it. */
  readonly #committedIn: number[] = [];
  readonly #states = new Map<number, string>();
  readonly #votes = new Map<string, PeerId>();
  readonly #seen = new Map<PeerId, { instance: number; commitIndex: number; term: number; ledTerm: number }>();
  /** By read id: what was committed anywhere when the read began. */
  readonly #reads = new Map<number, number>();
  counts = { leaders: 0, committed: 0, snapshots: 0, reads: 0, truncations: 0 };

  constructor(hosts: ReadonlyMap<PeerId, CoreHost>) {
    this.#hosts = hosts;
    for (const host of hosts.values()) for (const entry of host.disk.entries) this.#noteEntry(host.disk, entry);
  }

  stepped(host: CoreHost, input: Input, effects: Effects): void {
    if (input.type === 'read') this.#reads.set(input.id, this.committed.length - 1);
    for (const entry of effects.append) this.#noteEntry(host.disk, entry);
    if (effects.truncateFrom !== null) this.counts.truncations += 1;
    if (effects.reset !== null) this.counts.snapshots += 1;
    this.#checkLeader(host);
    this.#checkCommit(host);
    this.#checkReads(host, effects);
  }

  /** After a turn: the state machine and the applied index are one. */
  turned(host: CoreHost): void {
    const { lastApplied, state } = host.disk;
    const text = state.join(' ');
    const known = this.#states.get(lastApplied);
    if (known === undefined) this.#states.set(lastApplied, text);
    else if (known !== text) throw new SafetyViolation(`state machine safety: peer ${host.id} at ${lastApplied}`);
  }

  /** Logs are equal up to wherever they agree in index and term (log matching): by induction over single entries. */
  #noteEntry(disk: Disk, entry: Entry): void {
    const { index, term, payload } = entry;
    const before =
      index - 1 === disk.lastIncludedIndex
        ? disk.lastIncludedTerm
        : disk.entries.find((other) => other.index === index - 1)?.term;
    const text = `${payload.type === 'command' ? decodeText(payload.data) : payload.type} after ${before}`;
    const known = this.#entries.get(`${index}/${term}`);
    if (known === undefined) this.#entries.set(`${index}/${term}`, text);
    else if (known !== text) throw new SafetyViolation(`log matching at ${index}/${term}: ${known}, and ${text}`);
  }

  #checkLeader({ id, raft }: CoreHost): void {
    if (raft.role !== 'leader') return;
    const known = this.#leaders.get(raft.currentTerm);
    if (known === id) return;
    if (known !== undefined) throw new SafetyViolation(`election safety: ${known} and ${id} lead ${raft.currentTerm}`);
    this.#leaders.set(raft.currentTerm, id);
    this.counts.leaders += 1;
    this.committed.forEach((term, index) => {
      const isLater = raft.currentTerm > (this.#committedIn[index] ?? 0);
      if (isLater && index >= raft.log.firstIndex && raft.log.term(index) !== term)
        throw new SafetyViolation(`leader completeness: ${id} leads ${raft.currentTerm} without ${index}/${term}`);
    });
  }

  #checkCommit(host: CoreHost): void {
    const { id, raft, instance } = host;
    const seen = this.#seen.get(id);
    const from = seen?.instance === instance ? seen.commitIndex : 0;
    if (seen !== undefined && seen.instance === instance && raft.currentTerm < seen.term)
      throw new SafetyViolation(`peer ${id} went back in terms`);
    for (let index = Math.max(from + 1, raft.log.firstIndex); index <= raft.commitIndex; index += 1) {
      const term = raft.log.term(index)!;
      const known = this.committed[index];
      if (known === undefined) this.#commitFirst(index, term, raft.currentTerm);
      else if (known !== term) throw new SafetyViolation(`committed ${index}/${known}, then ${index}/${term} at ${id}`);
    }
    this.#seen.set(id, { instance, commitIndex: raft.commitIndex, term: raft.currentTerm, ledTerm: 0 });
  }

  /** Whoever commits an entry first may do so only when it is on a quorum's disks. */
  #commitFirst(index: number, term: number, inTerm: number): void {
    let holders = 0;
    for (const { durable } of this.#hosts.values()) {
      const entry = durable.entries.find((other) => other.index === index);
      if (entry?.term === term || index <= durable.lastIncludedIndex) holders += 1;
    }
    if (2 * holders <= this.#hosts.size)
      throw new SafetyViolation(`${index}/${term} is committed, and durable on ${holders} only`);
    this.committed[index] = term;
    this.#committedIn[index] = inTerm;
    this.counts.committed += 1;
  }

  /** Linearizability: what was committed anywhere before the read began is in the state that it is answered from. */
  #checkReads(host: CoreHost, effects: Effects): void {
    for (const { id, outcome } of effects.reads) {
      if (outcome !== 'ready') continue;
      this.counts.reads += 1;
      const committedBefore = this.#reads.get(id) ?? 0;
      if (host.disk.lastApplied < committedBefore)
        throw new SafetyViolation(`read ${id} at ${host.id} sees ${host.disk.lastApplied}, not ${committedBefore}`);
    }
  }

  /** What left the gate: promises that a crash may not break. */
  sent(host: CoreHost, message: Request | Reply): void {
    if (message.type === 'RequestVote' && !message.preVote) this.#vote(host.id, message.term, host.id);
    if (message.type === 'RequestVoteReply' && !message.preVote && message.voteGranted)
      this.#vote(host.id, message.term, message.to);
    // Of an older term it may be gone again: a newer leader has other entries.
    const isCurrent = message.term === host.durable.hardState.currentTerm;
    if (message.type === 'AppendEntriesReply' && message.success && isCurrent) {
      const last = host.durable.entries.at(-1)?.index ?? host.durable.lastIncludedIndex;
      if (last < message.matchIndex) throw new SafetyViolation(`peer ${host.id} acknowledged what is not on its disk`);
    }
  }

  #vote(voter: PeerId, term: number, candidate: PeerId): void {
    const known = this.#votes.get(`${voter}/${term}`) ?? candidate;
    if (known !== candidate) throw new SafetyViolation(`peer ${voter} voted for ${known} and ${candidate} in ${term}`);
    this.#votes.set(`${voter}/${term}`, candidate);
  }
}
