/** The systems that are compared, running on this machine, and the keys that a bench finds in them. */
import { join } from 'node:path';
import { ROOT } from '../../src/cli/bundling.ts';
import { startLocalGroup } from '../../src/cli/local-group.ts';
import type { ObjectBinding } from '../../src/cli/serve-config.ts';
import { type ServedWorker, serveWorker } from '../../src/cli/serve-worker.ts';
import { DIALECTS } from './dialects.ts';
import { startEtcd } from './etcd.ts';
import { filled, KNOWN_KEYS, type LoadRequest } from './load.ts';
import type { System } from './results.ts';

export interface RunningSystem {
  readonly url: string;
  stop(): Promise<void>;
}

export interface SystemOptions {
  /** Of Edgeraft's group. */
  readonly peers: number;
  /** Of Edgeraft's Worker, in place of those of wrangler.toml. */
  readonly variables: Readonly<Record<string, string>>;
}

const PUTS_IN_FLIGHT = 32;
const REQUEST_TIMEOUT_MS = 20_000;

const COMPATIBILITY_DATE = '2026-07-01';

export function startSystem(system: System, { peers, variables }: SystemOptions): Promise<RunningSystem> {
  if (system === 'etcd') return startEtcd();
  if (system === 'edgeraft') return startLocalGroup({ port: 0, peers, chaos: false, variables });
  return startPlainObject();
}

export function startPlainObject(): Promise<ServedWorker> {
  return startWorker('plain-object.ts', [{ binding: 'STORE', className: 'PlainObject' }], {});
}

/** `file`: in this folder. */
export function startWorker(
  file: string,
  objects: readonly ObjectBinding[],
  variables: Readonly<Record<string, string>>,
): Promise<ServedWorker> {
  const entry = join(ROOT, 'test/bench', file);
  return serveWorker({ entry, objects, variables, port: 0, readyPath: '/', compatibilityDate: COMPATIBILITY_DATE });
}

/** Writes KNOWN_KEYS keys, and reads one back: throws unless it is there, whatever the system calls a missing one. */
export async function writeKnownKeys(system: System, url: string, prefix: string, valueBytes: number): Promise<void> {
  const put = DIALECTS[system].put({ prefix, valueBytes }, 'known');
  let next = 0;
  const writer = async (): Promise<void> => {
    while (next < KNOWN_KEYS) {
      const count = next;
      next += 1;
      await send(url, put, count);
    }
  };
  await Promise.all(Array.from({ length: PUTS_IN_FLIGHT }, writer));
  for (const get of [DIALECTS[system].get(prefix), DIALECTS[system].getStale(prefix)]) {
    const body = get === null ? null : await send(url, get, 0);
    if (body !== null && body.length < valueBytes) throw new Error(`${system} has not kept a key: ${body}`);
  }
}

/** One request of a load; throws unless it succeeds. */
export async function send(url: string, request: LoadRequest, count: number): Promise<string> {
  const { method, path, headers = {}, body, key } = request;
  const response = await fetch(`${url}${filled(path, key, count)}`, {
    method,
    headers: Object.entries(headers).map(([name, value]): [string, string] => [name, filled(value, key, count)]),
    body: body === undefined ? null : filled(body, key, count),
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text;
}
