/**
 * What puts cost: rows written, requests of objects, dollars; counted by the peers themselves, over a time in which they are under
 * the same load all along, so that what a put causes later (rows deleted or reused) is in the count as well.
 */
import { HISTORY_MIN_AGE_MS } from '../../src/kv/limits.ts';
import type { Generator } from './cells.ts';
import { DIALECTS } from './dialects.ts';
import type { KeyRule } from './load.ts';
import { type Metrics, newest, oldest, readMetrics, sumOfGrowth, valuesOf } from './metrics.ts';
import { type Billed, dollarsForMillion, PRICES } from './prices.ts';
import { rounded } from './results.ts';
import { sleep } from './served-group.ts';

export type BillKeys = 'new' | 'hot';

export interface BillLine {
  readonly keys: BillKeys;
  readonly connections: number;
  readonly puts: number;
  /** Alarms that were set included, each billed as a row. */
  readonly rowsWrittenPerPutAndPeer: number;
  /** Calls of peers: by the router, and by each other. */
  readonly requestsPerPut: number;
  readonly rowsReadPerPut: number;
  readonly alarmsSet: number;
  readonly alarmsFired: number;
  readonly bytesBetweenPeersPerPut: number;
  readonly commandsPerEntry: number;
  /** Of all peers. */
  readonly flushesPerPut: number;
  /** Versions that were compacted for each put: 1 when superseded ones go as fast as they come. */
  readonly compactedPerPut: number;
  readonly dollarsPerMillion: number;
  /** Whether the time counted includes what puts cause later. */
  readonly isSteady: boolean;
}

export interface Bill {
  readonly peers: number;
  readonly lines: readonly BillLine[];
  readonly plainObjectDollarsPerMillion: number;
  readonly workersKvDollarsPerMillion: number;
}

export interface BillOptions {
  /** Of a group that is used for nothing else, awake or not. */
  readonly url: string;
  readonly peers: number;
  readonly generate: Generator;
  readonly newPrefix: () => string;
  /** Does not wait until old versions are deleted, and says so in the lines. */
  readonly quick: boolean;
  readonly onStep: (seconds: number, label: string) => void;
}

export const BILL_CONNECTIONS = [1, 64] as const;
const BILL_KEYS: readonly BillKeys[] = ['new', 'hot'];
const VALUE_BYTES = 64;
const POLL_MS = 100;
const MEASURED_SECONDS = 15;
const QUICK_SECONDS = 3;
/** A log is compacted in steps of about 2,048 entries: at 700 a second one in 3 s, but a busy machine may do 20. */
const STEP_TIMEOUT_SECONDS = 240;
const AGE_SECONDS = HISTORY_MIN_AGE_MS / 1000;
const WARM_UP_SECONDS = 1;

/** What a line is expected to take. */
export function billSeconds(keys: BillKeys, quick: boolean): number {
  if (quick) return QUICK_SECONDS + WARM_UP_SECONDS;
  return (keys === 'hot' ? AGE_SECONDS : 10) + MEASURED_SECONDS;
}

export function wholeBillSeconds(quick: boolean): number {
  return BILL_CONNECTIONS.length * BILL_KEYS.reduce((sum, keys) => sum + billSeconds(keys, quick), 0);
}

export async function measureBill(options: BillOptions, plainRowsPerPut: number): Promise<Bill> {
  const lines: BillLine[] = [];
  for (const connections of BILL_CONNECTIONS) {
    for (const keys of BILL_KEYS) {
      const label = `the bill: ${keys} keys, ${connections} connection${connections === 1 ? '' : 's'}`;
      options.onStep(0, label);
      lines.push(await measureLine(options, keys, connections));
      options.onStep(billSeconds(keys, options.quick), label);
    }
  }
  const plain = { requests: 1, rowsWritten: plainRowsPerPut, rowsRead: 0 };
  return {
    peers: options.peers,
    lines,
    plainObjectDollarsPerMillion: rounded(dollarsForMillion(plain)),
    workersKvDollarsPerMillion: PRICES.workersKvWrites,
  };
}

async function measureLine(options: BillOptions, keys: BillKeys, connections: number): Promise<BillLine> {
  const { url, quick, newPrefix, generate } = options;
  const rule: KeyRule = keys === 'hot' ? 'known' : 'new';
  const put = DIALECTS.edgeraft.put({ prefix: newPrefix(), valueBytes: VALUE_BYTES }, rule);
  const counted = new AbortController();
  const longest = AGE_SECONDS + 3 * STEP_TIMEOUT_SECONDS + MEASURED_SECONDS;
  const load = generate({ url, connections, seconds: longest, requests: [put], signal: counted.signal });
  const window = (quick ? quickWindow(url) : steadyWindow(url, keys)).finally(() => counted.abort());
  const [{ errors }, times] = await Promise.all([load, window]);
  if (errors > 0) throw new Error(`${errors} puts of the bill failed`);
  return lineOf(keys, connections, options.peers, times);
}

interface Window {
  readonly before: Metrics;
  readonly after: Metrics;
  readonly isSteady: boolean;
}

async function quickWindow(url: string): Promise<Window> {
  await sleep(WARM_UP_SECONDS * 1000);
  const before = await readMetrics(url);
  await sleep(QUICK_SECONDS * 1000);
  return { before, after: await readMetrics(url), isSteady: false };
}

/** From one compaction of the log to another, at the earliest when versions of this very load are deleted. */
async function steadyWindow(url: string, keys: BillKeys): Promise<Window> {
  const start = await readMetrics(url);
  if (keys === 'hot') {
    const revision = newest(start, 'revision');
    const isDeleting = (metrics: Metrics): boolean => oldest(metrics, 'compacted_revision') > revision;
    await until(url, AGE_SECONDS + STEP_TIMEOUT_SECONDS, isDeleting);
  }
  const before = await nextCompaction(url);
  await sleep(MEASURED_SECONDS * 1000);
  return { before, after: await nextCompaction(url), isSteady: true };
}

async function nextCompaction(url: string): Promise<Metrics> {
  const from = newest(await readMetrics(url), 'snapshot_index');
  return until(url, STEP_TIMEOUT_SECONDS, (metrics) => oldest(metrics, 'snapshot_index') > from);
}

async function until(url: string, timeoutSeconds: number, isReached: (metrics: Metrics) => boolean): Promise<Metrics> {
  const deadlineMs = performance.now() + timeoutSeconds * 1000;
  for (;;) {
    const metrics = await readMetrics(url);
    if (isReached(metrics)) return metrics;
    if (performance.now() > deadlineMs) {
      const names = ['last_index', 'snapshot_index', 'revision', 'compacted_revision'];
      const state = names.map((name) => `${name} ${valuesOf(metrics, name)}`).join('; ');
      throw new Error(`compaction did not come within ${timeoutSeconds} s: ${state}`);
    }
    await sleep(POLL_MS);
  }
}

export function lineOf(
  keys: BillKeys,
  connections: number,
  peers: number,
  { before, after, isSteady }: Window,
): BillLine {
  const growth = (name: string): number => sumOfGrowth(before, after, name);
  const puts = newest(after, 'revision') - newest(before, 'revision');
  if (puts <= 0) throw new Error('nothing was put while the bill was counted');
  const alarmsSet = growth('alarms_set_total');
  const alarmsFired = growth('alarms_fired_total');
  const requests = growth('client_calls_total') + growth('peer_calls_total');
  const billed: Billed = {
    requests: (requests + alarmsFired) / puts,
    rowsWritten: (growth('rows_written_total') + alarmsSet) / puts,
    rowsRead: growth('rows_read_total') / puts,
  };
  return {
    keys,
    connections,
    puts,
    rowsWrittenPerPutAndPeer: rounded(billed.rowsWritten / peers),
    requestsPerPut: rounded(requests / puts),
    rowsReadPerPut: rounded(billed.rowsRead),
    alarmsSet,
    alarmsFired,
    bytesBetweenPeersPerPut: rounded(growth('peer_bytes_sent_total') / puts),
    commandsPerEntry: rounded(puts / growth('proposed_entries_total')),
    flushesPerPut: rounded(growth('flushes_total') / puts),
    compactedPerPut: rounded((newest(after, 'compacted_revision') - newest(before, 'compacted_revision')) / puts),
    dollarsPerMillion: rounded(dollarsForMillion(billed)),
    isSteady,
  };
}
