/**
 * Not the course's: what its Raft tests leave out. One-way and partial partitions, unflushed writes that are lost, clocks that jump,
 * disruption by servers that come back, and Figure 8 with timeouts twelve times shorter.
 */
import { LabFailure, type LabTest } from './lab.ts';
import { RAFT_COST_TESTS } from './raft-beyond-cost.ts';
import { figure8, figure8Unreliable } from './raft-figure8.ts';
import { type RaftLab, raftTest } from './raft-lab.ts';

/** Nobody was deposed and no term begun while `run` ran. */
function undisturbed(lab: RaftLab, run: (leader: number) => void): void {
  const leader = lab.checkOneLeader();
  const { currentTerm } = lab.server(leader).raft;
  run(leader);
  const after = lab.checkOneLeader();
  if (after !== leader || lab.server(after).raft.currentTerm !== currentTerm)
    throw new LabFailure(`server ${leader + 1} led term ${currentTerm}, and was deposed for nothing`);
}

function others(lab: RaftLab, place: number): number[] {
  return lab.places.filter((other) => other !== place);
}

function oneWayLeader(lab: RaftLab): void {
  for (let round = 0; round < 4; round += 1) {
    const leader = lab.checkOneLeader();
    const term = lab.server(leader).raft.currentTerm;
    // Deaf: its heartbeats arrive, and hold the others back until it gives up. Mute: it hears that it is deposed.
    for (const other of others(lab, leader)) {
      if (round % 2 === 0) lab.cutOneWay(other, leader);
      else lab.cutOneWay(leader, other);
    }
    lab.one(lab.randomCommand(), 4, true);
    if (lab.server(lab.checkOneLeader()).raft.currentTerm === term) throw new LabFailure('nobody else was elected');
    if (lab.server(leader).leads) throw new LabFailure(`server ${leader + 1} still leads, and reaches nobody`);
    lab.network.healCuts();
    lab.one(lab.randomCommand(), 5, true);
  }
}

function oneWayFollower(lab: RaftLab): void {
  lab.one(lab.randomCommand(), 5, true);
  for (const direction of ['deaf', 'deaf to the leader', 'mute']) {
    undisturbed(lab, (leader) => {
      const follower = lab.places[(leader + 1) % 5]!;
      for (const other of others(lab, follower)) {
        if (direction === 'mute') lab.cutOneWay(follower, other);
        else if (direction === 'deaf' || other === leader) lab.cutOneWay(other, follower);
      }
      lab.sleep(5000);
      lab.one(lab.randomCommand(), 4, true);
      lab.network.healCuts();
      lab.one(lab.randomCommand(), 5, true);
    });
  }
}

/** Two of three cannot reach each other, both reach the third: the leader stays, and goes on with it. */
function partialPartition(lab: RaftLab): void {
  lab.one(lab.randomCommand(), 3, true);
  undisturbed(lab, (leader) => {
    lab.cutOneWay(leader, leader + 1);
    lab.cutOneWay(leader + 1, leader);
    for (let n = 0; n < 10; n += 1) {
      lab.one(lab.randomCommand(), 2, true);
      lab.sleep(1000);
    }
    lab.network.healCuts();
    lab.one(lab.randomCommand(), 3, true);
  });
}

/** Servers that were away for long come back with the term that they left in (pre-vote). */
function quietRejoin(lab: RaftLab): void {
  lab.one(lab.randomCommand(), 5, true);
  undisturbed(lab, (leader) => {
    for (const away of [[leader + 1], [leader + 1, leader + 2]]) {
      lab.disconnect(...away);
      lab.sleep(10_000);
      lab.one(lab.randomCommand(), 5 - away.length, true);
      lab.connect(...away);
      lab.one(lab.randomCommand(), 5, true);
    }
  });
}

/** Everybody dies at once, again and again, in the middle of writes. What was applied anywhere stays (raft-safety.ts). */
function lostWrites(lab: RaftLab): void {
  lab.one(lab.randomCommand(), 3, true);
  for (let round = 0; round < 20; round += 1) {
    const burst = lab.random.int(1, 5);
    for (let n = 0; n < burst; n += 1) {
      lab.proposeEverywhere(lab.randomCommand());
      lab.sleep(lab.random.between(0, 4));
    }
    lab.crash(...lab.places);
    lab.sleep(lab.random.int(0, 500));
    lab.start(...lab.places);
    lab.one(lab.randomCommand(), 3, true);
  }
  const lost = lab.servers.reduce((sum, { turnsLost }) => sum + turnsLost, 0);
  if (lost === 0) throw new LabFailure('no crash has taken an unflushed write');
  lab.figures.turnsLost = lost;
}

/** Voters and candidates die in the middle of elections: a vote that was given is given, whoever asks next. */
function electionCrashes(lab: RaftLab): void {
  const { random } = lab;
  for (let round = 0; round < 500; round += 1) {
    const place = random.int(0, 4);
    lab.crash(place);
    lab.sleep(random.between(0, 4));
    lab.start(place);
    lab.sleep(random.between(0, 25));
    const leader = lab.servers.findIndex(({ leads }) => leads);
    if (leader >= 0) lab.restart(leader);
  }
  lab.one(lab.randomCommand(), 5, true);
  lab.figures.leaders = lab.safety.leaders;
}

const MAX_JUMP_AHEAD_MS = 60_000;
const MAX_JUMP_BACK_MS = 3000;

/** Time is no safety matter, and a clock that jumps costs an election at most. */
function clockJumps(lab: RaftLab): void {
  const { random } = lab;
  lab.one(lab.randomCommand(), 5, true);
  for (let round = 0; round < 30; round += 1) {
    const jumps = random.int(1, 2);
    for (let n = 0; n < jumps; n += 1) {
      const byMs = random.chance(0.5) ? random.int(1, MAX_JUMP_AHEAD_MS) : -random.int(1, MAX_JUMP_BACK_MS);
      lab.jumpClock(random.int(0, 4), byMs);
    }
    lab.sleep(random.int(0, 1000));
    lab.one(lab.randomCommand(), 5, true);
  }
  lab.figures.leaders = lab.safety.leaders;
}

/** Few entries a message: in large batches, those of older terms never reach a majority without the leader's own. */
const FEW = { messageEntries: 4 };
const FAST = { servers: 5, heartbeatMs: 20, electionTimeoutMs: 80, limits: FEW };
const SMALL_TAIL = { tailEntries: 4, tailBytes: 400, retainedBytes: 1500 };

/** All of it at once, on a short tail of the log, with elections all the time. */
function everything(lab: RaftLab): void {
  const { random } = lab;
  const any = (): number => random.int(0, 4);
  for (let i = 0; i < 1000; i += 1) {
    if (i === 300) lab.network.longReordering = true;
    const taken = lab.proposeEverywhere(lab.randomCommand());
    lab.sleep(random.chance(0.1) ? random.int(0, 400) : random.between(0, 12));
    if (random.chance(0.05)) lab.cutOneWay(any(), any());
    if (random.chance(0.02)) lab.network.healCuts();
    if (random.chance(0.02)) lab.jumpClock(any(), random.int(-200, 2000));
    const victim = taken !== null && random.chance(0.2) ? taken.place : any();
    if (random.chance(0.15)) lab.crash(victim);
    else if (random.chance(0.1)) lab.disconnect(victim);
    const back = any();
    if (!random.chance(0.3)) continue;
    if (lab.server(back).up) lab.connect(back);
    else lab.start(back);
  }
  // Replies later than the election timeout allow no leader to stay (5.6): safety until here, liveness from here on.
  lab.network.longReordering = false;
  lab.network.healCuts();
  for (const place of lab.places) if (!lab.server(place).up) lab.start(place);
  lab.connect(...lab.places);
  lab.one(lab.randomCommand(), 5, true);
  Object.assign(lab.figures, { leaders: lab.safety.leaders, snapshotsInstalled: lab.snapshotsInstalled });
}

const LIVE = 'each command within 10 s';
const FIVE = { servers: 5 };

export const RAFT_BEYOND_TESTS: readonly LabTest[] = [
  raftTest('TestOneWayLeader beyond', FIVE, `a leader that is deaf or mute is replaced; ${LIVE}`, oneWayLeader),
  raftTest('TestOneWayFollower beyond', FIVE, 'a follower that is deaf or mute deposes nobody', oneWayFollower),
  raftTest('TestPartialPartition beyond', { servers: 3 }, `the leader stays; ${LIVE}`, partialPartition),
  raftTest('TestQuietRejoin beyond', FIVE, 'who comes back after 10 s deposes nobody', quietRejoin),
  raftTest('TestLostWrites beyond', { servers: 3 }, 'nothing that was applied anywhere is lost', lostWrites),
  raftTest('TestElectionCrashes beyond', FAST, `one vote a term, 500 crashes in elections; ${LIVE}`, electionCrashes),
  raftTest('TestClockJumps beyond', FIVE, `clocks jump from -3 s to 60 s; ${LIVE}`, clockJumps),
  raftTest('TestFigure8 fast beyond', FAST, 'as TestFigure8, timeouts 12 times shorter', figure8),
  raftTest(
    'TestFigure8Unreliable fast beyond',
    { ...FAST, unreliable: true },
    'as TestFigure8Unreliable, timeouts 12 times shorter',
    figure8Unreliable,
  ),
  raftTest(
    'TestEverything beyond',
    { ...FAST, unreliable: true, limits: SMALL_TAIL },
    'all faults at once; all 5 agree within 10 s at the end',
    everything,
  ),
  ...RAFT_COST_TESTS,
];
