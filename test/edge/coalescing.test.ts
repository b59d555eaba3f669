/**
 * Requests share calls on the real runtime, where a request's I/O belongs to its own handler, where one that waits for nothing of its
 * own is cancelled as hung, and where clients hang up.
 */
import { Agent } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { startLocalGroup } from '../../src/cli/local-group.ts';
import { type EdgeRuntime, runtimeForTests, sleep } from './edge-runtime.ts';
import { send } from './raw-http.ts';

const AT_ONCE = 64;
const ANSWER_LIMIT_MS = 10_000;
const LOAD_MS = 3000;
/** Of the leader's messages, each way; both take less than it waits for an answer. */
const SLOW_MS = 150;

async function total(edge: EdgeRuntime, name: string): Promise<number> {
  const { text } = await edge.request('GET', '/metrics');
  const samples = [...text.matchAll(new RegExp(`^edgeraft_${name}\\{.*\\} (\\d+)$`, 'gm'))];
  return samples.reduce((sum, [, value]) => sum + Number(value), 0);
}

/** Requests of clients, and the calls that carried them, while `work` is done. */
async function counted(edge: EdgeRuntime, work: () => Promise<void>): Promise<{ calls: number; requests: number }> {
  const names = ['client_calls_total', 'client_requests_total'];
  const [callsBefore = 0, requestsBefore = 0] = await Promise.all(names.map((name) => total(edge, name)));
  await work();
  const [calls = 0, requests = 0] = await Promise.all(names.map((name) => total(edge, name)));
  return { calls: calls - callsBefore, requests: requests - requestsBefore };
}

function times<T>(count: number, run: (i: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => run(i)));
}

async function eachInTurn<T>(count: number, run: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let i = 0; i < count; i += 1) results.push(await run());
  return results;
}

async function timed<T>(work: Promise<T>): Promise<{ result: T; tookMs: number }> {
  const startMs = performance.now();
  const result = await work;
  return { result, tookMs: performance.now() - startMs };
}

/** Founds the group, and gives the router an identity. */
async function begin(edge: EdgeRuntime): Promise<void> {
  expect((await edge.request('PUT', '/kv/first', { body: 'x' })).outcome).toMatch(/^20[01]$/);
}

/** Each put is read back, by so many clients at once. */
async function putAndGet(edge: EdgeRuntime, round: string): Promise<void> {
  const puts = await times(AT_ONCE, (i) => edge.request('PUT', `/kv/${round}-${i}`, { body: `${round} ${i}` }));
  expect(puts.map(({ outcome }) => outcome)).toEqual(Array(AT_ONCE).fill('201'));
  const gets = await times(AT_ONCE, (i) => edge.request('GET', `/kv/${round}-${i}`));
  expect(gets.map(({ text }) => text)).toEqual(gets.map((_, i) => `${round} ${i}`));
}

/** Sends a put, and hangs up after `afterMs`, whatever has come back. */
async function hangUp(edge: EdgeRuntime, key: string, afterMs: number): Promise<void> {
  const { hostname: host, port } = edge.origin;
  const socket = connect({ host, port: Number(port) });
  socket.on('error', () => {});
  socket.write(`PUT /kv/${key} HTTP/1.1\r\nHost: edge\r\nContent-Length: 1\r\n\r\nx`);
  await sleep(afterMs);
  socket.destroy();
}

describe('with coalescing', () => {
  const runtime = runtimeForTests();

  test('64 puts and 64 gets at once share calls, and each has its own answer', async () => {
    const { edge } = runtime;
    await begin(edge);
    const { calls, requests } = await counted(edge, async () => {
      for (let round = 0; round < 5; round += 1) await putAndGet(edge, `shared${round}`);
    });
    expect(requests).toBeGreaterThanOrEqual(10 * AT_ONCE);
    expect(calls).toBeLessThan(requests / 2);
  });

  test('clients that hang up leave the others unharmed, those who ride on their calls too', async () => {
    const { edge } = runtime;
    for (let round = 0; round < 8; round += 1) {
      const startMs = performance.now();
      const gone = times(AT_ONCE / 2, (i) => hangUp(edge, `gone${round}-${i}`, (i * (round + 1)) % 16));
      const puts = await times(AT_ONCE, (i) => edge.request('PUT', `/kv/stays${round}-${i}`, { body: `${i}` }));
      expect(puts.map(({ outcome }) => outcome)).toEqual(Array(AT_ONCE).fill('201'));
      expect(performance.now() - startMs).toBeLessThan(ANSWER_LIMIT_MS);
      await gone;
    }
  });

  test('a body of 1 MiB beside small ones', async () => {
    const { edge } = runtime;
    const large = 'x'.repeat(1_048_576);
    const puts = await times(AT_ONCE, (i) =>
      edge.request('PUT', `/kv/mixed${i}`, { body: i % 16 === 0 ? large : `${i}` }),
    );
    expect(puts.map(({ outcome }) => outcome)).toEqual(Array(AT_ONCE).fill('201'));
    // As many large answers as would not fit into one body.
    const gets = await times(AT_ONCE, (i) => edge.request('GET', `/kv/mixed${(i % 4) * 16}`));
    expect(gets.every(({ text }) => text === large)).toBe(true);
  });

  test('a slow request beside fast ones: who needs less is not held up, and who comes later waits for its own call only', async () => {
    const { edge } = runtime;
    await begin(edge);
    const { leader } = await edge.whole();
    await edge.fault(`${leader}`, { action: 'delay', minMs: SLOW_MS, maxMs: SLOW_MS });
    try {
      const slow = timed(edge.request('PUT', '/kv/slow', { body: 'x' }));
      await sleep(SLOW_MS / 4);
      const later = timed(edge.request('PUT', '/kv/later', { body: 'x' }));
      const fast = await timed(eachInTurn(20, () => edge.request('GET', '/kv/first?consistency=stale')));
      const [slowPut, laterPut] = await Promise.all([slow, later]);
      expect(fast.result.map(({ outcome }) => outcome)).toEqual(Array(20).fill('200'));
      expect([slowPut.result.outcome, laterPut.result.outcome]).toEqual(['201', '201']);
      expect(slowPut.tookMs).toBeGreaterThan(SLOW_MS);
      expect(fast.tookMs).toBeLessThan(slowPut.tookMs);
      // After the slow one it would have taken nearly twice as long.
      expect(laterPut.tookMs).toBeLessThan(1.5 * slowPut.tookMs);
    } finally {
      await edge.fault(`${leader}`, { action: 'heal' });
    }
  });
});

describe('without', () => {
  const runtime = runtimeForTests({ variables: { COALESCING: 'off' } });

  test('each request is a call', async () => {
    const { edge } = runtime;
    await begin(edge);
    const { calls, requests } = await counted(edge, () => putAndGet(edge, 'alone'));
    expect(requests).toBeGreaterThanOrEqual(2 * AT_ONCE);
    expect(calls).toBe(requests);
  });
});

describe('on bare workerd, which is faster', () => {
  /** A request that is cancelled as hung is a 500 of the runtime's. */
  test('nobody is taken for hung: timers fire just when others are about to let go on', async () => {
    const group = await startLocalGroup({ port: 0, peers: 3, chaos: false });
    const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
    const failures: string[] = [];
    const load = async (method: string, body?: string): Promise<void> => {
      const untilMs = performance.now() + LOAD_MS;
      await times(AT_ONCE, async (i) => {
        while (performance.now() < untilMs) {
          const options = { agent, ...(body === undefined ? {} : { body }) };
          const { status, text } = await send(new URL(group.url), method, `/kv/load${i}`, options);
          if (status !== 200 && status !== 201) failures.push(`${method} ${status} ${text}`);
        }
      });
    };
    try {
      await load('PUT', 'x');
      await load('GET');
    } finally {
      agent.destroy();
      await group.stop();
    }
    expect(failures).toEqual([]);
  });
});
