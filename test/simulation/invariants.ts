/**
 * What must hold after every event (Figure 3 of the paper, and more). Looks at the instances that did something; what
 * it remembers of the past is the group's, not any peer's.
 */
import type { Raft } from '../../src/raft/raft.ts';
import { type Assert, ElectionRecord } from './election-record.ts';
import { Promises } from './promises.ts';
import { SleepRules } from './sleep-rules.ts';
import { type Instance, SimulationError, type World } from './world.ts';

/** An alarm is not moved for less, and is set for whole milliseconds (src/peer/alarm.ts). */
const ALARM_SLACK_MS = 5 + 2;

/** What one entry advances log time by at most (src/raft/raft.ts). */
const MAX_ELAPSED_MS = 60_000;

interface CommittedEntry {
  readonly term: number;
  /** The term of the leader that committed it. */
  readonly committedIn: number;
  readonly data: Uint8Array;
}

/** An instance as it was after the last event in which it did something. */
interface Seen {
  term: number;
  votedFor: number | null;
  commitIndex: number;
  lastApplied: number;
  firstIndex: number;
  lastIndex: number;
  lastTerm: number;
  /** The term that it led, the last one. */
  leaderTerm: number;
  /** As a leader: the matchIndex of each follower that was looked into. */
  readonly matched: Map<number, number>;
}

export class Invariants {
  readonly #world: World;
  readonly #leaders = new Map<number, Instance>();
  readonly committed: CommittedEntry[] = [];
  readonly #stateHashes = new Map<number, string>();
  #seen = new WeakMap<Instance, Seen>();

  readonly #elections: ElectionRecord;
  readonly #promises: Promises;
  readonly #sleepRules: SleepRules;

  constructor(world: World) {
    this.#world = world;
    this.#elections = new ElectionRecord(this.#assert);
    this.#sleepRules = new SleepRules(this.#assert);
    this.#promises = new Promises(() => this.committed.length - 1, this.#assertSoon);
  }

  /** Told of every leader in its first event as one. */
  onLeader: (instance: Instance) => void = () => {};
  /** Installations of snapshots that were seen. */
  snapshots = 0;
  /** How often a leader was restored from the record of its sleep. */
  ledAgain = 0;

  /** How often a leader fell asleep, its group with it. */
  get sleeps(): number {
    return this.#sleepRules.sleeps;
  }

  get terms(): number {
    return this.#leaders.size;
  }

  check(): void {
    this.#world.inspecting = true;
    try {
      for (const instance of this.#world.touched)
        if (!instance.dead && instance.peer !== undefined) this.#checkInstance(instance);
    } finally {
      this.#world.inspecting = false;
    }
    this.#world.touched.clear();
  }

  #checkInstance(instance: Instance): void {
    const { raft } = instance.peer;
    let seen = this.#seen.get(instance);
    if (seen === undefined) {
      seen = {
        term: 0,
        votedFor: null,
        commitIndex: 0,
        lastApplied: 0,
        firstIndex: 0,
        lastIndex: 0,
        lastTerm: 0,
        leaderTerm: 0,
        matched: new Map(),
      };
      this.#seen.set(instance, seen);
      this.#elections.watch(instance);
      this.#promises.watch(instance);
      this.#countInstallations(instance);
      this.#watchCompaction(instance, seen);
    }
    if (raft === null) return;
    this.#assert(raft.currentTerm >= seen.term, instance, 'monotonic term');
    this.#assert(raft.commitIndex >= seen.commitIndex, instance, 'monotonic commitIndex');
    this.#assert(raft.lastApplied >= seen.lastApplied, instance, 'monotonic lastApplied');
    this.#assert(raft.lastApplied <= raft.commitIndex, instance, 'only committed entries are applied');
    this.#checkLog(instance, raft, seen);
    this.#checkRows(instance, raft, seen);
    this.#elections.checkTerm(instance, seen.term);
    if (raft.role === 'leader') this.#checkLeader(instance, raft, seen);
    this.#elections.checkContact(instance);
    // What a restarted instance finds committed was checked before it restarted, as far as the log still has it.
    for (let index = Math.max(seen.commitIndex + 1, raft.log.firstIndex); index <= raft.commitIndex; index += 1) {
      this.#checkCommitted(instance, index);
    }
    this.#checkLogStart(instance, raft);
    if (raft.lastApplied > 0 && raft.lastApplied !== seen.lastApplied && !instance.superseded)
      this.#checkState(instance);
    this.#checkHardState(instance, seen);
    this.#checkAlarm(instance, raft);
    this.#checkSleep(instance, raft);
    seen.term = raft.currentTerm;
    seen.votedFor = raft.votedFor;
    seen.commitIndex = raft.commitIndex;
    seen.lastApplied = raft.lastApplied;
    seen.firstIndex = raft.log.firstIndex;
    seen.lastIndex = raft.log.lastIndex;
    seen.lastTerm = raft.log.lastTerm;
    if (raft.role === 'leader') seen.leaderTerm = raft.currentTerm;
  }

  #countInstallations({ peer: { stateMachine } }: Instance): void {
    const finishInstall = stateMachine.finishInstall.bind(stateMachine);
    stateMachine.finishInstall = (header) => {
      const installed = finishInstall(header);
      if (installed) this.snapshots += 1;
      return installed;
    };
  }

  /** Only what another term's leader left behind is ever truncated; and who has applied entry 1 knows the group. */
  #checkLog(instance: Instance, { log, currentTerm, lastApplied }: Raft, seen: Seen): void {
    const kept =
      seen.lastTerm !== currentTerm ||
      seen.lastIndex <= log.lastIncludedIndex ||
      log.term(seen.lastIndex) === currentTerm;
    this.#assert(kept, instance, `an entry of the present term is never truncated: ${seen.lastIndex}`);
    this.#assert(
      lastApplied === 0 || log.configuration !== null,
      instance,
      'who has applied entry 1 has a configuration',
    );
  }

  /** What lies in the log's rows is what the core knows of: no more, no less. */
  #checkRows(instance: Instance, { log: { firstIndex, lastIndex } }: Raft, seen: Seen): void {
    if (instance.superseded || (firstIndex === seen.firstIndex && lastIndex === seen.lastIndex)) return;
    // Rows of compacted entries are free: they wait for new ones.
    const [[first, last] = []] = instance.object.disk.inspect(
      'SELECT min(idx), max(idx) FROM log WHERE idx > (SELECT last_included_index FROM peer_state)',
    );
    const equal = first === null ? lastIndex < firstIndex : first === firstIndex && last === lastIndex;
    this.#assert(equal, instance, `the log's rows are the core's log: ${first}..${last}, ${firstIndex}..${lastIndex}`);
  }

  #checkLeader(instance: Instance, raft: Raft, seen: Seen): void {
    const { log, commitIndex, currentTerm } = raft;
    if (seen.leaderTerm !== currentTerm) this.#checkNewLeader(instance, seen);
    this.#assert(
      commitIndex === seen.commitIndex || log.term(commitIndex) === currentTerm,
      instance,
      `only an entry of the leader's own term is committed by counting (5.4.2): ${commitIndex}`,
    );
    const { disk } = instance.object;
    const writtenIn = instance.superseded ? undefined : disk.logRowTurn.get(raft.durableIndex);
    this.#assert(
      writtenIn === undefined || raft.durableIndex <= log.lastIncludedIndex || writtenIn <= disk.durableTurn,
      instance,
      `what the leader counts as its own copy is on its disk: ${raft.durableIndex}`,
    );
    for (const progress of raft.progress.values()) {
      const { id, matchIndex, nextIndex } = progress;
      this.#assert(
        nextIndex > matchIndex && nextIndex <= log.lastIndex + 1,
        instance,
        `nextIndex is beyond matchIndex, and within the log: ${nextIndex} of ${id}`,
      );
      if (matchIndex === (seen.matched.get(id) ?? 0)) continue;
      seen.matched.set(id, matchIndex);
      this.#checkMatched(instance, raft, id, matchIndex);
    }
  }

  /** While the follower is in the leader's term, it has what the leader believes it to have. */
  #checkMatched(instance: Instance, leader: Raft, id: number, matchIndex: number): void {
    const voter = leader.configuration?.voters.find((member) => member.id === id);
    const object = this.#world.objects.get(`${instance.peer.group}/${voter?.slot}.${voter?.incarnation}`);
    const follower = object?.instance?.peer?.raft;
    if (follower === undefined || follower === null || follower.currentTerm !== leader.currentTerm) return;
    const equal =
      matchIndex <= follower.log.lastIncludedIndex || follower.log.term(matchIndex) === leader.log.term(matchIndex);
    this.#assert(
      equal || matchIndex < leader.log.firstIndex,
      instance,
      `matchIndex is what the follower has: ${id} at ${matchIndex}`,
    );
  }

  /** Who waits for a time has an alarm, in time, once what it wrote is on disk. */
  #checkAlarm(instance: Instance, { effects }: Raft): void {
    const { disk } = instance.object;
    const { deadlineMs } = effects;
    if (instance.superseded || disk.unflushed || deadlineMs === null) return;
    this.#assert(disk.alarm !== null, instance, 'who waits for a time has an alarm');
    const { clock, platform } = instance.peer;
    // A clock that was set back leaves the alarm where it was: nothing but the next event can notice.
    if (disk.alarm === null || clock.wall(0) !== 0) return;
    const lateMs = disk.alarm.wallMs - Math.max(deadlineMs, platform.now());
    this.#assert(lateMs <= ALARM_SLACK_MS, instance, `the alarm is ${lateMs} ms later than what it is for`);
  }

  /** A record exists exactly while its peer sleeps, and who sleeps waits for nothing. */
  #checkSleep(instance: Instance, raft: Raft): void {
    const { asleep, effects } = raft;
    const { disk, alarmBelievedGone } = instance.object;
    this.#sleepRules.check(instance, raft);
    if (instance.superseded) return;
    const record = disk.quiesceRecord();
    this.#assert((record !== null) === (asleep !== null), instance, 'a quiesce record exists exactly while it sleeps');
    if (asleep === null) return;
    // One that is left over fires once, in vain.
    const noAlarm = disk.alarm === null || disk.alarm === alarmBelievedGone;
    this.#assert(effects.deadlineMs === null && noAlarm, instance, 'who sleeps has no alarm');
  }

  #checkNewLeader(instance: Instance, seen: Seen): void {
    seen.matched.clear();
    this.#elections.checkNewLeader(instance);
    const raft = instance.peer.raft!;
    const leader = this.#leaders.get(raft.currentTerm);
    this.#assert(
      leader === undefined || leader.label === instance.label || leadsAgain(instance, leader),
      instance,
      `election safety: ${leader?.label} led this term`,
    );
    this.#leaders.set(raft.currentTerm, instance);
    this.onLeader(instance);
    if (leader !== undefined && leader !== instance) {
      // Nobody has elected it anew: another may lead a later term by now.
      this.ledAgain += 1;
      return;
    }
    for (let index = raft.log.firstIndex; index < this.committed.length; index += 1) {
      const known = this.committed[index];
      // Of terms before its own, that is: it may be elected so late that another leads a newer one already (seed 10121).
      if (known === undefined || known.committedIn >= raft.currentTerm) continue;
      this.#assert(raft.log.term(index) === known.term, instance, `leader completeness at ${index}`);
    }
  }

  /** What is committed and compacted in one turn would never be looked at: so it is, just before it goes. */
  #watchCompaction(instance: Instance, seen: Seen): void {
    const { storage } = instance.peer;
    const writeLog = storage.writeLog.bind(storage);
    storage.writeLog = (effects) => {
      if (effects.compact !== null && !instance.superseded) {
        const rows = instance.object.disk.inspect(
          'SELECT idx, term, data FROM log WHERE idx > ? AND idx <= ?',
          seen.commitIndex,
          effects.compact.lastIncludedIndex,
        );
        for (const [index, term, data] of rows)
          this.#judgeCommitted(instance, index as number, term as number, data as Uint8Array, this.#assertSoon);
      }
      writeLog(effects);
    };
  }

  #checkCommitted(instance: Instance, index: number): void {
    const [stored] = instance.peer.storage.entries(index, index);
    const term = instance.peer.raft!.log.term(index);
    const { elapsedMs } = stored!.entry;
    this.#assert(
      elapsedMs >= 0 && elapsedMs <= MAX_ELAPSED_MS,
      instance,
      `log time moved by ${elapsedMs} ms at ${index}`,
    );
    this.#judgeCommitted(instance, index, term!, stored!.data, this.#assert);
  }

  #judgeCommitted(instance: Instance, index: number, term: number, data: Uint8Array, assert: Assert): void {
    const known = this.committed[index];
    if (known === undefined) {
      this.committed[index] = { term, committedIn: instance.peer.raft!.currentTerm, data: data.slice() };
      this.#checkQuorum(instance, index, term, assert);
    } else {
      assert(
        known.term === term && Buffer.compare(known.data, data) === 0,
        instance,
        `committed immutable, log matching at ${index}`,
      );
    }
  }

  /** A log begins behind a committed entry, of whose term it knows. */
  #checkLogStart(instance: Instance, { log }: Raft): void {
    const known = this.committed[log.lastIncludedIndex];
    this.#assert(
      known === undefined || known.term === log.lastIncludedTerm,
      instance,
      `the log begins behind ${log.lastIncludedIndex} of term ${log.lastIncludedTerm}, and that is of term ${known?.term}`,
    );
  }

  /** The first to commit an entry may do so only when a quorum has it on disk. */
  #checkQuorum(instance: Instance, index: number, term: number, assert: Assert): void {
    const { voters } = instance.peer.raft!.configuration!;
    let count = 0;
    for (const { slot, incarnation } of voters) {
      const disk = this.#world.objects.get(`${instance.peer.group}/${slot}.${incarnation}`)?.disk;
      if (disk === undefined || !disk.hasTables) continue;
      const [[entryTerm, lastIncludedIndex] = []] = disk.inspect(
        'SELECT (SELECT term FROM log WHERE idx = ?), last_included_index FROM peer_state',
        index,
      );
      // What it has compacted, it has applied.
      const compacted = index <= (lastIncludedIndex as number);
      if (compacted || (entryTerm === term && (disk.logRowTurn.get(index) ?? 0) <= disk.durableTurn)) count += 1;
    }
    assert(count * 2 > voters.length, instance, `committed on a quorum's disks: ${index} is on ${count}`);
  }

  #checkState(instance: Instance): void {
    const { lastApplied } = instance.peer.raft!;
    const hash = instance.peer.stateMachine.stateHash();
    const known = this.#stateHashes.get(lastApplied);
    if (known === undefined) this.#stateHashes.set(lastApplied, hash);
    else this.#assert(known === hash, instance, `state machine safety: another state at ${lastApplied}`);
  }

  #checkHardState(instance: Instance, seen: Seen): void {
    const { currentTerm, votedFor } = instance.peer.raft!;
    const kept = currentTerm > seen.term || seen.votedFor === null || seen.votedFor === votedFor;
    this.#assert(kept, instance, 'a vote changed within its term');
    const stored = instance.object.disk.durableVote;
    if (instance.superseded || stored === null) return;
    this.#assert(currentTerm >= stored.term, instance, 'a stored term went back');
    this.#assert(
      currentTerm > stored.term || stored.votedFor === null || stored.votedFor === votedFor,
      instance,
      'a stored vote changed within its term',
    );
  }

  /** What puts and appends did, by their values. */
  get written(): Promises['written'] {
    return this.#promises.written;
  }

  /** The group was deleted: what comes next is another one. */
  reset(): void {
    this.#leaders.clear();
    this.committed.length = 0;
    this.#stateHashes.clear();
    this.#seen = new WeakMap();
    this.#elections.reset();
    this.#promises.reset();
  }

  readonly #assert = (condition: boolean, instance: Instance, rule: string): void => {
    if (!condition) throw new SimulationError(`${instance.label}: ${rule}`);
  };

  /** Inside the peer's own turn a throw would be the peer's. */
  readonly #assertSoon = (condition: boolean, instance: Instance, rule: string): void => {
    if (!condition) this.#world.fail(`${instance.label}: ${rule}`);
  };
}

/** An object that slept as the leader of a term leads that term again: no entry of it was sent since. */
function leadsAgain(instance: Instance, before: Instance): boolean {
  const { restoredFrom, object } = instance;
  const raft = instance.peer.raft!;
  return before.object === object && restoredFrom?.term === raft.currentTerm && restoredFrom.leaderId === raft.id;
}
