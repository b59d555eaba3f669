/**
 * `GenericTest` of the Get/Put/Append labs: three times five seconds of load, with what is wrong meanwhile; then every Append of
 * every client must be there once and in order, and all that was seen must be linearizable.
 */
import { Clerk, History } from './kv-clerk.ts';
import { Cluster, SETTLE_MS } from './kv-cluster.ts';
import { type Disturbance, partitions } from './kv-faults.ts';
import { LabFailure, type LabOptions, type LabReport } from './lab.ts';

const ITERATIONS = 3;
const LOAD_MS = 5000;
const LEAD_IN_MS = 1000;
/**
 * The labs' clients never rest. Over a thousand runs that would cost hours, and meet no more faults: so in most runs they work in waves, all
 * of them at once, for a part of every half second that is the smaller the more clients there are. In every twentieth they never rest.
 */
const RESTLESS_EVERY = 20;
const WAVE_EVERY_MS = 500;
const WAVE_MS = 120;

export interface GenericLoad {
  readonly clients: number;
  readonly servers: number;
  readonly unreliable?: boolean;
  readonly crash?: boolean;
  readonly partitions?: boolean;
  /** In place of partitions. */
  readonly disturbance?: Disturbance;
  readonly randomKeys?: boolean;
  /** Null: no compaction. */
  readonly maxRaftStateBytes?: number | null;
}

export async function genericTest(options: LabOptions, load: GenericLoad): Promise<LabReport> {
  const { servers, unreliable = false, maxRaftStateBytes = null } = load;
  const cluster = new Cluster(options, { servers, unreliable, maxRaftStateBytes });
  const test = new Generic(cluster, load);
  await cluster.run(() => test.script());
  return test.report();
}

class Generic {
  readonly #cluster: Cluster;
  readonly #load: GenericLoad;
  readonly #history = new History();
  readonly #checker: Clerk;
  readonly #clerks: readonly Clerk[];
  #loading = false;

  constructor(cluster: Cluster, load: GenericLoad) {
    this.#cluster = cluster;
    this.#load = load;
    this.#checker = new Clerk(cluster, this.#history, 'checker');
    this.#clerks = Array.from({ length: load.clients }, (_, i) => new Clerk(cluster, this.#history, `clerk${i}`));
  }

  async script(): Promise<void> {
    for (let i = 0; i < ITERATIONS; i += 1) await this.#iteration();
    this.#cluster.checkCompaction();
    this.#history.check();
  }

  async #iteration(): Promise<void> {
    const cluster = this.#cluster;
    const { crash = false } = this.#load;
    const disturbance = this.#load.disturbance ?? (this.#load.partitions === true ? partitions : null);
    this.#loading = true;
    const clients = cluster.beside(Promise.all(this.#clerks.map((clerk, number) => this.#client(clerk, number))));
    let disturbed = Promise.resolve();
    if (disturbance !== null) {
      await cluster.sleep(LEAD_IN_MS);
      disturbed = cluster.beside(disturbance(cluster, () => this.#loading));
    }
    await cluster.sleep(LOAD_MS);
    // Beyond the labs, whose servers crash when the clients are done: here they are at work.
    if (crash) await crashInWave(cluster);
    this.#loading = false;
    if (disturbance !== null) {
      await disturbed;
      cluster.connectAll();
      await cluster.sleep(SETTLE_MS);
    }
    await this.#checkAppends(await clients);
    cluster.checkRaftState();
  }

  /** Returns how many Appends it made. */
  async #client(clerk: Clerk, number: number): Promise<number> {
    const { random } = this.#cluster;
    const { randomKeys = false } = this.#load;
    let writes = 0;
    let last = '';
    if (!randomKeys) await clerk.put(String(number), last);
    while (await this.#mayGoOn()) {
      const key = String(randomKeys ? random.int(0, this.#load.clients - 1) : number);
      const value = `x ${number} ${writes} y`;
      if (random.chance(0.5)) {
        await clerk.append(key, value);
        last += value;
        writes += 1;
      } else if (randomKeys && random.chance(0.1)) {
        await clerk.put(key, value);
        writes += 1;
      } else {
        const seen = await clerk.get(key);
        if (!randomKeys && seen !== last) throw new LabFailure(`${clerk.name} expects ${last}, and gets ${seen}`);
      }
    }
    return writes;
  }

  async #mayGoOn(): Promise<boolean> {
    const { clients, unreliable = false } = this.#load;
    // On an unreliable network they wait for answers most of the time.
    await nextWave(this.#cluster, unreliable ? (WAVE_EVERY_MS * 2) / clients : WAVE_MS / clients);
    return this.#loading;
  }

  async #checkAppends(appends: readonly number[]): Promise<void> {
    if (this.#load.randomKeys) return;
    for (const [number, count] of appends.entries()) {
      checkAppends(await this.#checker.get(String(number)), number, count);
    }
  }

  report(): LabReport {
    const { answered } = this.#history;
    const figures = { ...this.#cluster.checkTraffic(answered), turnsLost: this.#cluster.turnsLost };
    return this.#cluster.report(answered, figures);
  }
}

/** At once within a wave, else at the beginning of the next one. */
export async function nextWave(cluster: Cluster, waveMs: number): Promise<void> {
  if (waveMs > 0 && cluster.seed % RESTLESS_EVERY === 1) return;
  const intoWaveMs = cluster.nowMs % WAVE_EVERY_MS;
  if (intoWaveMs > waveMs) await cluster.sleep(WAVE_EVERY_MS - intoWaveMs);
}

/** All servers end while a wave is under way, so that there is something to lose. */
export async function crashInWave(cluster: Cluster): Promise<void> {
  await nextWave(cluster, 0);
  await cluster.sleep(cluster.random.between(0, 40));
  await cluster.restartAll();
}

/** The client's Appends, each once, in order, and nothing else of it; others' may lie between. */
export function checkAppends(value: string, client: number, count: number): void {
  const found = [...value.matchAll(/x (\d+) (\d+) y/g)].filter(([, who]) => Number(who) === client);
  if (found.length !== count) {
    throw new LabFailure(`client ${client} made ${count} Appends, and ${found.length} are there: ${value}`);
  }
  found.forEach(([, , which], i) => {
    if (Number(which) !== i) throw new LabFailure(`client ${client}: Append ${which} where ${i} should be: ${value}`);
  });
}
