/** The labs' part 3B: agreement on the log. */
import { LabFailure, type LabTest } from './lab.ts';
import { LAB_ELECTION_TIMEOUT_MS, type RaftLab, raftTest } from './raft-lab.ts';
import { backup, countRpcs } from './raft-log-cost.ts';

function expectNumber(actual: number, ...allowed: number[]): void {
  if (!allowed.includes(actual)) throw new LabFailure(`command number ${actual}, not ${allowed.join(' or ')}`);
}

function proposeAt(lab: RaftLab, place: number, value: string): number {
  const proposal = lab.propose(place, value);
  if (proposal === null) throw new LabFailure(`server ${place + 1} led, and does not take ${value}`);
  return proposal.number;
}

function basicAgree(lab: RaftLab): void {
  for (let number = 1; number <= 3; number += 1) {
    lab.checkNotCommitted(number);
    expectNumber(lab.one(String(100 * number), 3, false), number);
  }
}

function rpcBytes(lab: RaftLab): void {
  const commandBytes = 5000;
  lab.one('99', 3, false);
  const bytesBefore = lab.network.bytes;
  for (let number = 2; number < 12; number += 1) {
    const command = lab.randomCommand().padEnd(commandBytes, 'x');
    expectNumber(lab.one(command, 3, false), number);
  }
  const bytes = lab.network.bytes - bytesBefore;
  lab.figures.tenCommandsBytes = bytes;
  if (bytes > 200_000) throw new LabFailure(`${bytes} bytes for ten commands of ${commandBytes}`);
}

function followerFailure(lab: RaftLab): void {
  lab.one('101', 3, false);
  const first = lab.checkOneLeader();
  lab.disconnect(first + 1);
  lab.one('102', 2, false);
  lab.sleep(LAB_ELECTION_TIMEOUT_MS);
  lab.one('103', 2, false);
  const second = lab.checkOneLeader();
  lab.disconnect(second + 1, second + 2);
  expectNumber(proposeAt(lab, second, '104'), 4);
  lab.sleep(2 * LAB_ELECTION_TIMEOUT_MS);
  lab.checkNotCommitted(4);
}

function leaderFailure(lab: RaftLab): void {
  lab.one('101', 3, false);
  lab.disconnect(lab.checkOneLeader());
  lab.one('102', 2, false);
  lab.sleep(LAB_ELECTION_TIMEOUT_MS);
  lab.one('103', 2, false);
  lab.disconnect(lab.checkOneLeader());
  for (const place of lab.places) lab.propose(place, '104');
  lab.sleep(2 * LAB_ELECTION_TIMEOUT_MS);
  lab.checkNotCommitted(4);
}

function failAgree(lab: RaftLab): void {
  lab.one('101', 3, false);
  const follower = lab.checkOneLeader() + 1;
  lab.disconnect(follower);
  lab.one('102', 2, false);
  lab.one('103', 2, false);
  lab.sleep(LAB_ELECTION_TIMEOUT_MS);
  lab.one('104', 2, false);
  lab.one('105', 2, false);
  lab.connect(follower);
  lab.one('106', 3, true);
  lab.sleep(LAB_ELECTION_TIMEOUT_MS);
  lab.one('107', 3, true);
}

function failNoAgree(lab: RaftLab): void {
  lab.one('10', 5, false);
  const leader = lab.checkOneLeader();
  const cut = [leader + 1, leader + 2, leader + 3];
  lab.disconnect(...cut);
  const number = proposeAt(lab, leader, '20');
  expectNumber(number, 2);
  lab.sleep(2 * LAB_ELECTION_TIMEOUT_MS);
  lab.checkNotCommitted(number);
  lab.connect(...cut);
  // The majority may have elected another leader meanwhile, which knows nothing of 20.
  expectNumber(proposeAt(lab, lab.checkOneLeader(), '30'), 2, 3);
  lab.one('1000', 5, true);
}

function concurrentStarts(lab: RaftLab): void {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    if (attempt > 0) lab.sleep(3000);
    const leader = lab.checkOneLeader();
    const first = lab.propose(leader, '1');
    if (first === null) continue;
    const commands = ['100', '101', '102', '103', '104'];
    const tasks = commands.map((command) => lab.spawn(startOne(lab, leader, command, first.term)));
    const numbers = lab.join(tasks).filter((number) => number !== null);
    const waits = lab.join([first.number, ...numbers].map((number) => lab.spawn(lab.wait(number, 3, first.term))));
    // The term has moved: once more.
    if (waits.includes(null) || lab.servers.some(({ raft }) => raft.currentTerm !== first.term)) continue;
    for (const command of ['1', ...commands])
      if (!waits.includes(command)) throw new LabFailure(`command ${command} is missing among ${waits.join(', ')}`);
    return;
  }
  throw new LabFailure('the term changes in each of five tries');
}

function* startOne(lab: RaftLab, leader: number, command: string, term: number) {
  yield lab.random.between(0, 2);
  const proposal = lab.propose(leader, command);
  return proposal === null || proposal.term !== term ? null : proposal.number;
}

function rejoin(lab: RaftLab): void {
  lab.one('101', 3, true);
  const first = lab.checkOneLeader();
  lab.disconnect(first);
  for (const command of ['102', '103', '104']) lab.propose(first, command);
  lab.one('103', 2, true);
  const second = lab.checkOneLeader();
  lab.disconnect(second);
  lab.connect(first);
  lab.one('104', 2, true);
  lab.connect(second);
  lab.one('105', 3, true);
}

export const RAFT_AGREEMENT_TESTS: readonly LabTest[] = [
  raftTest('TestBasicAgree3B', { servers: 3 }, 'commands 1, 2, 3, each within 2 s', basicAgree),
  raftTest('TestRPCBytes3B', { servers: 3 }, '10 commands of 5,000 B in at most 200,000 B', rpcBytes),
  raftTest('TestFollowerFailure3B', { servers: 3 }, 'no commit without a majority, in 2 s', followerFailure),
  raftTest('TestLeaderFailure3B', { servers: 3 }, 'no commit without a majority, in 2 s', leaderFailure),
  raftTest('TestFailAgree3B', { servers: 3 }, 'each command within 2 s; on all 3 within 10 s', failAgree),
  raftTest('TestFailNoAgree3B', { servers: 5 }, 'no commit without a majority, in 2 s', failNoAgree),
  raftTest('TestConcurrentStarts3B', { servers: 3 }, 'all 6 commands, within five tries', concurrentStarts),
  raftTest('TestRejoin3B', { servers: 3 }, 'each command within 10 s', rejoin),
  raftTest('TestBackup3B', { servers: 5 }, 'each command within 10 s, all within 120 s', backup),
  raftTest('TestCount3B', { servers: 3 }, 'election ≤ 30 RPCs, 10 commands ≤ 42, idle second ≤ 60', countRpcs),
];
