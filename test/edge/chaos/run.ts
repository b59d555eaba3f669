/** One run: the real runtime, clerks that never rest, faults that never end, and then the question whether all was well. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkStoreHistory } from '../../linearizability/check-store-history.ts';
import { Random } from '../../simulation/random.ts';
import { EdgeRuntime } from '../edge-runtime.ts';
import { countAppends } from './append-count.ts';
import { writeEvidence } from './evidence.ts';
import { type FaultKind, faultSchedule, type Pace } from './fault-schedule.ts';
import { awaitWhole, compareContents, readEverything } from './final-state.ts';
import { KeySpace } from './key-space.ts';
import { Nemesis } from './nemesis.ts';
import { PeerWatch } from './peer-watch.ts';
import { PlainClient } from './plain-client.ts';
import { Progress } from './progress.ts';
import { countsOf, type Report } from './report.ts';
import { type Finding, RunRecord } from './run-record.ts';
import { findStaleViolations } from './stale-reads.ts';
import { Transport } from './transport.ts';
import { outages } from './unavailability.ts';
import { Workload } from './workload.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly peers: 3 | 5;
  /** Of load and faults; healing and checking come after it. */
  readonly loadMs: number;
  readonly pace: Pace;
  /** These faults come first, each of them once, even if the load has to last longer for it; default: none. */
  readonly certainFaults?: readonly FaultKind[];
  readonly operationsPerSecond: number;
  /** 0: the system chooses. */
  readonly port: number;
  /** For the report, and on a violation for the evidence. */
  readonly directory: string;
  readonly print: (line: string) => void;
  readonly signal?: AbortSignal;
  /** The Worker, below the project's root; default: the product. For tests of the harness, which must catch a broken one. */
  readonly entry?: string;
}

export interface ChaosOutcome {
  readonly report: Report;
  /** Files that were written. */
  readonly files: readonly string[];
}

/** Also of what is only an argument: a run holds its history in memory. */
export const MAX_OPERATIONS = 2_000_000;
/** For the checker; past it the answer is "unknown", which is a failure. */
const CHECK_TIMEOUT_MS = 600_000;

/** @throws what `signal` was aborted with; nothing is left running in any case */
export async function runChaos(options: ChaosOptions): Promise<ChaosOutcome> {
  const { peers, port, signal, entry } = options;
  signal?.throwIfAborted();
  const edge = await EdgeRuntime.start({ peers, port, ...(entry === undefined ? {} : { entry }) });
  const interrupted = new Promise<never>((_, reject) => {
    if (signal?.aborted) reject(signal.reason);
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  const run = new Run(edge, options);
  try {
    return await Promise.race([run.all(), interrupted]);
  } finally {
    run.abandon();
    await edge.stop();
  }
}

class Run {
  readonly #edge: EdgeRuntime;
  readonly #options: ChaosOptions;
  readonly #peers: readonly string[];
  readonly #record = new RunRecord(performance.now());
  readonly #keys = new KeySpace(() => this.#record.now());
  readonly #transport: Transport;
  readonly #nemesis: Nemesis;
  readonly #watch: PeerWatch;
  readonly #progress: Progress;
  readonly #findings: Finding[] = [];

  constructor(edge: EdgeRuntime, options: ChaosOptions) {
    const { seed, peers, pace, certainFaults, loadMs, print } = options;
    this.#edge = edge;
    this.#options = options;
    this.#peers = Array.from({ length: peers }, (_, i) => String(i + 1));
    this.#transport = new Transport(edge, this.#record);
    const schedule = faultSchedule(seed, peers, pace, certainFaults);
    this.#nemesis = new Nemesis(edge, this.#transport, this.#record, schedule, this.#peers);
    this.#watch = new PeerWatch(edge, () => this.#record.now());
    this.#progress = new Progress(this.#record, this.#nemesis, loadMs, print);
  }

  async all(): Promise<ChaosOutcome> {
    this.#options.print(`the runtime listens on ${this.#edge.origin.href}`);
    const loadMs = await this.#load();
    const appended = await this.#final();
    return this.#judge(loadMs, appended);
  }

  /** Ends what runs beside; its failures no longer matter. */
  abandon(): void {
    this.#progress.stop();
    void this.#watch.stop();
  }

  /** Returns how long it took. */
  async #load(): Promise<number> {
    const { seed, loadMs, operationsPerSecond, certainFaults = [] } = this.#options;
    const workload = new Workload(
      { seed, peers: this.#peers, operationsPerSecond },
      this.#transport,
      this.#record,
      this.#keys,
    );
    this.#watch.start();
    this.#progress.start();
    try {
      await Promise.race([this.#nemesis.run(loadMs, certainFaults.length), workload.failure]);
    } catch (error) {
      this.#found(error);
      await this.#nemesis.healAll().catch((cause) => this.#found(cause));
    }
    await workload.stop();
    this.#progress.stop();
    return this.#record.now();
  }

  /** The last values of the keys that are only appended to; empty if they could not be had. */
  async #final(): Promise<Map<string, string | null>> {
    this.#options.print('healed; waiting for all peers, and reading everything');
    const client = new PlainClient(this.#transport, this.#record, new Random(this.#options.seed), this.#peers);
    try {
      await awaitWhole(this.#edge);
      const appended = await readEverything(client, this.#record, this.#keys);
      this.#findings.push(...(await compareContents(this.#edge)));
      this.#watch.look(await this.#edge.cluster());
      return appended;
    } catch (error) {
      this.#found(error);
      return new Map();
    } finally {
      await this.#watch.stop();
    }
  }

  async #judge(loadMs: number, appended: ReadonlyMap<string, string | null>): Promise<ChaosOutcome> {
    const { operations, listings, staleReads, acks, unexpected } = this.#record;
    this.#options.print(`checking ${operations.length} operations and ${listings.length} listings`);
    const startMs = performance.now();
    const result = checkStoreHistory(operations, listings, { timeoutMs: CHECK_TIMEOUT_MS });
    const appends = countAppends(operations, appended);
    const stale = findStaleViolations(operations, staleReads);
    const tookMs = performance.now() - startMs;
    const violation = result.type === 'violation' ? result : null;
    if (violation !== null) this.#findings.push({ message: violation.message, key: violation.key, atMs: null });
    if (result.type === 'unknown') {
      const message = `the checker does not know about ${result.key}: out of ${result.reason}`;
      this.#findings.push({ message, key: result.key, atMs: null });
    }
    this.#findings.push(...appends.violations, ...stale, ...this.#watch.violations, ...unexpected);
    const { violations: _, ...counted } = appends;
    const done = result.type === 'ok' ? result : { keys: 0, steps: 0 };
    const report: Report = {
      ...this.#summary(loadMs),
      outages: outages(this.#nemesis.spans, acks),
      appends: counted,
      checks: {
        operations: operations.length,
        listings: listings.length,
        keys: done.keys,
        steps: done.steps,
        tookMs,
        staleReads: staleReads.length,
        stateHashes: this.#watch.comparisons,
        terms: this.#watch.highestTerm,
        leftBehind: this.#watch.leftBehind,
      },
    };
    return { report, files: await this.#write(report, violation) };
  }

  #summary(loadMs: number): Omit<Report, 'outages' | 'appends' | 'checks'> {
    const { seed, peers } = this.#options;
    return {
      seed,
      peers,
      loadMs,
      violations: this.#findings.map(describe),
      operations: countsOf(this.#record.counts),
      operationsPerSecond: (this.#record.total('ok') / loadMs) * 1000,
      writesPerSecond: (this.#record.acks.length / loadMs) * 1000,
      slowestReplyMs: this.#record.slowestReplyMs,
      brokenConnections: this.#transport.broken,
      faults: this.#nemesis.spans,
    };
  }

  async #write(report: Report, violation: Parameters<typeof writeEvidence>[0]['violation']): Promise<string[]> {
    const { directory } = this.#options;
    await mkdir(directory, { recursive: true });
    const path = join(directory, 'report.json');
    await writeFile(path, `${JSON.stringify(report, null, 2)}\n`);
    if (report.violations.length === 0) return [path];
    const log = await this.#edge.log().catch(() => '');
    const cluster = await this.#edge.cluster().catch(() => null);
    const spans = this.#nemesis.spans;
    const evidence = await writeEvidence({
      directory,
      report,
      record: this.#record,
      spans,
      findings: this.#findings,
      violation,
      log,
      cluster,
    });
    return [path, ...evidence];
  }

  #found(error: unknown): void {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#findings.push({ message, key: null, atMs: this.#record.now() });
  }
}

function describe({ message, atMs }: Finding): string {
  return atMs === null ? message : `at ${(atMs / 1000).toFixed(3)} s: ${message}`;
}
