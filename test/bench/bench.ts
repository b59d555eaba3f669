/**
 *     npm run bench [-- --seconds 4]
 *
 * Durable puts and linearizable gets a second on the group that `npm start` runs, next to one plain Durable Object that does
 * the same in the same runtime, in one run, alternating. The ratios are what counts: machines are noisy.
 */
import { parseArgs } from 'node:util';
import { type LoadRequest, type LoadResult, runLoad } from './load.ts';
import { type LocalWorker, startWorker } from './local-worker.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '4' } } });
const durationMs = Number(values.seconds) * 1000;
const CONNECTIONS = [1, 16, 64];
const VALUE = new Uint8Array(64).fill(120);
const WARM_UP_MS = 1500;

const edgeraft = await startWorker('wrangler.toml', { OPEN: 'on' });
const plain = await startWorker('test/bench/plain-object.toml');
try {
  console.log('operation  connections  system        req/s    p50 ms   p99 ms  errors  ratio');
  for (const operation of ['put', 'get'] as const) {
    for (const connections of CONNECTIONS) await compare(operation, connections);
  }
} finally {
  await Promise.all([edgeraft.stop(), plain.stop()]);
}

async function compare(operation: 'put' | 'get', connections: number): Promise<void> {
  const ours = await measure(edgeraft, operation, connections);
  const floor = await measure(plain, operation, connections);
  print(operation, connections, 'edgeraft', ours, ours.requestsPerSecond / floor.requestsPerSecond);
  print(operation, connections, 'plain object', floor, 1);
}

async function measure(worker: LocalWorker, operation: 'put' | 'get', connections: number): Promise<LoadResult> {
  const run = Math.random().toString(36).slice(2);
  const put = (number: number): LoadRequest => ({ method: 'PUT', path: `/kv/${run}-${number}`, body: VALUE });
  const get = (number: number): LoadRequest => ({ method: 'GET', path: `/kv/${run}-${number % 100}` });
  if (operation === 'get') for (let i = 0; i < 100; i += 1) await runOnce(worker, put(i));
  const load = { url: worker.url, connections, next: operation === 'put' ? put : get };
  await runLoad({ ...load, next: operation === 'put' ? (n) => put(-n - 1) : get, durationMs: WARM_UP_MS });
  return runLoad({ ...load, durationMs });
}

async function runOnce(worker: LocalWorker, { method, path, body }: LoadRequest): Promise<void> {
  const response = await fetch(`${worker.url}${path}`, { method, body: body ?? null });
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status}`);
}

function print(operation: string, connections: number, system: string, result: LoadResult, ratio: number): void {
  const { requestsPerSecond, p50Ms, p99Ms, errors } = result;
  const columns = [
    operation.padEnd(9),
    String(connections).padStart(11),
    ` ${system.padEnd(12)}`,
    requestsPerSecond.toFixed(0).padStart(6),
    p50Ms.toFixed(2).padStart(8),
    p99Ms.toFixed(2).padStart(8),
    String(errors).padStart(7),
    ratio.toFixed(2).padStart(6),
  ];
  console.log(columns.join(' '));
}
