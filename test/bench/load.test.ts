/** Both generators send what the load says, each request with a number of its own, and count what came back. */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { measurementOf, runAutocannon } from './autocannon.ts';
import { base64Text, operationRequests } from './dialects.ts';
import { APPENDS_TO_A_KEY, filled, KNOWN_KEYS, keyNumber, type Load } from './load.ts';
import type { Measurement, Operation, System } from './results.ts';
import { hasWrk, luaScript, parseWrkOutput, runWrk } from './wrk.ts';

const CONNECTIONS = 4;
const ROUND = { connections: 16, seconds: 2 };
/** The recording server answers one of so many with 409. */
const REFUSED_EVERY = 10;

describe('a load', () => {
  test('numbers new keys, known keys and shared ones', () => {
    expect([0, 1, 2].map((count) => keyNumber('new', count))).toEqual([0, 1, 2]);
    const known = new Set(Array.from({ length: KNOWN_KEYS }, (_, count) => keyNumber('known', count)));
    expect(known.size).toBe(KNOWN_KEYS);
    expect(Math.max(...known)).toBe(KNOWN_KEYS - 1);
    const shared = Array.from({ length: 2 * APPENDS_TO_A_KEY }, (_, count) => keyNumber('shared', count));
    expect(shared.filter((key) => key === 1)).toHaveLength(APPENDS_TO_A_KEY);
    expect(filled('/{key}?{count}&{seq}', 'shared', 16)).toBe('/000000000001?000000000016&18');
  });

  test.each([64, 1024])('has bodies of exactly %i bytes, in base64 for etcd', (valueBytes) => {
    const put = bodyOf('edgeraft', 'put', valueBytes);
    expect(put).toHaveLength(valueBytes);
    const { key, value } = JSON.parse(bodyOf('etcd', 'put', valueBytes)) as { key: string; value: string };
    for (const text of [key, value]) expect(Buffer.from(text, 'base64').toString('base64')).toBe(text);
    expect(Buffer.from(value, 'base64')).toHaveLength(valueBytes);
    expect(Buffer.from(key, 'base64')).toHaveLength(24);
  });

  test.each([30, 31, 32])('base64 of %i bytes', (bytes) => {
    const text = filled(base64Text(bytes), 'new', 7);
    expect(Buffer.from(text, 'base64')).toHaveLength(bytes);
  });

  test('a mix has nine gets of known keys to one put', () => {
    const requests = requestsOf('edgeraft', 'mix');
    expect(requests.map(({ method }) => method)).toEqual([...Array(9).fill('GET'), 'PUT']);
  });

  test('only Edgeraft appends, and a plain object has no stale gets', () => {
    const has = (system: System, operation: Operation) => operationRequests(system, operation, OPTIONS) !== null;
    expect([has('plain-object', 'append'), has('etcd', 'append'), has('edgeraft', 'append')]).toEqual([
      false,
      false,
      true,
    ]);
    expect([has('plain-object', 'get-stale'), has('etcd', 'get-stale')]).toEqual([false, true]);
  });
});

const OPTIONS = { prefix: 'prefix000001', knownPrefix: 'known0000001', valueBytes: 64, clerkId: 'clerk' };

function requestsOf(system: System, operation: Operation, valueBytes = 64) {
  const requests = operationRequests(system, operation, { ...OPTIONS, valueBytes });
  if (requests === null) throw new Error(`${system} has no ${operation}`);
  return requests;
}

function bodyOf(system: System, operation: Operation, valueBytes: number): string {
  const [request] = requestsOf(system, operation, valueBytes);
  return filled(request?.body ?? '', request?.key ?? 'new', 1);
}

interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly seq: number | null;
  readonly body: string;
}

describe('the generators', () => {
  const recorded: Recorded[] = [];
  const server = createServer(async (request, response) => {
    recorded.push(await record(request));
    response.writeHead(recorded.length % REFUSED_EVERY === 0 ? 409 : 200).end('{}');
  });
  let url = '';

  beforeEach(async () => {
    recorded.length = 0;
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((settle) => server.close(settle));
  });

  const load = (operation: Operation): Load => ({
    url,
    connections: CONNECTIONS,
    seconds: 1,
    requests: requestsOf('edgeraft', operation),
  });

  const generators: readonly (readonly [string, (load: Load) => Promise<Measurement>, boolean])[] = [
    // Debian's package, not one of npm: the bench does without it, and so does its test.
    ['wrk', runWrk, hasWrk()],
    ['autocannon', runAutocannon, true],
  ];

  describe.each(generators)('%s', (_, generate, isInstalled) => {
    test.runIf(isInstalled)('puts each key once, each value once, and counts refusals as errors', async () => {
      const { requestsPerSecond, errors, p50Ms, p99Ms } = await generate(load('put'));
      expect(recorded.length).toBeGreaterThan(100);
      expect(new Set(recorded.map(({ path }) => path)).size).toBe(recorded.length);
      expect(new Set(recorded.map(({ body }) => body)).size).toBe(recorded.length);
      expect(recorded[0]?.path).toMatch(/^\/kv\/prefix0000010000000000\d\d$/);
      for (const { method, body } of recorded) expect([method, body.length]).toEqual(['PUT', 64]);
      const share = errors / (requestsPerSecond + errors);
      expect(share).toBeGreaterThan(0.5 / REFUSED_EVERY);
      expect(share).toBeLessThan(2 / REFUSED_EVERY);
      expect(p50Ms).toBeGreaterThan(0);
      expect(p99Ms).toBeGreaterThanOrEqual(p50Ms);
    });

    test.runIf(isInstalled)("appends with one clerk's seqs, from 2 on, none twice and none left out", async () => {
      await generate(load('append'));
      const seqs = recorded.map(({ seq }) => seq ?? 0).sort((a, b) => a - b);
      const middle = seqs.slice(0, seqs.length - CONNECTIONS);
      expect(middle).toEqual(middle.map((__, i) => i + 2));
      expect(new Set(recorded.map(({ path }) => path)).size).toBeGreaterThan(1);
    });

    test.runIf(isInstalled)('ends when it is told to, and tells its errors', async () => {
      const stop = new AbortController();
      setTimeout(() => stop.abort(), 200);
      const startMs = performance.now();
      const { errors } = await generate({ ...load('put'), seconds: 60, signal: stop.signal });
      expect(performance.now() - startMs).toBeLessThan(20_000);
      expect(errors).toBeGreaterThan(0);
    });

    test.runIf(isInstalled)('mixes', async () => {
      await generate(load('mix'));
      const puts = recorded.filter(({ method }) => method === 'PUT').length;
      expect(puts / recorded.length).toBeCloseTo(0.1, 1);
    });
  });
});

async function record(request: IncomingMessage): Promise<Recorded> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const { method = '', url: path = '', headers } = request;
  const seq = headers['clerk-seq'] === undefined ? null : Number(headers['clerk-seq']);
  return { method, path, seq, body: Buffer.concat(chunks).toString() };
}

describe("wrk's result", () => {
  test('is the line that the script writes', () => {
    const output = 'Running 2s test\n  1 threads\nbench-result 4100 2050000 100 1 2 3 4 1500 20250\n';
    expect(parseWrkOutput(output, ROUND)).toEqual({
      requestsPerSecond: 4000 / 2.05,
      p50Ms: 1.5,
      p99Ms: 20.25,
      errors: 110,
    });
  });

  test.each([
    ['no line', 'unable to connect to 127.0.0.1:1 Connection refused'],
    ['a line that is cut short', 'bench-result 4100 2050000 100'],
    ['no number', 'bench-result 4100 2050000 100 1 2 3 4 nan 20250'],
  ])('%s: throws', (_, output) => {
    expect(() => parseWrkOutput(output, ROUND)).toThrow('wrk told no result');
  });

  test('nothing answered is no throughput, and an error for each connection', () => {
    const output = 'bench-result 0 2050000 0 0 0 0 0 0 0';
    expect(parseWrkOutput(output, ROUND)).toEqual({ requestsPerSecond: 0, p50Ms: 2000, p99Ms: 2000, errors: 16 });
  });

  test('a script names the length of its body', () => {
    const script = luaScript({
      url: 'http://127.0.0.1:80',
      connections: 1,
      seconds: 1,
      requests: requestsOf('etcd', 'get'),
    });
    expect(script).toContain(`Content-Length: ${bodyOf('etcd', 'get', 64).length}\\r\\n\\r\\n`);
  });
});

describe("autocannon's result", () => {
  test('counts successes a second, latencies of all, and errors of both kinds', () => {
    const answers = [200, 201, 200, 504].map((status, i) => ({ status, latencyMs: i + 1 }));
    const { p99Ms, ...rest } = measurementOf(answers, 2, ROUND);
    expect(rest).toEqual({ requestsPerSecond: 1.5, p50Ms: 2.5, errors: 3 });
    expect(p99Ms).toBeCloseTo(3.97);
    expect(measurementOf([], 20, ROUND)).toEqual({ requestsPerSecond: 0, p50Ms: 2000, p99Ms: 2000, errors: 20 });
  });
});
