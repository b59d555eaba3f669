/**
 * The labs' part 3C: persistence. A crash here takes with it what was not flushed, which the course's crash never does.
 */
import { LabFailure, type LabTest } from './lab.ts';
import { churn } from './raft-churn.ts';
import { figure8, figure8Unreliable } from './raft-figure8.ts';
import { LAB_ELECTION_TIMEOUT_MS, type RaftLab, raftTest, type Steps } from './raft-lab.ts';

function persist1(lab: RaftLab): void {
  lab.one('11', 3, true);
  lab.crash(...lab.places);
  lab.start(...lab.places);
  lab.one('12', 3, true);
  lab.restart(lab.checkOneLeader());
  lab.one('13', 3, true);

  const leader = lab.checkOneLeader();
  lab.disconnect(leader);
  lab.one('14', 2, true);
  lab.restart(leader);
  lab.drive(lab.wait(4, 3));

  const follower = lab.checkOneLeader() + 1;
  lab.disconnect(follower);
  lab.one('15', 2, true);
  lab.restart(follower);
  lab.one('16', 3, true);
}

function persist2(lab: RaftLab): void {
  let number = 1;
  const next = (expected: number): void => {
    const actual = lab.one(String(10 + number), expected, true);
    if (actual < number) throw new LabFailure(`command ${actual} after ${number - 1}`);
    number = actual + 1;
  };
  for (let round = 0; round < 5; round += 1) {
    next(5);
    const leader = lab.checkOneLeader();
    lab.disconnect(leader + 1, leader + 2);
    next(3);
    lab.disconnect(leader, leader + 3, leader + 4);
    lab.restart(leader + 1, leader + 2);
    lab.sleep(LAB_ELECTION_TIMEOUT_MS);
    lab.restart(leader + 3);
    next(3);
    lab.connect(leader + 4, leader);
  }
  lab.one('1000', 5, true);
}

function persist3(lab: RaftLab): void {
  lab.one('101', 3, true);
  const leader = lab.checkOneLeader();
  lab.disconnect(leader + 2);
  lab.one('102', 2, true);
  lab.crash(leader, leader + 1);
  lab.connect(leader + 2);
  lab.start(leader);
  lab.one('103', 2, true);
  lab.start(leader + 1);
  lab.one('104', 3, true);
}

function unreliableAgree(lab: RaftLab): void {
  const tasks = [];
  const beside = function* (command: string): Steps<number> {
    return yield* lab.agreement(command, 1, true);
  };
  for (let round = 1; round < 50; round += 1) {
    for (let client = 0; client < 4; client += 1) tasks.push(lab.spawn(beside(String(100 * round + client))));
    lab.one(String(round), 1, true);
  }
  lab.network.reliable = true;
  lab.join(tasks);
  lab.one('100', 5, true);
}

const FIVE = { servers: 5 };

export const RAFT_PERSISTENCE_TESTS: readonly LabTest[] = [
  raftTest('TestPersist13C', { servers: 3 }, 'each command within 10 s, after each crash', persist1),
  raftTest('TestPersist23C', FIVE, 'each command within 10 s, after each crash', persist2),
  raftTest('TestPersist33C', { servers: 3 }, 'each command within 10 s, after each crash', persist3),
  raftTest('TestFigure83C', FIVE, 'all 5 agree within 10 s at the end; within 120 s', figure8),
  raftTest('TestUnreliableAgree3C', { ...FIVE, unreliable: true }, 'each command within 10 s', unreliableAgree),
  raftTest(
    'TestFigure8Unreliable3C',
    { ...FIVE, unreliable: true },
    'all 5 agree within 10 s at the end',
    figure8Unreliable,
  ),
  raftTest('TestReliableChurn3C', FIVE, 'nothing that a client saw committed is lost', churn),
  raftTest(
    'TestUnreliableChurn3C',
    { ...FIVE, unreliable: true },
    'nothing that a client saw committed is lost',
    churn,
  ),
];
