/** One random life of a small group, by seed: messages lost, doubled, late and out of order, disks behind, crashes. */
import { Random } from '../simulation/random.ts';
import { Cluster } from './cluster.ts';
import { diskWith, emptyDisk, type Sent } from './core-host.ts';
import { configurationOf } from './entries.ts';
import { Safety } from './safety.ts';

const STEPS = 1500;
/** Long enough for any election and any repair of so small a group. */
const PATIENCE_MS = 60_000;

export class RandomSchedule {
  readonly random: Random;
  readonly group: Cluster;
  readonly safety: Safety;
  readonly peers: number;
  readonly #down = new Set<number>();
  /** Messages that take a very long way. */
  readonly #astray: Sent[] = [];
  /** How wild this life is; calm ones get further. */
  readonly #weather: {
    drop: number;
    duplicate: number;
    astray: number;
    crash: number;
    cut: number;
    flush: number;
    pauseMs: number;
  };
  #proposed = 0;
  #nextRead = 1;

  constructor(seed: number) {
    const random = new Random(seed);
    this.random = random;
    this.peers = random.pick([1, 3, 3, 3, 5]);
    this.#weather = {
      drop: random.pick([0, 0.05, 0.3]),
      duplicate: random.pick([0, 0.1, 0.3]),
      astray: random.pick([0, 0.05, 0.2]),
      crash: random.pick([0, 0.005, 0.02]),
      cut: random.pick([0, 0.01]),
      flush: random.pick([0.3, 0.6, 1]),
      pauseMs: random.pick([5, 20, 100]),
    };
    const tailEntries = random.int(1, 6);
    const limits = {
      messageEntries: random.int(1, 4),
      callsInFlight: random.int(2, 6),
      applyBytes: random.pick([40, 4000]),
      tailEntries,
      tailBytes: tailEntries * 40,
      retainedBytes: random.pick([300, 100_000]),
    };
    const founded = random.chance(0.8);
    this.group = new Cluster({
      peers: this.peers,
      disks: Array.from({ length: this.peers }, () => (founded ? diskWith(this.peers, [1]) : emptyDisk())),
      host: () => ({ random: () => random.float(), limits, flushAtOnce: false, chunkItems: 8 }),
    });
    this.safety = new Safety(this.group.hosts);
    this.group.watch(this.safety);
    this.group.onSent = (host, message) => this.safety.sent(host, message);
    // Some delays are longer than a call may take: its reply comes after its failure.
    this.group.onDelivery = () => {
      for (const host of this.group.hosts.values()) host.callBudget = random.pick([0, 1, 4, 32]);
    };
  }

  run(): void {
    this.#found();
    for (let step = 0; step < STEPS; step += 1) {
      this.#act();
      for (const host of this.group.hosts.values()) this.safety.turned(host);
    }
    this.#recover();
  }

  /** The host of peer 1 founds the group when all have joined it, and again if a crash undid that. */
  #found(): void {
    const { raft } = this.group.host(1);
    if (raft.log.lastIndex > 0) return;
    this.group.host(1).input({ type: 'found', configuration: configurationOf(this.peers) });
  }

  #act(): void {
    const { random, group } = this;
    const host = group.host(random.int(1, this.peers));
    if (random.chance(this.#weather.crash)) return this.#crashOrStart(host.id);
    if (random.chance(this.#weather.cut)) return this.#cutOrHeal(host.id);
    if (random.chance(this.#weather.flush)) {
      host.flush(random.int(1, 3));
      group.collect();
    }
    const dice = random.float();
    if (dice < 0.02) return this.#deliverAstray();
    if (dice < 0.7) return this.#deliverOne();
    if (dice < 0.85) return group.advance(random.int(1, this.#weather.pauseMs), { settle: false, stepMs: 100 });
    if (this.#down.has(host.id)) return;
    const leaders = [...group.hosts.values()].filter(({ id, raft }) => raft.role === 'leader' && !this.#down.has(id));
    const { id } = random.pick(leaders.length > 0 ? leaders : [host]);
    if (dice < 0.92) this.#propose(id);
    else if (dice < 0.98) this.#read(id);
    else host.stand();
    group.collect();
  }

  /** Any message under way, not the oldest: reordered; perhaps lost, perhaps kept to come again. */
  #deliverOne(): void {
    const { random, group } = this;
    group.collect();
    const packet = group.inTransit[random.int(0, Math.max(0, group.inTransit.length - 1))];
    if (packet === undefined) return;
    if (!random.chance(this.#weather.duplicate)) group.take((message) => message === packet.message);
    if (random.chance(this.#weather.drop)) return;
    if (random.chance(this.#weather.astray)) this.#astray.push(packet);
    else group.inject(packet);
  }

  #deliverAstray(): void {
    if (this.#astray.length === 0) return;
    const [packet] = this.#astray.splice(this.random.int(0, this.#astray.length - 1), 1);
    if (packet !== undefined) this.group.inject(packet);
  }

  #propose(id: number): void {
    this.#proposed += 1;
    this.group.host(id).propose(`c${this.#proposed}`);
  }

  #read(id: number): void {
    this.group.host(id).read(this.#nextRead);
    this.#nextRead += 1;
  }

  #crashOrStart(id: number): void {
    if (this.#down.has(id)) {
      this.#down.delete(id);
      this.group.start(id);
    } else {
      this.#down.add(id);
      this.group.crash(id);
    }
  }

  #cutOrHeal(id: number): void {
    const dice = this.random.float();
    if (dice < 0.5) this.group.heal();
    else if (dice < 0.8) this.group.isolate(id);
    else this.group.cutOneWay(id, (id % this.peers) + 1);
  }

  /** Everything works again: somebody must lead, something must commit, and all peers must come to the same state. */
  #recover(): void {
    const { group } = this;
    group.heal();
    group.onDelivery = null;
    // A round trip may be longer than a heartbeat's interval: regions are far from each other.
    group.latencyMs = this.random.pick([0, 40, 80]);
    for (const host of group.hosts.values()) {
      host.callBudget = 32;
      host.flushAtOnce = true;
      host.flush();
    }
    for (const id of [...this.#down]) this.#crashOrStart(id);
    this.#found();
    for (let waitedMs = 0; !this.#agreed(); waitedMs += 500) {
      if (waitedMs > PATIENCE_MS) throw new Error('everything works, and still nothing gets on');
      // A leader may fall and take it with it: then once more.
      if (waitedMs % 2000 === 0) group.leader?.propose('last');
      group.advance(500, { stepMs: 20 });
    }
    for (const host of group.hosts.values()) this.safety.turned(host);
    this.#readOnceMore();
  }

  #agreed(): boolean {
    const states = [...this.group.hosts.values()].map(({ disk }) => disk.state);
    const lengths = new Set(states.map((state) => state.length));
    return this.group.leader !== null && lengths.size === 1 && states.every((state) => state.at(-1) === 'last');
  }

  #readOnceMore(): void {
    const leader = this.group.leader!;
    leader.read(this.#nextRead);
    this.group.advance(500);
    if (leader.reads.get(this.#nextRead)?.outcome !== 'ready') throw new Error('a read is never answered');
  }
}
