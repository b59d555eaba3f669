/**
 *     npm run bench:floor [-- --seconds 4 --connections 64]
 *
 * What of a put's time is the runtime's: Workers that store nothing, each with one thing more than the one before
 * (floor-worker.ts), then one plain Durable Object, and Edgeraft. CPU is that of the runtime's process, which has one thread for all
 * Workers and objects: a million divided by it is what it can answer in a second. Linux only.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { startLocalGroup } from '../../src/cli/local-group.ts';
import type { ServedWorker } from '../../src/cli/serve-worker.ts';
import type { Generator } from './cells.ts';
import { DIALECTS, PREFIX_CHARACTERS } from './dialects.ts';
import { chooseGenerator } from './generator.ts';
import type { Load } from './load.ts';
import { startPlainObject, startWorker } from './systems.ts';

const VALUE_BYTES = 64;
/** Of /proc/{pid}/stat, on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

interface Stage {
  readonly name: string;
  readonly start: () => Promise<ServedWorker>;
}

const STAGES: readonly Stage[] = [
  { name: 'an empty Worker', start: () => startStage('empty') },
  { name: '+ the body is read, JSON answered', start: () => startStage('body') },
  { name: '+ timers, headers, waitUntil', start: () => startStage('api') },
  { name: "+ a wait for another request's work", start: () => startStage('shared') },
  { name: 'one plain Durable Object, put', start: startPlainObject },
  { name: 'Edgeraft, three peers, put', start: () => startLocalGroup({ port: 0, peers: 3, chaos: false }) },
];

function startStage(stage: string): Promise<ServedWorker> {
  return startWorker('floor-worker.ts', [], { STAGE: stage });
}

/** User and system time of a process so far. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // After the name in brackets, which may hold blanks: the state is field 3, utime and stime are 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

async function measure(
  { start }: Stage,
  generate: Generator,
  connections: number,
  seconds: number,
): Promise<readonly string[]> {
  const worker = await start();
  try {
    const load = (prefix: string): Load => ({
      url: worker.url,
      connections,
      seconds,
      requests: [DIALECTS.edgeraft.put({ prefix: prefix.padEnd(PREFIX_CHARACTERS, '0'), valueBytes: VALUE_BYTES })],
    });
    await generate(load('warm'));
    const before = cpuSeconds(worker.pid);
    const { requestsPerSecond, p50Ms, p99Ms, errors } = await generate(load('measured'));
    if (errors > 0) throw new Error(`${errors} requests failed`);
    const microseconds = ((cpuSeconds(worker.pid) - before) / (requestsPerSecond * seconds)) * 1e6;
    return [requestsPerSecond.toFixed(0), microseconds.toFixed(0), p50Ms.toFixed(2), p99Ms.toFixed(2)];
  } finally {
    await worker.stop();
  }
}

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '4' }, connections: { type: 'string', default: '64' } },
});
const generate = chooseGenerator(null);
const line = (name: string, columns: readonly string[]): string =>
  name.padEnd(38) + columns.map((column) => column.padStart(10)).join('');
console.log(line(`${values.connections} connections`, ['req/s', 'CPU µs', 'p50 ms', 'p99 ms']));
for (const stage of STAGES) {
  console.log(line(stage.name, await measure(stage, generate, Number(values.connections), Number(values.seconds))));
}
