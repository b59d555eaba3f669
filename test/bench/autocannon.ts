/** Load by autocannon (https://github.com/mcollina/autocannon), where wrk is not installed: slower, and on this process's core. */
import { createRequire } from 'node:module';
import { filled, type Load, type LoadRequest, REQUEST_TIMEOUT_SECONDS } from './load.ts';
import { quantile } from './quantile.ts';
import { type Measurement, unanswered } from './results.ts';

interface Request {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** What of autocannon is used here; it brings no types. */
interface Instance {
  on(event: 'response', listener: (client: unknown, status: number, bytes: number, ms: number) => void): void;
  on(event: 'reqError', listener: () => void): void;
  stop(): void;
}

type Autocannon = (options: Record<string, unknown>, done: (error: Error | null) => void) => Instance;

const autocannon: Autocannon = createRequire(import.meta.url)('autocannon');
/** It stops at its own pace; what is measured ends before. */
const GENEROUS_SECONDS = 5;

export interface Answer {
  readonly status: number;
  readonly latencyMs: number;
}

export async function runAutocannon(load: Load): Promise<Measurement> {
  const answers: Answer[] = [];
  let failed = 0;
  let count = -1;
  const setupRequest = (request: Request): Request => {
    count += 1;
    const made = load.requests[count % load.requests.length];
    if (made === undefined) throw new Error('a load without requests');
    return { ...request, ...requestOf(made, count) };
  };
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
  const options = {
    url: load.url,
    connections: load.connections,
    duration: load.seconds + GENEROUS_SECONDS,
    timeout: REQUEST_TIMEOUT_SECONDS,
    sampleInt: 50,
    requests: [{ setupRequest }],
  };
  const instance = autocannon(options, (error) => (error === null ? resolve() : reject(error)));
  const startMs = performance.now();
  const endMs = startMs + load.seconds * 1000;
  instance.on('response', (_, status, _bytes, latencyMs) => {
    if (performance.now() <= endMs) answers.push({ status, latencyMs });
  });
  instance.on('reqError', () => {
    failed += 1;
  });
  const timer = setTimeout(() => instance.stop(), load.seconds * 1000);
  load.signal?.addEventListener('abort', () => instance.stop(), { once: true });
  await ended;
  clearTimeout(timer);
  return measurementOf(answers, failed, load);
}

function requestOf({ method, path, headers = {}, body, key }: LoadRequest, count: number): Request {
  const filledHeaders = Object.entries(headers).map(([name, value]) => [name, filled(value, key, count)]);
  return {
    method,
    path: filled(path, key, count),
    headers: Object.fromEntries(filledHeaders),
    ...(body === undefined ? {} : { body: filled(body, key, count) }),
  };
}

/** `failed`: requests without an answer. */
export function measurementOf(
  answers: readonly Answer[],
  failed: number,
  load: Pick<Load, 'connections' | 'seconds'>,
): Measurement {
  if (answers.length === 0) return unanswered(load, failed);
  const successes = answers.filter(({ status }) => status >= 200 && status < 300).length;
  const latenciesMs = answers.map(({ latencyMs }) => latencyMs);
  return {
    requestsPerSecond: successes / load.seconds,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    errors: answers.length - successes + failed,
  };
}
