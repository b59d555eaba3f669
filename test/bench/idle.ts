/**
 *     npm run bench:idle [-- --rounds 5 --quiet-seconds 60 --peers 3]
 *
 * What a group costs that nobody uses, with the settings of wrangler.toml: once all peers sleep, their counters before and after a
 * quiet minute, which must be equal. Then how long the first put takes, with the leader there and without it. The status of a
 * missed target is 1.
 *
 * Somebody looks at /metrics all the while: that is no use, and keeps the objects, and so their counters, in memory.
 */
import { parseArgs } from 'node:util';
import { startLocalGroup } from '../../src/cli/local-group.ts';
import type { ServedWorker } from '../../src/cli/serve-worker.ts';
import { electionTimeoutMs } from './failover.ts';
import {
  allReached,
  checkCounting,
  type FirstPuts,
  firstPutLines,
  firstPutVerdicts,
  idleTable,
  idleVerdicts,
} from './idle-report.ts';
import { type Metrics, oldest, readMetrics } from './metrics.ts';
import { Progress } from './progress.ts';
import { median } from './quantile.ts';
import { BenchGroup, sleep } from './served-group.ts';
import { verdictLines } from './table.ts';
import type { Verdict } from './targets.ts';

interface IdleOptions {
  readonly rounds: number;
  readonly quietSeconds: number;
  readonly peers: number;
}

const VALUE = new Uint8Array(64).fill(120);
const WARM_PUTS = 100;
const LOOK_MS = 2000;
/** QUIESCE_AFTER_MS as shipped, and the handshake: what the progress reckons with. */
const SLEEP_SECONDS = 11;
/** A handshake that fails is tried again. */
const ASLEEP_TIMEOUT_MS = 60_000;
const CAUGHT_UP_TIMEOUT_MS = 30_000;
/** The object that was told to crash ends 10 ms after it said so. */
const CRASH_MS = 25;
const PUT_TIMEOUT_MS = 30_000;
const RETRY_MS = 5;

class IdleBench {
  readonly #url: string;
  readonly #group: BenchGroup;
  readonly #options: IdleOptions;
  readonly #progress: Progress;
  #puts = 0;

  constructor({ url }: ServedWorker, options: IdleOptions) {
    this.#url = url;
    this.#group = new BenchGroup(url, 4);
    this.#options = options;
    this.#progress = new Progress(3 * options.rounds * SLEEP_SECONDS + options.quietSeconds);
  }

  close(): void {
    this.#group.close();
  }

  async run(): Promise<Verdict[]> {
    const { rounds, quietSeconds } = this.#options;
    const puts = { warmMs: [await this.#warmPutMs()], leaderThereMs: [] as number[] };
    const verdicts = await this.#quietTime(quietSeconds);
    puts.leaderThereMs.push(await this.#putMs());
    while (puts.leaderThereMs.length < rounds) {
      puts.warmMs.push(await this.#warmPutMs());
      await this.#asleep('the leader there');
      puts.leaderThereMs.push(await this.#putMs());
    }
    const leaderCrashedMs = await this.#withoutLeader('crash');
    const leaderCutOffMs = await this.#withoutLeader('isolate');
    this.#progress.clear();
    const all: FirstPuts = { ...puts, leaderCrashedMs, leaderCutOffMs, electionTimeoutMs: electionTimeoutMs() };
    console.log(`\n${firstPutLines(all)}\n(election timeout: ${all.electionTimeoutMs} ms)`);
    return [...verdicts, ...firstPutVerdicts(all)];
  }

  async #quietTime(seconds: number): Promise<Verdict[]> {
    const before = await this.#asleep('the quiet time');
    checkCounting(before);
    let after = before;
    for (const endMs = performance.now() + seconds * 1000; performance.now() < endMs; ) {
      const leftMs = Math.min(LOOK_MS, Math.max(1, endMs - performance.now()));
      await sleep(leftMs);
      after = await readMetrics(this.#url);
      this.#progress.step(leftMs / 1000, `${seconds} quiet seconds`);
    }
    this.#progress.clear();
    console.log(`${seconds} seconds while all sleep: what was counted before them, and in them\n`);
    console.log(idleTable(before, after));
    return idleVerdicts(before, after);
  }

  /** First puts of a sleeping group whose leader has lost its memory, or is there and reaches nobody. */
  async #withoutLeader(action: 'crash' | 'isolate'): Promise<number[]> {
    const times: number[] = [];
    while (times.length < this.#options.rounds) {
      await this.#putMs();
      await this.#asleep(`the leader ${action === 'crash' ? 'crashed' : 'cut off'}`);
      const { leader, term } = await this.#group.cluster();
      if (leader === null) throw new Error('nobody leads');
      await this.#group.chaos(leader, { action });
      await sleep(CRASH_MS);
      times.push(await this.#putMs());
      const now = await this.#group.cluster();
      if (action === 'isolate' && now.term === term) throw new Error(`leader ${leader} was cut off, and leads on`);
      await this.#group.chaos(leader, { action: 'heal' });
      await this.#group.caughtUp(CAUGHT_UP_TIMEOUT_MS);
    }
    return times;
  }

  /** Waits until all peers sleep. */
  async #asleep(purpose: string): Promise<Metrics> {
    const endMs = performance.now() + ASLEEP_TIMEOUT_MS;
    while (performance.now() < endMs) {
      this.#progress.step(0, `waiting for the sleep; then the first put, ${purpose}`);
      const metrics = await readMetrics(this.#url);
      if (metrics.get('peer_quiesced')?.size === this.#options.peers && oldest(metrics, 'peer_quiesced') === 1) {
        this.#progress.step(SLEEP_SECONDS, 'all sleep');
        return metrics;
      }
      await sleep(LOOK_MS / 10);
    }
    throw new Error(`not all peers sleep within ${ASLEEP_TIMEOUT_MS / 1000} s`);
  }

  /** Of a group that is awake. It reads as well. */
  async #warmPutMs(): Promise<number> {
    await this.#putMs();
    await this.#group.caughtUp(CAUGHT_UP_TIMEOUT_MS);
    const times: number[] = [];
    while (times.length < WARM_PUTS) {
      times.push(await this.#putMs());
      const { status } = await this.#group.request('GET', '/kv/idle-1');
      if (status !== 200) throw new Error(`a key that was written is not read: ${status}`);
    }
    return median(times);
  }

  /** Until it is acknowledged, however often it is begun. */
  async #putMs(): Promise<number> {
    this.#puts += 1;
    const startMs = performance.now();
    while (performance.now() - startMs < PUT_TIMEOUT_MS) {
      if (await this.#group.put(`idle-${this.#puts}`, VALUE)) return performance.now() - startMs;
      await sleep(RETRY_MS);
    }
    throw new Error('no put was acknowledged');
  }
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  console.error(`--${name} must be a positive integer, not ${text}`);
  process.exit(1);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      'quiet-seconds': { type: 'string', default: '60' },
      peers: { type: 'string', default: '3' },
    },
  });
  const peers = positive('peers', values.peers);
  const [rounds, quietSeconds] = [
    positive('rounds', values.rounds),
    positive('quiet-seconds', values['quiet-seconds']),
  ];
  // workerd ends with this process.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  const served = await startLocalGroup({ port: 0, peers, chaos: true });
  const bench = new IdleBench(served, { rounds, quietSeconds, peers });
  try {
    const verdicts = await bench.run();
    console.log(`\nTargets\n${verdictLines(verdicts)}`);
    if (!allReached(verdicts)) process.exitCode = 1;
  } finally {
    bench.close();
    await served.stop();
  }
}
