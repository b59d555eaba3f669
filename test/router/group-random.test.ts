/**
 * Random faults between router and peers: calls lost before and after they are executed, delayed and executed late,
 * leaders that move, peers that fall silent. Whatever the router says must be true in the end.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Command } from '../../src/kv/commands.ts';
import { GroupClient } from '../../src/router/group.ts';
import type { RouterPlatform } from '../../src/router/platform.ts';
import type { WriteOutcome } from '../../src/router/write.ts';
import { FakeClock } from './fake-clock.ts';
import { FakePeers, members } from './fake-peers.ts';
import { Handlers } from './handlers.ts';
import { append, get, HINTS_OF_THREE, simulatedPlatform } from './simulated-router.ts';

/** mulberry32: the seed is in fast-check's report. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Weather {
  readonly seed: number;
  readonly lossBefore: number;
  readonly lossAfter: number;
  readonly maxDelayMs: number;
  readonly leaderMoves: number;
  /** So many requests at once. */
  readonly burst: number;
  /** This share of the requests' handlers is cut off, sooner or later. */
  readonly cutOff: number;
}

/** A network that loses and delays, each call on its own. */
function badNetwork(clock: FakeClock, peers: FakePeers, random: () => number, weather: Weather): RouterPlatform {
  return {
    ...simulatedPlatform(clock, peers, random),
    call: (object, hint, route, body) =>
      new Promise((resolve, reject) => {
        const delayMs = random() < 0.8 ? 5 : random() * weather.maxDelayMs;
        if (random() < weather.lossBefore) {
          clock.setTimer(delayMs, () => reject(new Error('lost')));
          return;
        }
        const loseReply = random() < weather.lossAfter;
        clock.setTimer(delayMs, () => {
          peers.call(object, hint, route, body).then((reply) => {
            if (!loseReply) clock.setTimer(5, () => resolve(reply));
          }, reject);
        });
      }),
    log: () => {},
  };
}

const weather = fc.record({
  seed: fc.integer(),
  lossBefore: fc.constantFrom(0, 0.05, 0.3),
  lossAfter: fc.constantFrom(0, 0.05, 0.3),
  maxDelayMs: fc.constantFrom(10, 2200, 15_000),
  leaderMoves: fc.constantFrom(0, 3, 20),
  burst: fc.constantFrom(1, 6, 60),
  cutOff: fc.constantFrom(0, 0.2),
});

async function runStorm(conditions: Weather): Promise<void> {
  const random = generator(conditions.seed);
  const clock = new FakeClock();
  const peers = new FakePeers();
  const group = peers.found('default', members(...HINTS_OF_THREE));
  const commands: Command[] = [];
  peers.onCommand = (command) => commands.push(command);
  const handlers = new Handlers();
  const network = handlers.platform(badNetwork(clock, peers, random, conditions));
  const routers = [0, 1].map(() => new GroupClient(network, HINTS_OF_THREE));

  for (let i = 0; i < conditions.leaderMoves; i += 1) {
    clock.setTimer(random() * 30_000, () => {
      group.leader = random() < 0.3 ? null : 1 + Math.floor(random() * 3);
      group.term += 1;
    });
  }

  const writes: { token: string; isCutOff: boolean; ended: { outcome: WriteOutcome; tookMs: number } | null }[] = [];
  const write = (i: number): void => {
    const startMs = clock.nowMs;
    const token = `<${i}>`;
    const router = routers[i % routers.length] as GroupClient;
    const handler = handlers.begin(() => router.write('default', append('key', token)));
    const request: (typeof writes)[number] = { token, isCutOff: random() < conditions.cutOff, ended: null };
    writes.push(request);
    handler.answer.then((outcome) => {
      request.ended = { outcome, tookMs: clock.nowMs - startMs };
    });
    if (request.isCutOff) clock.setTimer(random() < 0.5 ? random() * 20 : random() * 5000, handler.cutOff);
  };
  let atMs = 0;
  for (let i = 0; i < 60; i += 1) {
    if (i % conditions.burst === 0) atMs = random() * 25_000;
    clock.setTimer(atMs + random() * 4, () => write(i));
  }
  await clock.advance(60_000);

  group.leader ??= 1;
  const reader = new GroupClient(simulatedPlatform(clock, peers), HINTS_OF_THREE);
  const read = await clock.until(reader.read('default', get('key')));
  const value = read.ok && read.answer.type === 'value' ? new TextDecoder().decode(read.answer.item.value) : '';
  for (const { token, isCutOff, ended } of writes) {
    const times = value.split(token).length - 1;
    expect(times, token).toBeLessThanOrEqual(1);
    if (ended === null) {
      expect(isCutOff, `${token} has no answer`).toBe(true);
      continue;
    }
    const { outcome, tookMs } = ended;
    expect(tookMs).toBeLessThanOrEqual(8500);
    if (outcome.ok) expect([token, outcome.result.type, times]).toEqual([token, 'written', 1]);
    else if (outcome.failure.type !== 'outcome_unknown')
      expect([token, outcome.failure, times]).toEqual([token, outcome.failure, 0]);
  }
  expectSessionRules(commands);
}

/** As the store sees them: one request for each seq, nothing past seq 1 before it was applied, acked below seq. */
function expectSessionRules(commands: readonly Command[]): void {
  const digests = new Map<string, string>();
  for (const { session } of commands) {
    expect(session.acked).toBeLessThan(session.seq);
    const name = `${session.id} ${session.seq}`;
    const digest = session.requestDigest.join();
    // Seq 1 may be given to another request when nothing was done under it.
    if (session.seq > 1) expect(digests.get(name) ?? digest).toBe(digest);
    digests.set(name, digest);
    if (session.seq > 1) expect(digests.has(`${session.id} 1`)).toBe(true);
  }
}

test('in any weather every answer is true, and comes in time', async () => {
  await fc.assert(fc.asyncProperty(weather, runStorm), { numRuns: 60 });
});

test('in fair weather every write is answered', async () => {
  const fair = { seed: 1, lossBefore: 0, lossAfter: 0, maxDelayMs: 10, leaderMoves: 0, burst: 6, cutOff: 0 };
  await runStorm(fair);
});
