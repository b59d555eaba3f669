/** Not the course's: RPCs, bytes and time under faults, where its tests count only when nothing goes wrong. */
import { LabFailure, type LabTest } from './lab.ts';
import { type RaftLab, raftTest } from './raft-lab.ts';
import type { RaftServer } from './raft-server.ts';

function atMost(lab: RaftLab, figure: string, actual: number, bound: number): void {
  lab.figures[figure] = Math.round(actual * 100) / 100;
  if (actual > bound) throw new LabFailure(`${figure}: ${actual}, more than ${bound}`);
}

function lossyRpcs(lab: RaftLab): void {
  const commands = 100;
  lab.one(lab.randomCommand(), 5, true);
  const before = lab.network.requests;
  for (let n = 0; n < commands; n += 1) lab.one(lab.randomCommand(), 5, true);
  atMost(lab, 'rpcsPerCommand', (lab.network.requests - before) / commands, 16);
}

function lossyBytes(lab: RaftLab): void {
  const commandBytes = 5000;
  const commands = 40;
  lab.one('first', 3, true);
  const before = lab.network.bytes;
  for (let n = 0; n < commands; n += 1) lab.one(lab.randomCommand().padEnd(commandBytes, 'x'), 3, true);
  const bytes = lab.network.bytes - before;
  // Once to each of the two followers, and what is lost again.
  atMost(lab, 'copiesPerFollower', bytes / (2 * commands * commandBytes), 2);
}

function deadFollowers(lab: RaftLab): void {
  const seconds = 20;
  lab.one(lab.randomCommand(), 5, true);
  const leader = lab.checkOneLeader();
  lab.crash(leader + 1, leader + 2);
  lab.sleep(2000);
  const before = lab.network.requests;
  lab.sleep(seconds * 1000);
  // Eight heartbeats a second to each live one, and no more for those that are dead.
  atMost(lab, 'idleRpcsPerS', (lab.network.requests - before) / seconds, 32);
}

function catchUp(lab: RaftLab): void {
  const missed = 2000;
  lab.one(lab.randomCommand(), 3, true);
  const leader = lab.checkOneLeader();
  const away = lab.server(leader + 1);
  lab.disconnect(leader + 1);
  for (let n = 0; n < missed / 50; n += 1) {
    for (let i = 0; i < 50; i += 1) lab.propose(leader, lab.randomCommand());
    lab.sleep(100);
  }
  lab.one(lab.randomCommand(), 2, true);
  const before = { rpcs: lab.network.receivedBy(away.id), bytes: lab.network.bytes, nowMs: lab.events.nowMs };
  lab.connect(leader + 1);
  lab.one(lab.randomCommand(), 3, true);
  atMost(lab, 'catchUpRpcs', lab.network.receivedBy(away.id) - before.rpcs, 12);
  // An entry takes 31 B. Messages that overtake each other are refused, and the rest is sent again: once, rarely (seed 858) twice.
  // Mostly nothing is: many-seeds.test.ts.
  atMost(lab, 'catchUpBytesPerCommand', (lab.network.bytes - before.bytes) / missed, 95);
  atMost(lab, 'catchUpMs', lab.events.nowMs - before.nowMs, 2000);
}

/** Logs that differ in several terms come together in a few messages, however long the difference (5.3, conflict hints). */
function conflict(lab: RaftLab): void {
  lab.one(lab.randomCommand(), 5, true);
  const stale: RaftServer[] = [];
  for (let round = 0; round < 2; round += 1) {
    // It goes on alone, with what nobody will ever commit.
    const leader = lab.checkOneLeader();
    stale.push(lab.server(leader));
    lab.disconnect(leader);
    for (let n = 0; n < 300; n += 1) lab.propose(leader, lab.randomCommand());
    for (let n = 0; n < 20; n += 1) lab.one(lab.randomCommand(), 4 - round, true);
  }
  const before = stale.map(({ id }) => lab.network.receivedBy(id));
  lab.connect(...lab.places);
  lab.one(lab.randomCommand(), 5, true);
  const rpcs = stale.map(({ id }, i) => lab.network.receivedBy(id) - before[i]!);
  atMost(lab, 'repairRpcs', Math.max(...rpcs), 8);
}

function failover(lab: RaftLab): void {
  const gapsMs: number[] = [];
  lab.one(lab.randomCommand(), 5, true);
  for (let round = 0; round < 15; round += 1) {
    const leader = lab.checkOneLeader();
    lab.crash(leader);
    const crashedMs = lab.events.nowMs;
    while (!lab.servers.some(({ leads }) => leads)) lab.sleep(10);
    gapsMs.push(lab.events.nowMs - crashedMs);
    lab.start(leader);
    lab.one(lab.randomCommand(), 5, true);
  }
  gapsMs.sort((a, b) => a - b);
  lab.figures.medianFailoverMs = Math.round(gapsMs[gapsMs.length >> 1]!);
  atMost(lab, 'worstFailoverMs', Math.round(gapsMs.at(-1)!), 5000);
}

const LOSSY = { unreliable: true };

export const RAFT_COST_TESTS: readonly LabTest[] = [
  raftTest('TestLossyRPCs beyond', { servers: 5, ...LOSSY }, '≤ 16 RPCs a command on an unreliable network', lossyRpcs),
  raftTest(
    'TestLossyBytes beyond',
    { servers: 3, ...LOSSY },
    'each command at most twice to each follower',
    lossyBytes,
  ),
  raftTest('TestDeadFollowers beyond', { servers: 5 }, '≤ 32 RPCs/s, idle, 2 of 5 dead', deadFollowers),
  raftTest('TestCatchUp beyond', { servers: 3 }, '2,000 commands in ≤ 12 RPCs, ≤ 95 B each, 2 s', catchUp),
  raftTest('TestConflict beyond', { servers: 5 }, 'two logs, 300 entries off, repaired in ≤ 8 RPCs each', conflict),
  raftTest('TestFailover beyond', { servers: 5 }, 'a leader within 5 s of the crash, 15 times', failover),
];
