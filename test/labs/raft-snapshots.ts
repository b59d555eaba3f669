/**
 * The labs' part 3D: snapshots. The labs' service hands Raft a snapshot after every tenth command and the log up to it goes; here tables and
 * applied index are one, so Raft compacts by itself, and a follower that needs what is gone is sent a cut. To have the same
 * effect, the tail behind lastApplied is a handful of entries.
 */
import { LabFailure, type LabTest } from './lab.ts';
import { type RaftLab, raftTest } from './raft-lab.ts';

/** Compaction starts at twice the tail: after ten commands, as in the labs. */
const TAIL_ENTRIES = 5;
const LIMITS = { tailEntries: TAIL_ENTRIES, tailBytes: 1000, retainedBytes: 1000 };
const MAX_LOG_BYTES = 2000;
const ITERATIONS = 30;

type Victim = 'none' | 'disconnected' | 'crashed';

function snapshots(lab: RaftLab, fault: Victim): void {
  lab.one(lab.randomCommand(), 3, true);
  let leader = lab.checkOneLeader();
  let mostBytes = 0;
  for (let i = 0; i < ITERATIONS; i += 1) {
    const victim = i % 3 === 1 ? leader : leader + 1;
    const sender = i % 3 === 1 ? leader + 1 : leader;
    if (fault === 'disconnected') lab.disconnect(victim);
    if (fault === 'crashed') lab.crash(victim);
    if (fault !== 'none') lab.one(lab.randomCommand(), 2, true);
    const commands = lab.random.int(5, 14);
    for (let n = 0; n < commands; n += 1) lab.propose(sender, lab.randomCommand());
    // Without a fault, everybody has applied it all; else a majority.
    lab.one(lab.randomCommand(), fault === 'none' ? 3 : 2, true);
    mostBytes = Math.max(mostBytes, lab.logBytes);
    if (mostBytes >= MAX_LOG_BYTES) throw new LabFailure(`a log of ${mostBytes} bytes, with snapshots`);
    if (fault === 'none') continue;
    if (fault === 'crashed') lab.start(victim);
    else lab.connect(victim);
    lab.one(lab.randomCommand(), 3, true);
    leader = lab.checkOneLeader();
  }
  const installed = lab.snapshotsInstalled;
  if (fault === 'none' ? installed > 0 : installed === 0) throw new LabFailure(`${installed} snapshots were installed`);
  Object.assign(lab.figures, { logBytes: mostBytes, snapshotsInstalled: installed });
}

function allCrash(lab: RaftLab): void {
  lab.one(lab.randomCommand(), 3, true);
  for (let i = 0; i < 5; i += 1) {
    const commands = lab.random.int(5, 14);
    for (let n = 0; n < commands; n += 1) lab.one(lab.randomCommand(), 3, true);
    const before = lab.one(lab.randomCommand(), 3, true);
    lab.crash(...lab.places);
    lab.start(...lab.places);
    const after = lab.one(lab.randomCommand(), 3, true);
    if (after < before + 1) throw new LabFailure(`command ${before}, then ${after}: the log went back`);
  }
  lab.figures.logBytes = lab.logBytes;
}

/** A server that restarts from a snapshot must find it again after another restart, with nothing snapshotted between. */
function init(lab: RaftLab): void {
  const commands: string[] = [];
  const agree = (): void => {
    const command = lab.randomCommand();
    commands.push(command);
    lab.one(command, 3, true);
  };
  for (let n = 0; n < 12; n += 1) agree();
  for (let crash = 0; crash < 2; crash += 1) {
    lab.crash(...lab.places);
    lab.start(...lab.places);
    agree();
  }
  // A repeat of a command that looked lost may be there twice.
  const applied = lab.safety.values.length - 1;
  for (const { disk } of lab.servers) {
    for (const command of commands)
      if (!disk.values.includes(command)) throw new LabFailure(`command ${command} is lost`);
    if (disk.lastIncludedIndex === 0) throw new LabFailure('nothing was compacted');
    if (disk.values.length !== applied) throw new LabFailure('a server has not all commands');
  }
}

const BOUND = 'each command within 10 s; log < 2,000 B';

function snapshotTest(name: string, fault: Victim, unreliable: boolean): LabTest {
  const setup = { servers: 3, unreliable, limits: LIMITS };
  return raftTest(name, setup, BOUND, (lab) => snapshots(lab, fault));
}

/** Unreliable, as in the labs of 2025. */
const UNRELIABLE = { servers: 3, unreliable: true, limits: LIMITS };

export const RAFT_SNAPSHOT_TESTS: readonly LabTest[] = [
  raftTest('TestSnapshotBasic3D', { servers: 3, limits: LIMITS }, `${BOUND}; no snapshot is sent`, (lab) =>
    snapshots(lab, 'none'),
  ),
  snapshotTest('TestSnapshotInstall3D', 'disconnected', false),
  snapshotTest('TestSnapshotInstallUnreliable3D', 'disconnected', true),
  snapshotTest('TestSnapshotInstallCrash3D', 'crashed', false),
  snapshotTest('TestSnapshotInstallUnCrash3D', 'crashed', true),
  raftTest('TestSnapshotAllCrash3D', UNRELIABLE, 'a command after a crash comes after those before it', allCrash),
  raftTest('TestSnapshotInit3D', UNRELIABLE, 'no command is lost', init),
];
