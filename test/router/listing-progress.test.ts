/** A listing through more deleted keys than one request has time for: each request gets further, however slow the peers are. */
import { beforeEach, expect, test } from 'vitest';
import { createApp } from '../../src/router/app.ts';
import type { Env } from '../../src/router/env.ts';
import { digestAtOnce } from './digest-at-once.ts';
import { FakeClock } from './fake-clock.ts';
import { FakePeers, members } from './fake-peers.ts';
import { HINTS_OF_THREE, simulatedPlatform } from './simulated-router.ts';

beforeEach(digestAtOnce);

const empty = (after: number) => ({
  type: 'page',
  items: [],
  more: true,
  nextAfter: new TextEncoder().encode(String(after).padStart(6, '0')),
  revision: 9,
  storeRevision: 9,
});

test.each(
  [60, 190, 194, 260, 500, 650, 690].flatMap(
    (tookMs) =>
      [
        [tookMs, ''],
        [tookMs, '&peer=1'],
        [tookMs, '&consistency=stale'],
      ] as const,
  ),
)('calls of %i ms (GET /kv?limit=10%s)', async (tookMs, more) => {
  const clock = new FakeClock();
  const peers = new FakePeers();
  peers.found('default', members(...HINTS_OF_THREE));
  let pages = 0;
  peers.fate = ({ route }) => {
    if (route !== 'client') return 'pass';
    pages += 1;
    return { replies: [{ type: 'result', result: empty(pages), ageMs: 0 }] };
  };
  const platform = simulatedPlatform(clock, peers);
  const call: typeof platform.call = async (...request) => {
    await new Promise<void>((resolve) => clock.setTimer(tookMs - 10, resolve));
    return platform.call(...request);
  };
  const app = createApp(() => ({ ...platform, call }));
  const env = { PEERS: HINTS_OF_THREE.join(), OPEN: 'on' } as Env;
  const startMs = clock.nowMs;
  const request = new Request(`https://edge.example/kv?limit=10${more}`);
  const response = await clock.until(Promise.resolve(app.fetch(request, env)));
  expect(response.status).toBe(200);
  expect(pages).toBeGreaterThan(3);
  expect(await response.json()).toMatchObject({ items: [], cursor: expect.any(String), revision: 9 });
  expect(clock.nowMs - startMs).toBeLessThan(10_000);
});
