/**
 * What must hold after every event (Figure 3 of the paper, and more). Looks at the instances that did something; what
 * it remembers of the past is the group's, not any peer's.
 */
import { createHash } from 'node:crypto';
import { type Instance, SimulationError, type World } from './world.ts';

interface CommittedEntry {
  readonly term: number;
  readonly digest: string;
}

export class Invariants {
  readonly #world: World;
  readonly #leaders = new Map<number, string>();
  readonly committed: CommittedEntry[] = [];
  readonly #stateHashes = new Map<number, string>();
  #seen = new WeakMap<Instance, { term: number; commitIndex: number; lastApplied: number; leaderTerm: number }>();
  /** On disk, by object: neither may ever go back. */
  readonly #durable = new Map<string, { term: number; votedFor: number | null }>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Told of every leader in its first event as one. */
  onLeader: (instance: Instance) => void = () => {};
  /** Installations of snapshots that were seen. */
  snapshots = 0;

  get terms(): number {
    return this.#leaders.size;
  }

  check(): void {
    for (const instance of this.#world.touched)
      if (!instance.dead && instance.peer !== undefined) this.#checkInstance(instance);
    this.#world.touched.clear();
  }

  #checkInstance(instance: Instance): void {
    const { raft } = instance.peer;
    if (raft === null) return;
    const seen = this.#seen.get(instance) ?? { term: 0, commitIndex: 0, lastApplied: 0, leaderTerm: 0 };
    this.#assert(raft.currentTerm >= seen.term, instance, 'monotonic term');
    this.#assert(raft.commitIndex >= seen.commitIndex, instance, 'monotonic commitIndex');
    this.#assert(raft.lastApplied >= seen.lastApplied, instance, 'monotonic lastApplied');
    this.#assert(raft.lastApplied <= raft.commitIndex, instance, 'only committed entries are applied');
    if (raft.role === 'leader' && seen.leaderTerm !== raft.currentTerm) this.#checkNewLeader(instance);
    if (seen.commitIndex > 0 && raft.log.lastIncludedIndex > seen.commitIndex) this.snapshots += 1;
    // What a restarted instance finds committed was checked before it restarted, as far as the log still has it.
    for (let index = Math.max(seen.commitIndex + 1, raft.log.firstIndex); index <= raft.commitIndex; index += 1) {
      this.#checkCommitted(instance, index);
    }
    if (raft.lastApplied > 0 && raft.lastApplied !== seen.lastApplied && !instance.superseded)
      this.#checkState(instance);
    this.#checkHardState(instance);
    this.#seen.set(instance, {
      term: raft.currentTerm,
      commitIndex: raft.commitIndex,
      lastApplied: raft.lastApplied,
      leaderTerm: raft.role === 'leader' ? raft.currentTerm : seen.leaderTerm,
    });
  }

  #checkNewLeader(instance: Instance): void {
    const raft = instance.peer.raft!;
    const leader = this.#leaders.get(raft.currentTerm);
    this.#assert(
      leader === undefined || leader === instance.label,
      instance,
      `election safety: ${leader} led this term`,
    );
    this.#leaders.set(raft.currentTerm, instance.label);
    this.onLeader(instance);
    this.#assert(
      raft.log.lastIndex >= this.committed.length - 1,
      instance,
      'leader completeness: its log is too short',
    );
    for (let index = raft.log.firstIndex; index < this.committed.length; index += 1) {
      const term = this.committed[index]?.term;
      this.#assert(term === undefined || raft.log.term(index) === term, instance, `leader completeness at ${index}`);
    }
  }

  #checkCommitted(instance: Instance, index: number): void {
    const [stored] = instance.peer.storage.entries(index, index);
    const term = instance.peer.raft!.log.term(index);
    const digest = createHash('sha1').update(stored!.data).digest('base64');
    const known = this.committed[index];
    if (known === undefined) {
      this.committed[index] = { term: term!, digest };
      this.#checkQuorum(instance, index, term!);
    } else {
      this.#assert(
        known.term === term && known.digest === digest,
        instance,
        `committed immutable, log matching at ${index}`,
      );
    }
  }

  /** The first to commit an entry may do so only when a quorum has it on disk. */
  #checkQuorum(instance: Instance, index: number, term: number): void {
    const { voters } = instance.peer.raft!.configuration!;
    let count = 0;
    for (const voter of voters) {
      const object = this.#world.objects.get(`${instance.peer.group}/${voter.slot}.${voter.incarnation}`);
      const row = object?.disk.inspect("SELECT 1 FROM sqlite_master WHERE name = 'log'")[0];
      if (object === undefined || row === undefined) continue;
      const [entry] = object.disk.inspect('SELECT term FROM log WHERE idx = ?', index);
      const turn = object.disk.logRowTurn.get(index) ?? 0;
      const [[lastIncludedIndex] = []] = object.disk.inspect('SELECT last_included_index FROM peer_state');
      // What it has compacted, it has applied.
      const compacted = entry === undefined && index <= (lastIncludedIndex as number);
      if (compacted || (entry?.[0] === term && turn <= object.disk.durableTurn)) count += 1;
    }
    this.#assert(count * 2 > voters.length, instance, `committed on a quorum's disks: ${index} is on ${count}`);
  }

  #checkState(instance: Instance): void {
    const { lastApplied } = instance.peer.raft!;
    const hash = instance.peer.stateMachine.stateHash();
    const known = this.#stateHashes.get(lastApplied);
    if (known === undefined) this.#stateHashes.set(lastApplied, hash);
    else this.#assert(known === hash, instance, `state machine safety: another state at ${lastApplied}`);
  }

  #checkHardState(instance: Instance): void {
    if (instance.superseded) return;
    const { raft } = instance.peer;
    const { name } = instance.object;
    const before = this.#durable.get(name);
    const now = { term: raft!.currentTerm, votedFor: raft!.votedFor };
    // Of what was on disk at the end of an earlier event, nothing may be undone.
    if (before !== undefined) {
      this.#assert(now.term >= before.term, instance, 'a stored term went back');
      this.#assert(
        now.term > before.term || before.votedFor === null || before.votedFor === now.votedFor,
        instance,
        'a stored vote changed within its term',
      );
    }
    if (!instance.object.disk.unflushed) this.#durable.set(name, now);
  }

  /** The group was deleted: what comes next is another one. */
  reset(): void {
    this.#leaders.clear();
    this.committed.length = 0;
    this.#stateHashes.clear();
    this.#seen = new WeakMap();
    this.#durable.clear();
  }

  /** A wiped disk may forget. */
  forget(name: string): void {
    this.#durable.delete(name);
  }

  #assert(condition: boolean, instance: Instance, rule: string): void {
    if (!condition) throw new SimulationError(`${instance.label}: ${rule}`);
  }
}
