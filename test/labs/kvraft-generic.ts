/**
 * `GenericTest` of the 2025 labs: three times one second in which all clients race to put the next version of one key (or of a hundred), each
 * Put followed by a Get. No version may be given twice or be lost, and after each round everything seen is linearizable.
 */

import { SETTLE_MS } from './kv-cluster.ts';
import { partitions } from './kv-faults.ts';
import { crashInWave, type GenericLoad, nextWave } from './kv-generic.ts';
import { Scene } from './kv-scenarios.ts';
import { VersionedClerk, type VersionedClerkOptions } from './kvraft-clerk.ts';
import { LabFailure, type LabOptions, type LabReport } from './lab.ts';

const ITERATIONS = 3;
const LOAD_MS = 1000;
const LEAD_IN_MS = 1000;
/** See kv-generic.ts: this much of every half second, and less for more than five clients. */
const WAVE_MS = 200;
const RANDOM_KEYS = 100;
/**
 * Of every second clerk on an unreliable network: a Put takes some 40 ms there, and a router that hears nothing of a lost message waits
 * 1,500. So an answer that is lost without a word becomes an ErrMaybe, as any lost answer does in the labs. The other clerks' routers find
 * out what became of their Puts.
 */
const SHORT_PATIENCE_MS = 300;

/** What the clients were told of their Puts. */
interface Tally {
  ok: number;
  maybe: number;
  /** Of those, what was done: versions that no OK accounts for. Nobody counts them where keys are random. */
  maybeDone?: number;
}

export function versionedGenericTest(options: LabOptions, load: GenericLoad): Promise<LabReport> {
  const { servers, unreliable = false, maxRaftStateBytes = null } = load;
  const scene = new Scene(options, { servers, unreliable, maxRaftStateBytes });
  const test = new VersionedGeneric(scene, load);
  return scene.play(() => test.script());
}

export function versionedClerk(
  { cluster, history }: Scene,
  name: string,
  options?: VersionedClerkOptions,
): VersionedClerk {
  return new VersionedClerk(cluster, history, name, options);
}

class VersionedGeneric {
  readonly #scene: Scene;
  readonly #load: GenericLoad;
  readonly #checker: VersionedClerk;
  readonly #clerks: readonly VersionedClerk[];
  readonly #tally: Tally = { ok: 0, maybe: 0 };
  #loading = false;

  constructor(scene: Scene, load: GenericLoad) {
    this.#scene = scene;
    this.#load = load;
    this.#checker = versionedClerk(scene, 'checker');
    this.#clerks = Array.from({ length: load.clients }, (_, i) => {
      const impatient = load.unreliable === true && i % 2 === 1;
      return versionedClerk(scene, `clerk${i}`, impatient ? { patienceMs: SHORT_PATIENCE_MS } : {});
    });
  }

  async script(): Promise<Record<string, number>> {
    for (let i = 0; i < ITERATIONS; i += 1) await this.#iteration();
    const { cluster, history } = this.#scene;
    cluster.checkCompaction();
    return { ...this.#tally, turnsLost: cluster.turnsLost, ...cluster.checkTraffic(history.answered) };
  }

  async #iteration(): Promise<void> {
    const { cluster, history } = this.#scene;
    const { partitions: split = false, crash = false } = this.#load;
    this.#loading = true;
    const clients = cluster.beside(Promise.all(this.#clerks.map((clerk) => this.#client(clerk))));
    let partitioner = Promise.resolve();
    if (split) {
      await cluster.sleep(LEAD_IN_MS);
      partitioner = cluster.beside(partitions(cluster, () => this.#loading));
    }
    await cluster.sleep(LOAD_MS);
    // Beyond the labs, whose servers crash when the clients are done: here they are at work.
    if (crash) await crashInWave(cluster);
    this.#loading = false;
    if (split) {
      await partitioner;
      cluster.connectAll();
      await cluster.sleep(SETTLE_MS);
    }
    await clients;
    await this.#checkPuts();
    history.check();
    cluster.checkRaftState();
  }

  async #client(clerk: VersionedClerk): Promise<void> {
    const { cluster } = this.#scene;
    let puts = 0;
    while (await this.#mayGoOn()) {
      const key = this.#load.randomKeys === true ? String(cluster.random.int(0, RANDOM_KEYS - 1)) : 'k';
      const value = `${clerk.name} ${puts}`;
      puts += 1;
      const answer = await clerk.putVersion(key, value, clerk.known(key));
      if (answer.type === 'OK') this.#tally.ok += 1;
      if (answer.type === 'ErrMaybe') this.#tally.maybe += 1;
      await clerk.get(key);
      const seen = clerk.known(key);
      if (answer.type !== 'OK') continue;
      const lost = seen.version < answer.seen.version;
      const replaced = seen.version === answer.seen.version && seen.value !== value;
      if (lost || replaced)
        throw new LabFailure(`${clerk.name} put ${value} as ${answer.seen.version}, and sees ${JSON.stringify(seen)}`);
    }
  }

  async #mayGoOn(): Promise<boolean> {
    const { clients, unreliable = false } = this.#load;
    const waveMs = unreliable ? LOAD_MS : WAVE_MS;
    await nextWave(this.#scene.cluster, waveMs / Math.max(1, clients / 5));
    return this.#loading;
  }

  /** `CheckPutConcurrent`: as many versions as OKs; where the network loses messages, up to one more for each ErrMaybe. */
  async #checkPuts(): Promise<void> {
    if (this.#load.randomKeys === true) return;
    await this.#checker.get('k');
    const { version } = this.#checker.known('k');
    const { ok, maybe } = this.#tally;
    const { unreliable = false, partitions: split = false } = this.#load;
    if (!unreliable && !split && maybe > 0) throw new LabFailure(`${maybe} ErrMaybe on a reliable network`);
    const most = unreliable ? ok + maybe : ok;
    if (version < ok || version > most) {
      throw new LabFailure(`version ${version} after ${ok} OK and ${maybe} ErrMaybe`);
    }
    this.#tally.maybeDone = version - ok;
  }
}
