/** A peer whose reply is well-formed, and answers another question than the one that was asked: it counts as no reply. */
import { beforeEach, expect, test } from 'vitest';
import { createApp } from '../../src/router/app.ts';
import type { Env } from '../../src/router/env.ts';
import { digestAtOnce } from './digest-at-once.ts';
import { FakeClock } from './fake-clock.ts';
import { FakePeers, members } from './fake-peers.ts';
import { HINTS_OF_THREE, simulatedPlatform } from './simulated-router.ts';

beforeEach(digestAtOnce);

const PAGE = { type: 'page', items: [], more: false, nextAfter: null, revision: 1, storeRevision: 1 };
const MISSING = { type: 'missing', revision: 1 };
const COMPACTED = { type: 'compacted', revision: 1 };
const WRITTEN = { type: 'written', created: true, revision: 2, version: 1, replayed: false };
const DELETED = { type: 'deleted', revision: 2, deleted: 1, replayed: false };

test.each([
  ['GET', '/kv/a', PAGE, 503],
  ['GET', '/kv/a', COMPACTED, 503],
  ['GET', '/kv/a?consistency=stale', PAGE, 503],
  ['GET', '/kv/a?peer=1', PAGE, 503],
  ['GET', '/kv', MISSING, 503],
  ['GET', '/kv?consistency=stale', MISSING, 503],
  ['PUT', '/kv/a', DELETED, 504],
  ['PATCH', '/kv/a?peer=1', DELETED, 504],
  ['DELETE', '/kv/a', WRITTEN, 504],
] as const)('%s %s, answered by %j: %i', async (method, path, result, status) => {
  const clock = new FakeClock();
  const peers = new FakePeers();
  peers.found('default', members(...HINTS_OF_THREE));
  const isRead = method === 'GET';
  peers.fate = ({ route }) =>
    route === 'client' ? { replies: [{ type: 'result', result, ageMs: isRead ? 1 : null }] } : 'pass';
  const app = createApp(() => simulatedPlatform(clock, peers));
  const env = { PEERS: HINTS_OF_THREE.join(), OPEN: 'on' } as Env;
  const startMs = clock.nowMs;
  const response = await clock.until(
    Promise.resolve(app.fetch(new Request(`https://edge.example${path}`, { method }), env)),
  );
  expect(response.status).toBe(status);
  expect(clock.nowMs - startMs).toBeLessThan(10_000);
});
