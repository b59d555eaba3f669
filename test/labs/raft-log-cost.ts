/** The two tests of part 3B that are about cost: how fast logs that differ come together, and how many RPCs it all takes. */
import { LabFailure } from './lab.ts';
import { LAB_ELECTION_TIMEOUT_MS, type RaftLab } from './raft-lab.ts';

const BATCH = 50;

export function backup(lab: RaftLab): void {
  lab.one(lab.randomCommand(), 5, true);
  const first = lab.checkOneLeader();
  const minority = [first, first + 1];
  const majority = [first + 2, first + 3, first + 4];
  lab.disconnect(...majority);
  startMany(lab, first);
  lab.sleep(LAB_ELECTION_TIMEOUT_MS / 2);

  lab.disconnect(...minority);
  lab.connect(...majority);
  agreeMany(lab);

  // The second leader keeps one of its two followers, and commits nothing more.
  const second = lab.checkOneLeader();
  const other = second === lab.places[(first + 2) % 5] ? first + 3 : first + 2;
  lab.disconnect(other);
  startMany(lab, second);
  lab.sleep(LAB_ELECTION_TIMEOUT_MS / 2);

  // The first leader with its follower, both far behind, and the one that has everything committed.
  lab.disconnect(...lab.places);
  lab.connect(...minority, other);
  agreeMany(lab);

  lab.connect(...lab.places);
  lab.one(lab.randomCommand(), 5, true);
}

function startMany(lab: RaftLab, place: number): void {
  for (let i = 0; i < BATCH; i += 1) {
    if (lab.propose(place, lab.randomCommand()) === null) throw new LabFailure(`server ${place + 1} does not lead`);
  }
}

function agreeMany(lab: RaftLab): void {
  for (let i = 0; i < BATCH; i += 1) lab.one(lab.randomCommand(), 3, true);
}

const MAX_ELECTION_RPCS = 30;
const COUNTED = 10;
const MAX_AGREEMENT_RPCS = (COUNTED + 1 + 3) * 3;
const MAX_IDLE_RPCS = 3 * 20;

export function countRpcs(lab: RaftLab): void {
  lab.checkOneLeader();
  const electionRpcs = lab.network.receivedByAll;
  lab.figures.electionRpcs = electionRpcs;
  if (electionRpcs < 1 || electionRpcs > MAX_ELECTION_RPCS)
    throw new LabFailure(`${electionRpcs} RPCs to elect the first leader`);
  countAgreement(lab);
  const before = lab.network.receivedByAll;
  lab.sleep(1000);
  const idleRpcs = lab.network.receivedByAll - before;
  lab.figures.idleRpcsPerS = idleRpcs;
  if (idleRpcs > MAX_IDLE_RPCS) throw new LabFailure(`${idleRpcs} RPCs in an idle second`);
}

function countAgreement(lab: RaftLab): void {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    if (attempt > 0) lab.sleep(3000);
    const leader = lab.checkOneLeader();
    const before = lab.network.receivedByAll;
    const first = lab.propose(leader, '1');
    if (first === null) continue;
    const commands = Array.from({ length: COUNTED + 1 }, () => lab.randomCommand());
    const started = commands.map((command) => lab.propose(leader, command));
    if (started.some((proposal) => proposal?.term !== first.term)) continue;
    started.forEach((proposal, i) => {
      if (proposal?.number !== first.number + 1 + i) throw new LabFailure(`command ${i} got a wrong number`);
    });
    const values = started.slice(0, COUNTED).map((proposal) => lab.drive(lab.wait(proposal!.number, 3, first.term)));
    if (values.includes(null)) continue;
    values.forEach((value, i) => {
      if (value !== commands[i]) throw new LabFailure(`command ${i} is not the one that was started`);
    });
    if (lab.servers.some(({ raft }) => raft.currentTerm !== first.term)) continue;
    const agreementRpcs = lab.network.receivedByAll - before;
    lab.figures.agreementRpcs = agreementRpcs;
    if (agreementRpcs > MAX_AGREEMENT_RPCS) throw new LabFailure(`${agreementRpcs} RPCs for ${COUNTED} commands`);
    return;
  }
  throw new LabFailure('the term changes in each of five tries');
}
