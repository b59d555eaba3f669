import { expect, test } from 'vitest';
import { createApp } from '../../src/router/app.ts';
import type { Env } from '../../src/router/env.ts';
import { FakeClock } from './fake-clock.ts';
import { FakePeers, members } from './fake-peers.ts';
import { HINTS_OF_THREE, simulatedPlatform } from './simulated-router.ts';

function server() {
  const clock = new FakeClock();
  const peers = new FakePeers();
  peers.found('default', members(...HINTS_OF_THREE));
  const app = createApp(() => simulatedPlatform(clock, peers));
  const env = { PEERS: HINTS_OF_THREE.join(), OPEN: 'on' } as Env;
  const fetch = (path: string, init: Record<string, unknown> = {}) =>
    Promise.resolve(app.fetch(new Request(`https://edge.example${path}`, { duplex: 'half', ...init } as object), env));
  return { clock, peers, fetch };
}

test('a body that takes longer than 30 s is 408', async () => {
  const { clock, peers, fetch } = server();
  let cancelled = false;
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(new Uint8Array(10)),
    cancel: () => {
      cancelled = true;
    },
  });
  const startMs = clock.nowMs;
  const response = await clock.until(fetch('/kv/a', { method: 'PUT', body }));
  expect([response.status, clock.nowMs - startMs]).toEqual([408, 30_000]);
  expect(await response.json()).toMatchObject({ code: 'request_timeout' });
  expect(cancelled).toBe(true);
  expect(peers.calls).toEqual([]);
});

test.each([
  '/kv/a',
  '/kv',
  '/kv/a?consistency=stale',
  '/kv?consistency=stale',
  '/kv/a?peer=2',
  '/cluster',
  '/healthz',
  '/metrics',
])('GET %s is answered within 10 s when no peer answers', async (path) => {
  const { clock, peers, fetch } = server();
  peers.fate = () => 'hang';
  const startMs = clock.nowMs;
  const response = await clock.until(fetch(path));
  expect(clock.nowMs - startMs).toBeLessThan(10_000);
  expect(response.status).toBe(path === '/cluster' || path === '/metrics' ? 200 : 503);
  if (response.status === 503) expect(response.headers.get('Retry-After')).toBe('1');
  expect(clock.pendingTimers).toBe(0);
});

test('the path of a missing group is judged in time too', async () => {
  const { clock, peers, fetch } = server();
  peers.fate = () => 'hang';
  const startMs = clock.nowMs;
  expect((await clock.until(fetch('/groups/g/kv/%FF'))).status).toBe(400);
  expect((await clock.until(fetch('/groups/g/cluster'))).status).toBe(503);
  expect(clock.nowMs - startMs).toBeLessThan(10_000);
});
