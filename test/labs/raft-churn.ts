/** Clients that write all the time while servers come and go: what a client saw committed is in the log at the end. */
import { LabFailure } from './lab.ts';
import { LAB_ELECTION_TIMEOUT_MS, type RaftLab, type Steps } from './raft-lab.ts';

const CLIENTS = 3;
const ROUNDS = 20;
/** More than the 5 s in which a connected majority has a leader. In a few seeds of a thousand it is never together for so long. */
const ROUNDS_TO_ELECT = 8;
/** How long a client looks whether its command is committed, in pieces. */
const LOOKS_MS = [10, 20, 50, 100, 200];

export function churn(lab: RaftLab): void {
  const running = { stop: false };
  const clients = Array.from({ length: CLIENTS }, (_, i) => lab.spawn(client(lab, i, running)));
  let together = 0;
  let longestTogether = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    disturb(lab);
    lab.sleep(0.7 * LAB_ELECTION_TIMEOUT_MS);
    const there = lab.servers.filter((server) => server.connected && server.up).length;
    together = 2 * there > lab.servers.length ? together + 1 : 0;
    longestTogether = Math.max(longestTogether, together);
  }
  lab.sleep(LAB_ELECTION_TIMEOUT_MS);
  lab.network.reliable = true;
  for (const place of lab.places) {
    if (!lab.server(place).up) lab.start(place);
    lab.connect(place);
  }
  running.stop = true;
  const seen = lab.join(clients).flat();
  lab.sleep(LAB_ELECTION_TIMEOUT_MS);

  const last = lab.one(lab.randomCommand(), lab.servers.length, true);
  if (seen.length === 0 && longestTogether >= ROUNDS_TO_ELECT)
    throw new LabFailure(
      `no client saw a command committed, though a majority was together for ${longestTogether} rounds`,
    );
  for (const { id, disk } of lab.servers) {
    const log = new Set(disk.values.slice(0, last));
    const lost = seen.filter((command) => !log.has(command));
    if (lost.length > 0) throw new LabFailure(`server ${id} lost ${lost.length} committed commands: ${lost[0]}, …`);
  }
  lab.figures.committedSeen = seen.length;
}

function disturb(lab: RaftLab): void {
  const { random } = lab;
  const any = (): number => random.int(0, lab.servers.length - 1);
  if (random.chance(0.2)) lab.disconnect(any());
  if (random.chance(0.5)) {
    const place = any();
    if (!lab.server(place).up) lab.start(place);
    lab.connect(place);
  }
  if (random.chance(0.2)) {
    const place = any();
    if (lab.server(place).up) lab.crash(place);
  }
}

function* client(lab: RaftLab, place: number, running: { readonly stop: boolean }): Steps<string[]> {
  const committed: string[] = [];
  while (!running.stop) {
    const command = lab.randomCommand();
    const taken = lab.proposeEverywhere(command);
    if (taken === null) {
      yield 79 + 17 * place;
      continue;
    }
    for (const pauseMs of LOOKS_MS) {
      const { count, value } = lab.committed(taken.number);
      if (count > 0) {
        if (value === command) committed.push(command);
        break;
      }
      yield pauseMs;
    }
  }
  return committed;
}
