/** What disturbs a cluster while clients are at work: each goes on as long as it is told to, and leaves its last trace behind. */
import { type Cluster, SETTLE_MS } from './kv-cluster.ts';

export type Disturbance = (cluster: Cluster, goesOn: () => boolean) => Promise<void>;

/** The labs' partitioner: another random split in two every 1.0 to 1.2 s. */
export const partitions: Disturbance = async (cluster, goesOn) => {
  while (goesOn()) {
    const left = cluster.slots.filter(() => cluster.random.chance(0.5));
    const right = cluster.slots.filter((slot) => !left.includes(slot));
    cluster.partition(left, right);
    await cluster.sleep(SETTLE_MS + cluster.random.int(0, 199));
  }
};

/** Not in the labs: links that work in one direction only. Those from or to one server, most of the time the leader. */
export const oneWayCuts: Disturbance = async (cluster, goesOn) => {
  const { random } = cluster;
  while (goesOn()) {
    cluster.connectAll();
    const leader = cluster.leader();
    const victim = leader === null || random.chance(0.3) ? random.pick(cluster.slots) : leader;
    const deaf = random.chance(0.5);
    for (const other of cluster.slots) {
      if (other === victim || random.chance(0.2)) continue;
      if (deaf) cluster.cutOneWay(other, victim);
      else cluster.cutOneWay(victim, other);
    }
    await cluster.sleep(SETTLE_MS + random.int(0, 199));
  }
};

/** Not in the labs: a server's clock is suddenly another one, by up to an hour: what would expire every session. */
export const clockJumps: Disturbance = async (cluster, goesOn) => {
  const JUMP_MS = 3_600_000;
  const { random } = cluster;
  while (goesOn()) {
    cluster.object(random.pick(cluster.slots)).clockOffsetMs += random.int(-JUMP_MS, JUMP_MS);
    await cluster.sleep(random.int(50, 500));
  }
};

/** Not in the labs: servers end in the moment in which they have written what is not yet on disk: one of them, or all. */
export const crashesBeforeFlush: Disturbance = async (cluster, goesOn) => {
  const { random } = cluster;
  while (goesOn()) {
    const leader = cluster.leader();
    if (leader === null || !cluster.object(leader).disk.unflushed) {
      await cluster.sleep(1);
      continue;
    }
    const slots = random.chance(0.3) ? cluster.slots : [leader];
    cluster.crash(slots, random.int(0, 300));
    await cluster.sleep(random.int(300, 900));
  }
};
