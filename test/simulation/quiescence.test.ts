/** Races around a group's sleep, one a test, each with every invariant checked after every event. */
import { afterEach, describe, expect, test } from 'vitest';
import { decodeEnvelope } from '../../src/peer/message-codec.ts';
import { statusOf } from '../../src/peer/report.ts';
import { SimGroup, type SimGroupOptions } from './sim-group.ts';
import type { Message, SentRequest } from './world.ts';

const ELECTION_TIMEOUT_MS = 500;
const QUIESCE_AFTER_MS = 2000;
/** An attempt that fails is made again an election timeout later. */
const ASLEEP_WITHIN_MS = QUIESCE_AFTER_MS + 4 * ELECTION_TIMEOUT_MS;
const TEN_MINUTES_MS = 600_000;

let group: SimGroup;
afterEach(() => group.close());

const slots = (): number[] => Array.from({ length: group.world.objects.size }, (_, i) => i + 1);
const others = (): number[] => slots().filter((slot) => slot !== leader());
/** By what is on disk: a restored peer is not there before somebody calls. */
const isAsleep = (slot: number): boolean => {
  const { disk } = group.object(slot);
  return !disk.unflushed && disk.quiesceRecord() !== null;
};
const allAsleep = (): boolean => slots().every(isAsleep);
const ledAgain = (): number => group.invariants.sum((invariants) => invariants.ledAgain);
const terms = (): number[] =>
  slots().map((slot) => Number(group.object(slot).disk.inspect('SELECT current_term FROM peer_state')[0]?.[0]));

function leader(): number {
  const slot = group.leader();
  if (slot === null) throw new Error('nobody leads');
  return slot;
}

/** Object slots of peers that are asked to sleep in this request. */
const asksToSleep = ({ body, route }: SentRequest): boolean =>
  route === 'raft' &&
  (decodeEnvelope(body)?.messages ?? []).some((message) => message.type === 'AppendEntries' && message.quiesce);

/** A group of which all sleep; something was written. */
async function sleepingGroup(options: SimGroupOptions = {}): Promise<void> {
  group = new SimGroup({ quiesceAfterMs: QUIESCE_AFTER_MS, ...options });
  expect(await group.put('before', 'the sleep')).toBe('written');
  expect(await group.pass(ASLEEP_WITHIN_MS, allAsleep)).toBe(true);
}

async function sleepsAgain(): Promise<void> {
  expect(await group.pass(ASLEEP_WITHIN_MS + 60_000, () => allAsleep() && group.equal(slots()))).toBe(true);
}

/** A put that is under way: time passes only when the test says so. What became of it, in the end. */
function startPut(value: string): () => Promise<string> {
  const [key, bytes] = ['key', value].map((text) => new TextEncoder().encode(text)) as [Uint8Array, Uint8Array];
  const operation = { op: 'put' as const, key, condition: null, value: bytes, valueDigest: new Uint8Array(16) };
  const write = { operation, requestDigest: new Uint8Array(16), clerk: null, peer: null };
  const written = group.client.write('default', write);
  return async () => {
    const outcome = await group.until(written);
    return outcome.ok ? outcome.result.type : outcome.failure.type;
  };
}

/** How long a put took, ms. */
async function putMs(value: string): Promise<number> {
  const { scheduler } = group.world;
  const startMs = scheduler.nowMs;
  expect(await group.put('key', value)).toBe('written');
  return scheduler.nowMs - startMs;
}

/** The elapsed time in the newest entry of this peer's log, ms. */
function newestStamp(slot: number): number | undefined {
  const { peer } = group.object(slot).instance!;
  const { lastIndex } = peer.raft!.log;
  return peer.storage.entries(lastIndex, lastIndex)[0]?.entry.elapsedMs;
}

/** Of what was written before the sleep, by one peer; it wakes nobody. */
function staleRead(peer: string) {
  const query = { type: 'get' as const, key: new TextEncoder().encode('before') };
  return group.until(group.client.read('default', { query, consistency: 'stale', peer }));
}

/** Everything that is billed, of all peers. */
function bill() {
  return slots().map((slot) => {
    const { disk, instance } = group.object(slot);
    const { sets, fired } = instance!.peer.alarm;
    const { statementsWritten, durableTurn } = disk;
    return { sets, fired, statementsWritten, durableTurn, alarm: disk.alarm };
  });
}

describe('a group that sleeps costs nothing', () => {
  test.each([1, 3, 5])('%i peers, ten minutes: no alarm, no message, nothing written', async (peers) => {
    await sleepingGroup({ peers });
    const before = bill();
    let messages = 0;
    group.world.onMessage = () => {
      messages += 1;
      return null;
    };
    await group.pass(TEN_MINUTES_MS);
    expect(messages).toBe(0);
    expect(bill()).toEqual(before);
    expect(before.every(({ alarm }) => alarm === null)).toBe(true);
    group.world.onMessage = null;
    expect(await putMs('after')).toBeLessThan(ELECTION_TIMEOUT_MS);
    expect(new Set(terms()).size).toBe(1);
  });

  test('status and stale reads are answered, and wake nobody', async () => {
    await sleepingGroup();
    const before = bill();
    for (let i = 0; i < 20; i += 1) {
      const survey = await group.until(group.client.survey('default'));
      expect(survey.complete).toBe(true);
      for (const peer of ['1', '2', '3']) {
        expect(await staleRead(peer)).toMatchObject({ ok: true, answer: { type: 'value' } });
      }
      await group.pass(1000);
    }
    expect(bill()).toEqual(before);
    expect(allAsleep()).toBe(true);
  });

  test('the same after an eviction of all: those who are restored sleep on', async () => {
    await sleepingGroup();
    const record = group.object(1).disk.quiesceRecord();
    for (const slot of slots()) group.world.crash(group.object(slot));
    const survey = await group.until(group.client.survey('default'));
    expect(survey.complete).toBe(true);
    await group.pass(TEN_MINUTES_MS);
    expect(group.object(1).disk.quiesceRecord()).toEqual(record);
    expect(bill().every(({ sets, fired }) => sets === 0 && fired === 0)).toBe(true);
  });
});

describe('how old a stale read may be, the leader that was asked says truly', () => {
  async function ageMs(peer: number): Promise<number | null> {
    const outcome = await staleRead(String(peer));
    if (!outcome.ok || outcome.answer.type !== 'value') throw new Error('no value');
    return outcome.ageMs;
  }
  const lastContactMs = (slot: number): number | null => statusOf(group.object(slot).instance!.peer).lastContactMs;

  test('while it sleeps: since a quorum answered it; evicted meanwhile: that it does not know', async () => {
    await sleepingGroup();
    const old = leader();
    await group.pass(TEN_MINUTES_MS);
    expect(await ageMs(old)).toBeGreaterThanOrEqual(TEN_MINUTES_MS);
    expect(lastContactMs(old)).toBeGreaterThanOrEqual(TEN_MINUTES_MS);
    group.world.crash(group.object(old));
    expect(await ageMs(old)).toBeNull();
    expect(lastContactMs(old)).toBeNull();
  });

  test('woken, before anybody has answered it', async () => {
    await sleepingGroup();
    const old = leader();
    await group.pass(TEN_MINUTES_MS);
    group.isolate(old);
    const ended = startPut('new');
    await group.pass(100);
    expect(await ageMs(old)).toBeGreaterThanOrEqual(TEN_MINUTES_MS);
    // A peer that has just been woken is not ill for that.
    expect(lastContactMs(old)).toBeLessThan(ELECTION_TIMEOUT_MS);
    group.heal();
    expect(await ended()).toBe('written');
    await group.pass(1000);
    expect(await ageMs(leader())).toBeLessThan(ELECTION_TIMEOUT_MS);
  });
});

describe('falling asleep', () => {
  test.each(['request', 'reply'] as const)('the %s of the handshake is lost at one follower', async (kind) => {
    group = new SimGroup({ quiesceAfterMs: QUIESCE_AFTER_MS });
    await group.put('a', '1');
    const victim = group.object(others()[0]!).name;
    let lost = 0;
    let loses = false;
    let untilMs = 0;
    group.world.onRequest = (request) => {
      loses = lost < 3 && request.to === victim && asksToSleep(request);
      if (!loses) return;
      lost += 1;
      untilMs = group.world.scheduler.nowMs + 90;
    };
    group.world.onMessage = (message: Message) => {
      const isQuestion = message.kind === 'request' && loses;
      const isAnswer = message.from === victim && message.kind === 'reply' && group.world.scheduler.nowMs < untilMs;
      return (kind === 'request' ? isQuestion : isAnswer) ? Number.POSITIVE_INFINITY : null;
    };
    const [term] = terms();
    const tries = () => lost;
    expect(await group.pass(20_000, allAsleep)).toBe(true);
    expect(tries()).toBe(3);
    expect(terms()).toEqual([term, term, term]);
    expect(await putMs('after')).toBeLessThan(ELECTION_TIMEOUT_MS);
  });

  test('a client comes at any moment of it, and is served at once, in the same term', async () => {
    for (let afterMs = 0; afterMs <= 60; afterMs += 3) {
      group = new SimGroup({ quiesceAfterMs: QUIESCE_AFTER_MS, seed: 1 + afterMs });
      await group.put('a', '1');
      let asked = false;
      group.world.onRequest = (request) => {
        asked ||= asksToSleep(request);
      };
      expect(await group.pass(ASLEEP_WITHIN_MS, () => asked)).toBe(true);
      await group.pass(afterMs);
      const [term] = terms();
      expect(await putMs('after'), `after ${afterMs} ms`).toBeLessThan(ELECTION_TIMEOUT_MS);
      await sleepsAgain();
      expect(terms()).toEqual([term, term, term]);
      if (afterMs < 60) group.close();
    }
  });

  test('alarms that come late, twice, or to those who were restored meanwhile, do nothing', async () => {
    await sleepingGroup();
    const before = bill().map(({ statementsWritten, durableTurn }) => ({ statementsWritten, durableTurn }));
    for (let i = 0; i < 4; i += 1) {
      for (const slot of slots()) {
        const instance = group.object(slot).instance!;
        instance.peer.onAlarm(instance.peer.platform.now() - 1000 * i);
        group.world.touched.add(instance);
      }
      await group.pass(5000);
      if (i === 1) {
        for (const slot of slots()) group.world.crash(group.object(slot));
        await group.until(group.client.survey('default'));
      }
    }
    const after = bill().map(({ statementsWritten, durableTurn }) => ({ statementsWritten, durableTurn }));
    expect(after).toEqual(before);
    expect(allAsleep()).toBe(true);
  });
});

describe('waking up', () => {
  test('two at once: a client at the leader, another at a follower that it asks to stand', async () => {
    for (let apartMs = -12; apartMs <= 12; apartMs += 4) {
      await sleepingGroup({ seed: 100 + apartMs });
      const [term] = terms();
      const [follower] = others();
      const stand = (): void => {
        group.object(follower!).instance!.peer.stand();
        group.world.touched.add(group.object(follower!).instance!);
      };
      if (apartMs < 0) stand();
      const put = startPut('value');
      await group.pass(Math.abs(apartMs));
      if (apartMs >= 0) stand();
      expect(await put()).toBe('written');
      await sleepsAgain();
      expect(terms(), `${apartMs} ms apart`).toEqual([term, term, term]);
      if (apartMs < 12) group.close();
    }
  });

  test('the leader was cut off before: it gives up, another is elected, and the old one follows on its return', async () => {
    await sleepingGroup();
    const old = leader();
    group.isolate(old);
    expect(await group.put('key', 'by another')).toBe('written');
    expect(leader()).not.toBe(old);
    group.heal();
    await sleepsAgain();
    expect(await group.get('key')).toBe('by another');
  });

  test('a follower was cut off before: the others serve at once, and sleep without it', async () => {
    await sleepingGroup();
    const [cutOff] = others();
    group.isolate(cutOff!);
    expect(await putMs('value')).toBeLessThan(ELECTION_TIMEOUT_MS);
    const rest = slots().filter((slot) => slot !== cutOff);
    expect(await group.pass(ASLEEP_WITHIN_MS, () => rest.every(isAsleep) && group.equal(rest))).toBe(true);
    // It sleeps as well, and has missed something: the next wake brings it.
    group.heal();
    expect(await group.get('key')).toBe('value');
    await sleepsAgain();
    expect(new Set(terms()).size).toBe(1);
  });

  test('the leader crashed meanwhile: it leads on, by its record', async () => {
    await sleepingGroup();
    const [term] = terms();
    group.world.crash(group.object(leader()));
    expect(await putMs('after')).toBeLessThan(ELECTION_TIMEOUT_MS);
    expect(ledAgain()).toBe(1);
    expect(terms()).toEqual([term, term, term]);
    expect(await group.get('before')).toBe('the sleep');
  });

  test('all were evicted: the leader leads on, in the same term, for a read as for a write', async () => {
    await sleepingGroup({ peers: 5 });
    const [term] = terms();
    for (let round = 1; round <= 3; round += 1) {
      for (const slot of slots()) group.world.crash(group.object(slot));
      expect(await group.get('before')).toBe('the sleep');
      expect(await group.put('round', String(round))).toBe('written');
      expect(ledAgain()).toBe(round);
      await sleepsAgain();
    }
    expect(new Set(terms())).toEqual(new Set([term]));
  });

  test('the leader is gone: once a client asks, the others elect within an election timeout', async () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      await sleepingGroup({ seed });
      const [follower] = others();
      group.object(leader()).downUntilMs = Number.POSITIVE_INFINITY;
      const { peer } = group.object(follower!).instance!;
      peer.beginEvent(0);
      peer.stand();
      group.world.touched.add(group.object(follower!).instance!);
      const rest = others();
      const elected = await group.pass(ELECTION_TIMEOUT_MS, () =>
        rest.some((slot) => group.raft(slot)?.role === 'leader'),
      );
      expect(elected, `seed ${seed}`).toBe(true);
      group.world.crash(group.object(slots().find((slot) => !rest.includes(slot))!));
      expect(await group.put('key', 'value')).toBe('written');
      if (seed < 5) group.close();
    }
  });

  test('a crash at any moment of it loses nothing', async () => {
    for (let events = 1; events <= 40; events += 3) {
      await sleepingGroup({ seed: events });
      const put = startPut('value');
      await group.step(events);
      group.world.crash(group.object(1 + (events % 3)));
      expect(await put(), `after ${events} events`).toBe('written');
      expect(await group.get('key')).toBe('value');
      await sleepsAgain();
      if (events < 40) group.close();
    }
  });
});

describe('a superseded instance beside its restored self', () => {
  test('the old one is awake, and its wake-up is on nobody’s disk: the new one leads on, the old one is heard by nobody', async () => {
    await sleepingGroup();
    const [term] = terms();
    const object = group.object(leader());
    const old = object.instance!;
    object.disk.flushMs = () => 400;
    const put = startPut('value');
    expect(await group.pass(100, () => old.peer.raft?.asleep === null)).toBe(true);
    group.world.supersede(object, 20_000);
    object.disk.flushMs = () => 1;
    expect(await put()).toBe('written');
    expect(object.instance).not.toBe(old);
    expect(ledAgain()).toBe(1);
    await sleepsAgain();
    expect(terms()).toEqual([term, term, term]);
    expect(await group.get('key')).toBe('value');
  });

  test('the old one sleeps: the new one leads on', async () => {
    await sleepingGroup();
    const [term] = terms();
    const object = group.object(leader());
    const old = object.instance!;
    group.world.supersede(object, 20_000);
    expect(await putMs('value')).toBeLessThan(ELECTION_TIMEOUT_MS);
    // A timer or a reply of its own that comes late.
    old.peer.lookAtClock();
    group.world.touched.add(old);
    await sleepsAgain();
    expect(old.peer.raft?.asleep).not.toBeNull();
    expect(terms()).toEqual([term, term, term]);
  });

  test('the old one woke in time: its wake-up is on disk, and the new one does not lead', async () => {
    await sleepingGroup();
    const [term] = terms();
    const object = group.object(leader());
    expect(await group.put('key', 'value')).toBe('written');
    group.world.supersede(object, 20_000);
    expect(await group.put('key', 'newer')).toBe('written');
    expect(ledAgain()).toBe(0);
    await sleepsAgain();
    expect(Math.max(...terms())).toBeGreaterThan(term!);
  });
});

describe('clocks that jump while all sleep', () => {
  const HOUR_MS = 3_600_000;
  const leaderOnly = (): number[] => [leader()];
  const oneFollower = (): number[] => others().slice(0, 1);
  test.each([
    ['forward', HOUR_MS, slots, false],
    ['forward, and all are evicted', HOUR_MS, slots, true],
    ['back', -HOUR_MS, slots, false],
    ['back, and all are evicted', -HOUR_MS, slots, true],
    ['forward, the leader only', HOUR_MS, leaderOnly, false],
    ['forward, the leader only, which is evicted', HOUR_MS, leaderOnly, true],
    ['back, the leader only', -HOUR_MS, leaderOnly, false],
    ['back, the leader only, which is evicted', -HOUR_MS, leaderOnly, true],
    ['forward, one follower only', HOUR_MS, oneFollower, false],
    ['forward, one follower only, which is evicted', HOUR_MS, oneFollower, true],
    ['back, one follower only', -HOUR_MS, oneFollower, false],
    ['back, one follower only, which is evicted', -HOUR_MS, oneFollower, true],
  ])('%s: log time moves by 60 s at most and never back; nobody campaigns', async (_, jumpMs, whose, evicted) => {
    await sleepingGroup();
    const [term] = terms();
    await group.pass(5000);
    for (const slot of whose()) {
      group.object(slot).clockOffsetMs += jumpMs;
      if (evicted) group.world.crash(group.object(slot));
    }
    await group.until(group.client.survey('default'));
    await group.pass(TEN_MINUTES_MS / 2);
    expect(allAsleep()).toBe(true);
    const woken = leader();
    expect(await putMs('after')).toBeLessThan(ELECTION_TIMEOUT_MS);
    const stamp = newestStamp(woken);
    expect(stamp).toBeGreaterThanOrEqual(0);
    expect(stamp).toBeLessThanOrEqual(60_000);
    expect(terms()).toEqual([term, term, term]);
    await sleepsAgain();
  });
});

describe('a peer that is missing', () => {
  test('is dead: the others sleep without it; it returns, is caught up, and sleeps, in their term', async () => {
    await sleepingGroup();
    const [dead] = others();
    expect(await group.put('key', 'value')).toBe('written');
    const object = group.object(dead!);
    object.downUntilMs = Number.POSITIVE_INFINITY;
    group.world.crash(object);
    const rest = slots().filter((slot) => slot !== dead);
    expect(await group.put('key', 'missed')).toBe('written');
    expect(await group.pass(ASLEEP_WITHIN_MS, () => rest.every(isAsleep))).toBe(true);
    await group.pass(TEN_MINUTES_MS);
    expect(rest.every(isAsleep)).toBe(true);
    const [term] = terms();
    object.downUntilMs = 0;
    await group.until(group.client.survey('default'));
    await sleepsAgain();
    expect(terms()).toEqual([term, term, term]);
  });

  test('is cut off and alive: it asks the others now and then, and is caught up when it reaches them', async () => {
    await sleepingGroup();
    const [cutOff] = others();
    expect(await group.put('key', 'value')).toBe('written');
    group.isolate(cutOff!);
    const rest = slots().filter((slot) => slot !== cutOff);
    expect(await group.put('key', 'missed')).toBe('written');
    expect(await group.pass(ASLEEP_WITHIN_MS, () => rest.every(isAsleep))).toBe(true);
    await group.pass(TEN_MINUTES_MS);
    let messages = 0;
    group.world.onMessage = () => {
      messages += 1;
      return null;
    };
    await group.pass(TEN_MINUTES_MS);
    // Two voters, every 30 to 60 s.
    expect(messages).toBeLessThanOrEqual(2 * 20);
    group.world.onMessage = null;
    group.heal();
    await sleepsAgain();
  });

  test('slept while so much was written that it needs a snapshot', async () => {
    await sleepingGroup({ limits: { tailEntries: 8, tailBytes: 50_000 } });
    const [absent] = others();
    const object = group.object(absent!);
    object.downUntilMs = Number.POSITIVE_INFINITY;
    group.world.crash(object);
    for (let i = 0; i < 60; i += 1) expect(await group.put(`k${i % 9}`, `value ${i}`)).toBe('written');
    const rest = slots().filter((slot) => slot !== absent);
    expect(await group.pass(ASLEEP_WITHIN_MS, () => rest.every(isAsleep))).toBe(true);
    object.downUntilMs = 0;
    expect(isAsleep(absent!)).toBe(true);
    expect(await group.get('k0')).toBe('value 54');
    await sleepsAgain();
    expect(group.invariants.sum((invariants) => invariants.snapshots)).toBe(1);
  });
});

test('a sleeping group is deleted, and nothing is left of it; the next one of its name is another', async () => {
  await sleepingGroup();
  expect(await group.until(group.client.delete('default'))).toMatchObject({ ok: true });
  await group.pass(10_000);
  for (const slot of slots()) {
    const [row] = group.object(slot).disk.inspect("SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'sqlite%'");
    expect(row?.[0]).toBe(0);
    expect(group.object(slot).disk.alarm).toBeNull();
  }
  expect(await group.until(group.client.create('default'))).toMatchObject({ ok: true });
  expect(await group.get('before')).toBeNull();
});
