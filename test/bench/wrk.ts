/** Load by wrk (https://github.com/wg/wrk): one thread, so that one counter numbers all requests; a script in Lua makes them. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guardProcess } from '../../src/cli/serve-guard.ts';
import {
  APPENDS_TO_A_KEY,
  FIRST_SEQ,
  filled,
  type KeyRule,
  KNOWN_KEYS,
  type Load,
  type LoadRequest,
  NUMBER_DIGITS,
  REQUEST_TIMEOUT_SECONDS,
  STRIDE,
} from './load.ts';
import { type Measurement, unanswered } from './results.ts';

const RESULT = 'bench-result';
const KEY_IN_LUA: Readonly<Record<KeyRule, string>> = {
  new: 'count',
  known: `(count * ${STRIDE}) % ${KNOWN_KEYS}`,
  shared: `math.floor(count / ${APPENDS_TO_A_KEY})`,
};

export function hasWrk(): boolean {
  // It has no option that succeeds without a load: 1 is its usage.
  return spawnSync('wrk', ['--version'], { stdio: 'ignore' }).error === undefined;
}

export async function runWrk(load: Load): Promise<Measurement> {
  const directory = await mkdtemp(join(tmpdir(), 'edgeraft-wrk-'));
  try {
    const script = join(directory, 'load.lua');
    await writeFile(script, luaScript(load));
    const { connections, seconds, url, signal } = load;
    const timeout = `${REQUEST_TIMEOUT_SECONDS}s`;
    const args = ['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '--timeout', timeout, '-s', script, url];
    return parseWrkOutput(await outputOf(args, directory, signal), load);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function outputOf(args: readonly string[], directory: string, signal?: AbortSignal): Promise<string> {
  const child = spawn('wrk', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const guard = guardProcess(child, directory);
  // It ends in order then, with its result.
  const interrupt = () => child.kill('SIGINT');
  signal?.addEventListener('abort', interrupt, { once: true });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.once('error', reject);
  child.once('close', () => guard.kill('SIGKILL'));
  child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`wrk ended with ${code}: ${output}`))));
  await promise.finally(() => signal?.removeEventListener('abort', interrupt));
  return output;
}

/** Of the line that the script's `done` writes. Throws if it is not there. */
export function parseWrkOutput(output: string, load: Pick<Load, 'connections' | 'seconds'>): Measurement {
  const line = output.split('\n').find((text) => text.startsWith(`${RESULT} `));
  const numbers = line?.split(' ').slice(1).map(Number) ?? [];
  if (numbers.length !== 9 || numbers.some((value) => !Number.isFinite(value))) {
    throw new Error(`wrk told no result: ${output}`);
  }
  const [requests = 0, microseconds = 0, status = 0, ...rest] = numbers;
  const [connect = 0, read = 0, write = 0, timeout = 0, p50Microseconds = 0, p99Microseconds = 0] = rest;
  const errors = status + connect + read + write + timeout;
  if (requests === 0) return unanswered(load, errors);
  return {
    requestsPerSecond: (requests - status) / (microseconds / 1e6),
    p50Ms: p50Microseconds / 1000,
    p99Ms: p99Microseconds / 1000,
    errors,
  };
}

export function luaScript({ requests, url }: Load): string {
  const distinct = [...new Set(requests)];
  const makers = distinct.map((request) => luaMaker(request, new URL(url).host)).join(',\n');
  const turns = requests.map((request) => `makers[${distinct.indexOf(request) + 1}]`).join(', ');
  return `local format = string.format
local makers = {
${makers}
}
local turns = { ${turns} }
local count = -1
local asked = false
request = function()
  -- wrk asks once before it opens a connection, and sends that request to nobody.
  if not asked then
    asked = true
    return turns[1](0)
  end
  count = count + 1
  return turns[count % #turns + 1](count)
end
done = function(summary, latency)
  local errors = summary.errors
  io.write(format("${RESULT} %d %d %d %d %d %d %d %d %d\\n", summary.requests, summary.duration, errors.status,
    errors.connect, errors.read, errors.write, errors.timeout, latency:percentile(50), latency:percentile(99)))
end
`;
}

/** A function from the request's number to its text. */
function luaMaker(request: LoadRequest, host: string): string {
  const { method, path, headers = {}, body = '', key } = request;
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  if (body !== '') lines.push(`Content-Length: ${filled(body, key, 0).length}`);
  const text = `${lines.join('\r\n')}\r\n\r\n${body}`;
  const parts = text.split(/(\{key\}|\{count\}|\{seq\})/).map((part) => {
    if (part === '{key}') return 'key';
    if (part === '{count}') return `format("%0${NUMBER_DIGITS}d", count)`;
    return part === '{seq}' ? `(count + ${FIRST_SEQ})` : luaText(part);
  });
  return `  function(count)
    local key = format("%0${NUMBER_DIGITS}d", ${KEY_IN_LUA[key]})
    return ${parts.join(' .. ')}
  end`;
}

/** A literal of printable ASCII and line ends. */
function luaText(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&').replaceAll('\r', '\\r').replaceAll('\n', '\\n')}"`;
}
