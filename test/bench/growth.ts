/**
 *     npm run bench:growth [-- --quick --only keys,log,snapshot]
 *
 * What grows with the data, and what must not: latency against the number of keys and of log entries, restart time against
 * the length of the log, and the time and the memory that a snapshot of the whole state takes to a follower that was away.
 */
import { existsSync, rmSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { keyOf } from './growth-fill.ts';
import { fill, type GrowthGroup, memoryMib, resetPeak, serveGrowthGroup } from './growth-group.ts';
import { memoryVerdict, verdictLine } from './growth-verdict.ts';
import { median, quantile } from './quantile.ts';
import { type BenchGroup, chosen, sleep } from './served-group.ts';

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface KeysRow {
  readonly keys: number;
  /** New keys, one connection. */
  readonly put: Latency;
  /** Linearizable, of keys drawn at random. */
  readonly get: Latency;
}

export interface LogRow {
  /** In the log of every peer, behind what is applied. */
  readonly entries: number;
  readonly logBytes: number;
  readonly put: Latency;
  readonly get: Latency;
  /** From the request that starts the object to its answer: the constructor, and one status. */
  readonly restartMs: number;
}

export interface SnapshotRow {
  readonly stateMib: number;
  /** From the follower's return to the moment when it has applied what the leader has. */
  readonly elapsedMs: number;
  /** Of the process that holds all peers: before the transfer, and its peak during it. */
  readonly beforeMib: number;
  readonly peakMib: number;
}

export interface GrowthSizes {
  readonly keys: readonly number[];
  readonly logEntries: readonly number[];
  readonly stateMib: readonly number[];
  /** Puts, and gets, for each row. */
  readonly samples: number;
}

const PARTS = ['keys', 'log', 'snapshot'] as const;

export type Report = (line: string) => void;

const FULL: GrowthSizes = {
  keys: [1000, 10_000, 100_000, 1_000_000],
  logEntries: [100, 1000, 10_000, 100_000],
  stateMib: [10, 100, 1024],
  samples: 1000,
};
const QUICK: GrowthSizes = { keys: [1000, 10_000], logEntries: [100, 1000], stateMib: [10, 50], samples: 200 };

const VALUE_BYTES = 64;
/** Fewer than the entries of the shortest log. */
const HOT_KEYS = 50;
const STATE_VALUE_BYTES = 65_536;
/** More than the leader's log keeps behind what is applied: 2 MB. */
const PAST_THE_LOG_BYTES = 6_000_000;
/** Of Linux; elsewhere it merely takes longer. */
const MEMORY = '/dev/shm';
const RESTARTS = 9;
/** The object that was told to crash ends 10 ms after it said so. */
const CRASH_MS = 20;
/** It settles once its files are removed. */
const LAST_WORDS_MS = 10_000;
const CAUGHT_UP_TIMEOUT_MS = 60_000;
const SNAPSHOT_TIMEOUT_MS = 1_800_000;
const POLL_MS = 50;
const REPORT_EVERY_MS = 5000;

/** Latency against the number of keys, in one group that grows. */
export async function measureKeys({ keys, samples }: GrowthSizes, report: Report): Promise<KeysRow[]> {
  return withGroup(null, undefined, async ({ group }) => {
    const rows: KeysRow[] = [];
    let there = 0;
    for (const size of keys) {
      const progress = progressOf(`filling to ${size} keys`, size - there, report);
      await fill(group, { firstKey: there, keys: size - there, valueBytes: VALUE_BYTES }, progress);
      there = size;
      await group.caughtUp(CAUGHT_UP_TIMEOUT_MS);
      const put = await latency(samples, (i) => ({ method: 'PUT', key: `new-${size}-${i}` }), group);
      const get = await latency(samples, () => ({ method: 'GET', key: keyOf(randomBelow(size)) }), group);
      rows.push({ keys: size, put, get });
    }
    return rows;
  });
}

/**
 * Latency and restart against the length of the log, of a few keys that are overwritten all the time. Each entry is a flush of
 * its own, so the logs are written on a file system in memory, and copied to the disk to be measured.
 */
export async function measureLog({ logEntries, samples }: GrowthSizes, report: Report): Promise<LogRow[]> {
  const tailEntries = 2 * Math.max(...logEntries);
  return withDirectory(existsSync(MEMORY) ? MEMORY : tmpdir(), (written) =>
    withDirectory(tmpdir(), async (measured) => {
      const rows: LogRow[] = [];
      for (const size of logEntries) {
        await withGroup(tailEntries, written, ({ group }) => fillLog(group, size, report));
        await rm(measured, { recursive: true, force: true, maxRetries: 3 });
        await cp(written, measured, { recursive: true });
        rows.push(await withGroup(tailEntries, measured, ({ group }) => logRow(group, size, Math.min(samples, size))));
      }
      return rows;
    }),
  );
}

async function fillLog(group: BenchGroup, entries: number, report: Report): Promise<void> {
  const { peers } = await group.caughtUp(CAUGHT_UP_TIMEOUT_MS);
  const missing = Math.max(0, entries - Math.max(...peers.map(({ lastIndex }) => lastIndex)));
  const hot = { firstKey: 0, keys: missing, valueBytes: VALUE_BYTES, keysPerEntry: 1, distinctKeys: HOT_KEYS };
  await fill(group, hot, progressOf(`writing ${entries} log entries`, missing, report));
  await group.caughtUp(CAUGHT_UP_TIMEOUT_MS);
}

async function logRow(group: BenchGroup, entries: number, samples: number): Promise<LogRow> {
  const { leader, peers } = await group.caughtUp(CAUGHT_UP_TIMEOUT_MS);
  const follower = peers.find(({ id }) => id !== leader);
  if (follower === undefined || follower.snapshotIndex > 0) throw new Error('this log was compacted');
  const restartMs = await restart(group, follower.id);
  const get = await latency(samples, (i) => ({ method: 'GET', key: keyOf(i % HOT_KEYS) }), group);
  const put = await latency(samples, (i) => ({ method: 'PUT', key: keyOf(i % HOT_KEYS) }), group);
  return { entries, logBytes: follower.logBytes, put, get, restartMs };
}

/** Median of several: a crash of the follower, then the first request to it. */
async function restart(group: BenchGroup, follower: string): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < RESTARTS; i += 1) {
    await group.caughtUp(CAUGHT_UP_TIMEOUT_MS);
    await group.chaos(follower, { action: 'crash' });
    await sleep(CRASH_MS);
    const startMs = performance.now();
    const { status } = await group.request('GET', `/cluster?peer=${follower}`);
    if (status !== 200) throw new Error(`peer ${follower} did not come back: ${status}`);
    times.push(performance.now() - startMs);
  }
  return median(times);
}

/** A follower is away while the state grows to each size; the process is new each time, on the same data. */
export async function measureSnapshots({ stateMib }: GrowthSizes, report: Report): Promise<SnapshotRow[]> {
  return withDirectory(tmpdir(), async (data) => {
    const rows: SnapshotRow[] = [];
    let keys = 0;
    for (const size of stateMib) {
      const wanted = Math.ceil((size * 1024 * 1024 - PAST_THE_LOG_BYTES) / STATE_VALUE_BYTES);
      await withGroup(null, data, async ({ group }) => {
        const progress = progressOf(`filling to ${size} MiB`, wanted - keys, report);
        await fill(group, { firstKey: keys, keys: wanted - keys, valueBytes: STATE_VALUE_BYTES }, progress);
        await group.caughtUp(CAUGHT_UP_TIMEOUT_MS);
      });
      const past = Math.ceil(PAST_THE_LOG_BYTES / STATE_VALUE_BYTES);
      rows.push(await withGroup(null, data, (served) => snapshot(served, size, wanted, past, report)));
      keys = wanted + past;
    }
    return rows;
  });
}

async function snapshot(
  { group, pid }: GrowthGroup,
  stateMib: number,
  firstKey: number,
  keys: number,
  report: Report,
): Promise<SnapshotRow> {
  // A new process: somebody is elected first.
  await group.put('first', new Uint8Array(1));
  const { leader, peers } = await group.caughtUp(CAUGHT_UP_TIMEOUT_MS);
  const away = peers.find(({ id }) => id !== leader);
  if (leader === null || away === undefined) throw new Error('nobody leads');
  await group.chaos(away.id, { action: 'isolate' });
  await fill(group, { firstKey, keys, valueBytes: STATE_VALUE_BYTES }, () => {});
  const before = (await group.cluster()).peers.find(({ id }) => id === leader);
  if (before === undefined || before.snapshotIndex <= away.lastIndex) throw new Error('the log still reaches back');
  const beforeMib = memoryMib(pid).present;
  resetPeak(pid);
  const startMs = performance.now();
  await group.chaos(away.id, { action: 'heal' });
  const deadlineMs = startMs + SNAPSHOT_TIMEOUT_MS;
  let reportedMs = startMs;
  for (;;) {
    const { peers: now } = await group.cluster();
    const returned = now.find(({ id }) => id === away.id);
    const nowMs = performance.now();
    if (returned !== undefined && returned.lastApplied >= before.lastApplied) break;
    if (nowMs > deadlineMs) throw new Error(`no snapshot of ${stateMib} MiB within ${SNAPSHOT_TIMEOUT_MS / 1000} s`);
    if (nowMs - reportedMs > REPORT_EVERY_MS) {
      report(`a snapshot of ${stateMib} MiB: ${Math.round((nowMs - startMs) / 1000)} s`);
      reportedMs = nowMs;
    }
    await sleep(POLL_MS);
  }
  const elapsedMs = performance.now() - startMs;
  const peakMib = memoryMib(pid).peak;
  const after = await group.caughtUp(CAUGHT_UP_TIMEOUT_MS);
  const hashes = new Set(after.peers.map(({ stateHash }) => stateHash));
  if (hashes.size !== 1) throw new Error('the peers differ after the snapshot');
  return { stateMib, elapsedMs, beforeMib, peakMib };
}

/** Databases of gigabytes are not left behind, whatever ends this. */
async function withDirectory<T>(parent: string, run: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(parent, 'edgeraft-growth-'));
  const remove = (): void => rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  process.once('exit', remove);
  try {
    return await run(directory);
  } finally {
    process.off('exit', remove);
    remove();
  }
}

async function withGroup<T>(
  tailEntries: number | null,
  dataDirectory: string | undefined,
  run: (served: GrowthGroup) => Promise<T>,
): Promise<T> {
  const served = await serveGrowthGroup(tailEntries, dataDirectory);
  try {
    // Its first write founds the group.
    if (!(await served.group.put('first', new Uint8Array(1)))) throw new Error('the group does not take a write');
    const running = run(served);
    // A broken connection says less than the end of the process that broke it, which comes to be known a moment later.
    running.catch(() => {});
    return await Promise.race([
      running.catch((error) => sleep(LAST_WORDS_MS).then(() => Promise.reject(error))),
      served.failure,
    ]);
  } finally {
    await served.stop();
  }
}

/** One connection, one request after the other. */
async function latency(
  samples: number,
  next: (number: number) => { readonly method: 'GET' | 'PUT'; readonly key: string },
  group: BenchGroup,
): Promise<Latency> {
  const times: number[] = [];
  const value = new Uint8Array(VALUE_BYTES).fill(120);
  for (let i = 0; i < samples; i += 1) {
    const { method, key } = next(i);
    const startMs = performance.now();
    const { status } = await group.request(method, `/kv/${key}`, method === 'PUT' ? value : undefined);
    if (status !== 200 && status !== 201) throw new Error(`${method} ${key}: ${status}`);
    times.push(performance.now() - startMs);
  }
  return { p50Ms: median(times), p99Ms: quantile(times, 0.99) };
}

function randomBelow(limit: number): number {
  return Math.floor(Math.random() * limit);
}

/** A line now and then, with the time that is left at this rate. */
function progressOf(what: string, total: number, report: Report): (done: number) => void {
  const startMs = performance.now();
  let reportedMs = startMs;
  return (done) => {
    const nowMs = performance.now();
    if (nowMs - reportedMs < REPORT_EVERY_MS) return;
    reportedMs = nowMs;
    const leftSeconds = (((nowMs - startMs) / done) * (total - done)) / 1000;
    report(`${what}: ${Math.round((100 * done) / total)} %, ${Math.round(leftSeconds)} s left`);
  };
}

// ---- tables

function table(rows: readonly (readonly string[])[]): string {
  return rows.map((row) => row.map((cell) => cell.padStart(13)).join('')).join('\n');
}

function ms(value: number): string {
  return value.toFixed(value < 10 ? 2 : 0);
}

const latencies = ({ put, get }: { put: Latency; get: Latency }): string[] =>
  [put.p50Ms, put.p99Ms, get.p50Ms, get.p99Ms].map(ms);

const LATENCY_HEAD = ['put p50 ms', 'put p99 ms', 'get p50 ms', 'get p99 ms'];

export function keysTable(rows: readonly KeysRow[]): string {
  return table([['keys', ...LATENCY_HEAD], ...rows.map((row) => [String(row.keys), ...latencies(row)])]);
}

export function logTable(rows: readonly LogRow[]): string {
  const head = ['log entries', 'log bytes', ...LATENCY_HEAD, 'restart ms'];
  const cells = rows.map((row) => [String(row.entries), String(row.logBytes), ...latencies(row), ms(row.restartMs)]);
  return table([head, ...cells]);
}

export function snapshotTable(rows: readonly SnapshotRow[]): string {
  const head = ['state MiB', 'seconds', 'MiB/s', 'before MiB', 'peak MiB', 'grown MiB'];
  const cells = rows.map(({ stateMib, elapsedMs, beforeMib, peakMib }) => {
    const seconds = elapsedMs / 1000;
    return [seconds, stateMib / seconds, beforeMib, peakMib, peakMib - beforeMib].map((value) => value.toFixed(1));
  });
  return table([head, ...rows.map(({ stateMib }, i) => [String(stateMib), ...(cells[i] ?? [])])]);
}

if (import.meta.main) {
  // workerd ends with this process.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: PARTS.join(',') },
    },
  });
  const sizes = values.quick ? QUICK : FULL;
  const parts = chosen('only', values.only, PARTS);
  const report: Report = (line) => console.error(line);
  if (parts.includes('keys')) console.log(`${keysTable(await measureKeys(sizes, report))}\n`);
  if (parts.includes('log')) {
    console.log(`${logTable(await measureLog(sizes, report))}\n`);
    console.log('production keeps 2,048 to 4,096 entries, and at most 2 MB: longer logs are of this bench alone\n');
  }
  if (parts.includes('snapshot')) {
    const rows = await measureSnapshots(sizes, report);
    const verdict = memoryVerdict(rows);
    console.log(`${snapshotTable(rows)}\n${verdictLine(verdict)}`);
    if (verdict !== null && !verdict.isMet) process.exitCode = 1;
  }
}
