/** A closed loop: so many connections, each sending its next request when the last is answered. */
import { Agent, request } from 'node:http';

export interface LoadResult {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
}

export interface LoadRequest {
  readonly method: string;
  readonly path: string;
  readonly body?: Uint8Array<ArrayBuffer>;
}

export interface Load {
  readonly url: string;
  readonly connections: number;
  readonly durationMs: number;
  /** The next request; `number` grows by one. */
  readonly next: (number: number) => LoadRequest;
}

export async function runLoad({ url, connections, durationMs, next }: Load): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const latenciesMs: number[] = [];
  let errors = 0;
  let number = 0;
  const startMs = performance.now();
  const loop = async (): Promise<void> => {
    while (performance.now() - startMs < durationMs) {
      const { method, path, body } = next(number);
      number += 1;
      const sentMs = performance.now();
      const status = await send(agent, new URL(path, url), method, body).catch(() => 0);
      if (status >= 200 && status < 300) latenciesMs.push(performance.now() - sentMs);
      else errors += 1;
    }
  };
  await Promise.all(Array.from({ length: connections }, loop));
  const seconds = (performance.now() - startMs) / 1000;
  agent.destroy();
  latenciesMs.sort((a, b) => a - b);
  const quantile = (q: number): number => latenciesMs[Math.floor(q * (latenciesMs.length - 1))] ?? Number.NaN;
  return { requestsPerSecond: latenciesMs.length / seconds, p50Ms: quantile(0.5), p99Ms: quantile(0.99), errors };
}

function send(agent: Agent, url: URL, method: string, body: Uint8Array | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ agent, host: url.hostname, port: url.port, path: url.pathname, method }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
      response.once('error', reject);
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}
