/** Figure 8 of the paper: leaders that fall at once, so that entries of old terms are everywhere and committed nowhere. */
import { LAB_ELECTION_TIMEOUT_MS, type RaftLab } from './raft-lab.ts';

const FIGURE8_ITERATIONS = 1000;

/** Mostly too short to commit anything, sometimes long enough. */
function figure8Pause(lab: RaftLab): number {
  return lab.random.chance(0.1) ? lab.random.int(0, LAB_ELECTION_TIMEOUT_MS / 2 - 1) : lab.random.int(0, 12);
}

export function figure8(lab: RaftLab): void {
  lab.one(lab.randomCommand(), 1, true);
  for (let i = 0; i < FIGURE8_ITERATIONS; i += 1) {
    const taken = lab.proposeEverywhere(lab.randomCommand());
    lab.sleep(figure8Pause(lab));
    if (taken !== null) lab.crash(taken.place);
    if (lab.servers.filter(({ up }) => up).length >= 3) continue;
    const place = lab.random.int(0, 4);
    if (!lab.server(place).up) lab.start(place);
  }
  for (const place of lab.places) if (!lab.server(place).up) lab.start(place);
  lab.one(lab.randomCommand(), 5, true);
  lab.figures.leaders = lab.safety.leaders;
}

export function figure8Unreliable(lab: RaftLab): void {
  lab.one(lab.randomCommand(), 1, true);
  for (let i = 0; i < FIGURE8_ITERATIONS; i += 1) {
    if (i === 200) lab.network.longReordering = true;
    let leader: number | null = null;
    const command = lab.randomCommand();
    for (const place of lab.places)
      if (lab.propose(place, command) !== null && lab.server(place).connected) leader = place;
    lab.sleep(figure8Pause(lab));
    if (leader !== null && lab.random.chance(0.5)) lab.disconnect(leader);
    if (lab.servers.filter(({ connected }) => connected).length >= 3) continue;
    lab.connect(lab.random.int(0, 4));
  }
  lab.connect(...lab.places);
  const healedMs = lab.events.nowMs;
  lab.one(lab.randomCommand(), 5, true);
  lab.figures.lastAgreementMs = Math.round(lab.events.nowMs - healedMs);
  lab.figures.leaders = lab.safety.leaders;
}
