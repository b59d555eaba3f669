/** The labs' part 3A: leader election. */
import type { LabTest } from './lab.ts';
import { LAB_ELECTION_TIMEOUT_MS, type RaftLab, raftTest } from './raft-lab.ts';

const LEADER_BOUND = 'a leader within 5.5 s each time it is asked for';

function initialElection(lab: RaftLab): void {
  lab.checkOneLeader();
  lab.sleep(50);
  const term = lab.checkTerms();
  lab.sleep(2 * LAB_ELECTION_TIMEOUT_MS);
  // The course only warns; nothing here disturbs the leader.
  if (lab.checkTerms() !== term) throw new Error('the term changed without a failure');
  lab.checkOneLeader();
}

function reElection(lab: RaftLab): void {
  const first = lab.checkOneLeader();
  lab.disconnect(first);
  lab.checkOneLeader();
  lab.connect(first);
  const second = lab.checkOneLeader();
  lab.disconnect(second, second + 1);
  lab.sleep(2 * LAB_ELECTION_TIMEOUT_MS);
  lab.checkNoLeader();
  lab.connect(second + 1);
  lab.checkOneLeader();
  lab.connect(second);
  lab.checkOneLeader();
}

function manyElections(lab: RaftLab): void {
  lab.checkOneLeader();
  for (let round = 1; round < 10; round += 1) {
    const cut = [1, 2, 3].map(() => lab.random.int(0, lab.servers.length - 1));
    lab.disconnect(...cut);
    lab.checkOneLeader();
    lab.connect(...cut);
  }
  lab.checkOneLeader();
}

export const RAFT_ELECTION_TESTS: readonly LabTest[] = [
  raftTest('TestInitialElection3A', { servers: 3 }, `${LEADER_BOUND}; the term stays`, initialElection),
  raftTest('TestReElection3A', { servers: 3 }, `${LEADER_BOUND}; none without a majority`, reElection),
  raftTest('TestManyElections3A', { servers: 7 }, `${LEADER_BOUND}, 3 of 7 cut off`, manyElections),
];
