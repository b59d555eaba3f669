/**
 * What only time can show, each in a runtime of its own, all at once: http-api.md, "Errors" (a body that takes too long is
 * refused, and every request is answered within 10 s), and that groups come back by themselves.
 */
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { ask, clerk, fresh } from './contract.ts';
import { runtimeForTests, sleep } from './edge-runtime.ts';
import type { Reply } from './raw-http.ts';

const ALL = ['1', '2', '3'];
const SLOW_BODY_MS = 30_000;
const ANSWER_LIMIT_MS = 10_000;
/** For the way there and back on a busy machine. */
const MARGIN_MS = 1000;
const ROUNDS = 4;
/** Longer than an election timeout, so that peers stand in vain; not the same each time. */
const CUT_OFF_MS = [1100, 1900, 2600, 3400];
const QUIET_MS = 5000;

describe.concurrent('time', () => {
  const slow = runtimeForTests({ peers: 1 });
  const cutOff = runtimeForTests();
  const quiet = runtimeForTests();

  test('a slow body is 408 request_timeout, nothing is written, and others are served', {
    timeout: 90_000,
  }, async () => {
    const { edge } = slow;
    const { hostname: host, port } = edge.origin;
    const startMs = performance.now();
    const reply = new Promise<string>((resolve, reject) => {
      let text = '';
      const socket = connect({ host, port: Number(port) });
      // A byte every second: the connection is alive, the body is not done.
      const drip = setInterval(() => socket.write('x'), 1000);
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1');
        if (/\r\n\r\n.*}$/s.test(text)) socket.destroy();
      });
      socket.on('error', reject);
      socket.on('close', () => {
        clearInterval(drip);
        resolve(text);
      });
      socket.write('PUT /kv/slow HTTP/1.1\r\nHost: edge\r\nContent-Length: 1000\r\n\r\n');
    });
    expect((await ask(edge, 'PUT', '/kv/other', { body: 'v' })).outcome).toBe('201');
    const text = await reply;
    const tookMs = performance.now() - startMs;
    expect(text).toMatch(/^HTTP\/1\.1 408 /);
    expect(text).toContain('"code":"request_timeout"');
    expect(tookMs).toBeGreaterThan(SLOW_BODY_MS - 500);
    expect(tookMs).toBeLessThan(SLOW_BODY_MS + 10_000);
    expect((await ask(edge, 'GET', '/kv/slow')).outcome).toBe('404 key_not_found');
  });

  test('without a quorum every request is answered within 10 s: reads 503, writes 503 or 504', {
    timeout: 90_000,
  }, async () => {
    const { edge } = cutOff;
    expect((await ask(edge, 'PUT', '/kv/a', { body: 'v' })).outcome).toBe('201');
    await edge.whole();
    await Promise.all(ALL.map((id) => edge.fault(id, { action: 'isolate' })));
    const timed = async (reply: Promise<Reply>) => {
      const startMs = performance.now();
      const { outcome } = await reply;
      return { outcome, tookMs: performance.now() - startMs };
    };
    const id = fresh('clerk');
    const [reads, writes] = await Promise.all([
      Promise.all([
        timed(ask(edge, 'GET', '/kv/a')),
        timed(ask(edge, 'GET', '/kv')),
        timed(ask(edge, 'GET', '/kv/missing')),
      ]),
      Promise.all([
        timed(ask(edge, 'PUT', '/kv/a', { body: 'new' })),
        timed(ask(edge, 'PATCH', '/kv/b', { headers: clerk(id, 1), body: 'once' })),
        timed(ask(edge, 'DELETE', '/kv/missing')),
      ]),
    ]);
    const stale = await ask(edge, 'GET', '/kv/a?consistency=stale');
    expect([stale.outcome, stale.text]).toEqual(['200', 'v']);
    for (const { outcome } of reads) expect(outcome).toBe('503 no_leader');
    for (const { outcome } of writes) expect(['503 no_leader', '504 outcome_unknown']).toContain(outcome);
    for (const { tookMs } of [...reads, ...writes]) expect(tookMs).toBeLessThan(ANSWER_LIMIT_MS + MARGIN_MS);
    await Promise.all(ALL.map((peer) => edge.fault(peer, { action: 'heal' })));
    await edge.whole();
    // What was left open is settled by repeating it.
    expect((await ask(edge, 'PATCH', '/kv/b', { headers: clerk(id, 1), body: 'once' })).status).toBeLessThan(300);
    expect((await ask(edge, 'GET', '/kv/b')).text).toBe('once');
  });

  // Questions are events, too, and may wake a peer that has missed its alarm: so nobody asks.
  test('peers that were cut off from each other find together with nobody asking', { timeout: 120_000 }, async () => {
    const { edge } = quiet;
    await ask(edge, 'PUT', '/kv/a', { body: 'v' });
    await edge.whole();
    for (let round = 0; round < ROUNDS; round += 1) {
      await Promise.all(ALL.map((id) => edge.fault(id, { action: 'isolate' })));
      await sleep(CUT_OFF_MS[round] ?? 0);
      await Promise.all(ALL.map((id) => edge.fault(id, { action: 'heal' })));
      await sleep(QUIET_MS);
      const { leader, term, peers } = await edge.cluster();
      const found = peers.map(({ id, role, term: seen }) => `${id} ${role} ${seen}`);
      expect(found).toEqual(ALL.map((id) => `${id} ${id === leader ? 'leader' : 'follower'} ${term}`));
      for (const { lastContactMs } of peers) expect(lastContactMs).toBeLessThan(1000);
    }
  });
});
