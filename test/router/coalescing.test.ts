/** Concurrent requests of one isolate share calls, and nobody depends on anybody else's going on. */
import { describe, expect, test } from 'vitest';
import type { Command, Query } from '../../src/kv/commands.ts';
import type { ClientRequest } from '../../src/peer/protocol.ts';
import { Budget } from '../../src/router/budget.ts';
import { MAX_BATCH_BYTES, MAX_BATCH_REQUESTS, MAX_SHARED_BYTES, SharedCalls } from '../../src/router/coalescing.ts';
import { GroupClient } from '../../src/router/group.ts';
import type { ReadOutcome } from '../../src/router/read.ts';
import type { WriteOutcome } from '../../src/router/write.ts';
import { type Call, type Fate, members } from './fake-peers.ts';
import { type Handler, Handlers } from './handlers.ts';
import {
  append,
  get,
  HINTS_OF_THREE,
  LATENCY_MS,
  put,
  SimulatedRouter,
  simulatedPlatform,
} from './simulated-router.ts';

const ROUND_TRIP_MS = 2 * LATENCY_MS;
const TRY_MS = 1500;
/** The longest that one waits beside one call that is under way. */
const PATIENCE_MS = 10;
/** And after one has ended, for those who may come back. */
const HOLD_MS = 8;
const REQUEST_MS = 10_000;

const decoder = new TextDecoder();

/** One isolate that knows its leader, and whose identity is established; the handlers of its requests can be cut off. */
class Isolate {
  readonly router = new SimulatedRouter();
  readonly group = this.router.peers.found('default', members(...HINTS_OF_THREE));
  readonly handlers = new Handlers();
  readonly groups: GroupClient;

  private constructor(coalescing: boolean) {
    const platform = simulatedPlatform(this.router.clock, this.router.peers);
    this.groups = new GroupClient(this.handlers.platform(platform), HINTS_OF_THREE, coalescing);
  }

  static async start(coalescing = true): Promise<Isolate> {
    const isolate = new Isolate(coalescing);
    await isolate.run(isolate.groups.write('default', put('first', '')));
    await isolate.router.clock.advance(REQUEST_MS);
    isolate.router.peers.calls.length = 0;
    return isolate;
  }

  get clock() {
    return this.router.clock;
  }

  get peers() {
    return this.router.peers;
  }

  /** How many requests each call of the leader has carried. */
  get carried(): number[] {
    return this.peers.callsOf('client').map((call) => requestsOf(call).length);
  }

  run<T>(work: Promise<T>): Promise<T> {
    return this.router.run(work);
  }

  put(key: string, value = 'value', more: Parameters<typeof put>[2] = {}): Handler<WriteOutcome> {
    return this.handlers.begin(() => this.groups.write('default', put(key, value, more)));
  }

  puts(count: number): Handler<WriteOutcome>[] {
    return Array.from({ length: count }, (_, i) => this.put(`key ${i}`));
  }

  get(key: string): Handler<ReadOutcome> {
    return this.handlers.begin(() => this.groups.read('default', get(key)));
  }

  /** Whether all were done, and how long the last one took from now on. */
  async finish(handlers: readonly Handler<{ readonly ok: boolean }>[]): Promise<{ ok: boolean; tookMs: number }> {
    const startMs = this.clock.nowMs;
    const outcomes = await this.run(Promise.all(handlers.map(({ answer }) => answer)));
    return { ok: outcomes.every(({ ok }) => ok), tookMs: this.clock.nowMs - startMs };
  }

  /** What becomes of the calls of clients' requests, in their order; the rest pass. */
  fates(...fates: Fate[]): void {
    let calls = 0;
    this.peers.fate = ({ route }) => (route === 'client' ? (fates[calls++] ?? 'pass') : 'pass');
  }
}

function requestsOf({ request }: Call): ClientRequest[] {
  return request.requests as ClientRequest[];
}

function commandsOf(call: Call | undefined): Command[] {
  if (call === undefined) return [];
  return requestsOf(call).flatMap((one) => (one.type === 'submit' ? [one.command as Command] : []));
}

function keysOf(call: Call | undefined): string[] {
  if (call === undefined) return [];
  return requestsOf(call).map((one) =>
    decoder.decode(one.type === 'submit' ? (one.command as Command).key : (one.query as Query & { type: 'get' }).key),
  );
}

function valueIn(outcome: ReadOutcome): string | null {
  if (!outcome.ok) throw new Error(outcome.failure.type);
  return outcome.answer.type === 'value' ? decoder.decode(outcome.answer.item.value) : null;
}

describe('calls are shared', () => {
  test('by all who come while one is under way: one call for the 64 of them', async () => {
    const isolate = await Isolate.start();
    const first = isolate.put('alone');
    await isolate.clock.advance(1);
    const { ok, tookMs } = await isolate.finish([first, ...isolate.puts(64)]);
    expect([ok, isolate.carried]).toEqual([true, [1, 64]]);
    expect(tookMs).toBeLessThan(2 * ROUND_TRIP_MS);
  });

  test('but the first sets out at once, and takes no longer than without company', async () => {
    const isolate = await Isolate.start();
    for (let i = 0; i < 3; i += 1) expect((await isolate.finish([isolate.put(`${i}`)])).tookMs).toBe(ROUND_TRIP_MS);
    expect(isolate.carried).toEqual([1, 1, 1]);
  });

  test('by those who come back soon after a call that carried many: they are waited for, for a moment', async () => {
    const isolate = await Isolate.start();
    await isolate.finish([isolate.put('alone'), ...isolate.puts(64)]);
    isolate.peers.calls.length = 0;
    const back = [isolate.put('early')];
    await isolate.clock.advance(1);
    back.push(...isolate.puts(8));
    const { ok, tookMs } = await isolate.finish(back);
    expect([ok, isolate.carried]).toEqual([true, [9]]);
    expect(tookMs).toBeLessThanOrEqual(HOLD_MS + ROUND_TRIP_MS);
  });

  test('writes and gets have calls of their own: a get does not wait for disks', async () => {
    const isolate = await Isolate.start();
    const open = [isolate.put('a'), isolate.get('a')];
    await isolate.clock.advance(1);
    await isolate.finish([...open, ...isolate.puts(3), isolate.get('a'), isolate.get('b')]);
    const kinds = isolate.peers.callsOf('client').map((call) => requestsOf(call).map(({ type }) => type));
    expect(kinds.toSorted((a, b) => b.length - a.length || (a[0] === 'query' ? 1 : -1))).toEqual([
      ['submit', 'submit', 'submit'],
      ['query', 'query'],
      ['submit'],
      ['query'],
    ]);
  });

  test('a listing goes alone, and holds nobody up', async () => {
    const isolate = await Isolate.start();
    const list = { type: 'list' as const, prefix: new Uint8Array(), after: null, limit: 10, revision: null };
    const listing = { query: list, consistency: 'linearizable' as const, peer: null };
    const open = isolate.get('a');
    await isolate.clock.advance(1);
    const others = [1, 2].map(() => isolate.handlers.begin(() => isolate.groups.read('default', listing)));
    const { tookMs } = await isolate.finish(others);
    expect([tookMs, isolate.carried]).toEqual([ROUND_TRIP_MS, [1, 1, 1]]);
    await isolate.finish([open]);
  });

  test('of one peer that the client names, or stale ones, none is', async () => {
    const isolate = await Isolate.start();
    const open = isolate.get('a');
    const named = () => isolate.handlers.begin(() => isolate.groups.read('default', get('a', 'linearizable', '1')));
    const stale = () => isolate.handlers.begin(() => isolate.groups.read('default', get('a', 'stale')));
    await isolate.finish([open, named(), named(), stale(), stale()]);
    expect(isolate.carried).toEqual([1, 1, 1, 1, 1]);
  });

  test('off: each request makes its own call', async () => {
    const isolate = await Isolate.start(false);
    const { ok, tookMs } = await isolate.finish([...isolate.puts(64), ...[1, 2, 3].map(() => isolate.get('a'))]);
    expect([ok, tookMs, isolate.carried]).toEqual([true, ROUND_TRIP_MS, Array(67).fill(1)]);
  });
});

describe('a batch has limits', () => {
  test('of requests: more than an object takes go in several calls', async () => {
    const isolate = await Isolate.start();
    const clerk = (i: number) => ({ id: `clerk-${i}`, seq: 1, acked: 0 });
    const puts = Array.from({ length: 2500 }, (_, i) => isolate.put(`${i}`, '', { clerk: clerk(i) }));
    expect((await isolate.finish(puts)).ok).toBe(true);
    expect(Math.max(...isolate.carried)).toBeLessThanOrEqual(MAX_BATCH_REQUESTS);
    expect(isolate.carried.reduce((sum, count) => sum + count)).toBe(2500);
    expect(isolate.carried.length).toBeLessThan(10);
  });

  test('of bytes: what is full sets out at once, however many are under way', async () => {
    const isolate = await Isolate.start();
    const value = 'x'.repeat(MAX_SHARED_BYTES / 2);
    const { ok, tookMs } = await isolate.finish(Array.from({ length: 200 }, (_, i) => isolate.put(`${i}`, value)));
    expect(ok).toBe(true);
    expect(tookMs).toBeLessThanOrEqual(2 * ROUND_TRIP_MS + HOLD_MS);
    for (const call of isolate.peers.callsOf('client')) {
      const bytes = commandsOf(call).reduce((sum, command) => sum + ('value' in command ? command.value.length : 0), 0);
      expect(bytes).toBeLessThan(MAX_BATCH_BYTES + MAX_SHARED_BYTES);
    }
  });

  test('a body of 1 MiB goes alone and at once; small ones neither wait for it nor share its call', async () => {
    const isolate = await Isolate.start();
    const large = isolate.put('large', 'x'.repeat(1_048_576));
    // It takes its time.
    isolate.fates('hang');
    const [small, another] = [isolate.put('small'), isolate.put('another')];
    expect(await isolate.finish([small, another])).toEqual({ ok: true, tookMs: 2 * ROUND_TRIP_MS });
    expect(isolate.carried).toEqual([1, 1, 1]);
    expect((await isolate.finish([large])).ok).toBe(true);
  });

  test('of answers: many gets of large values are all answered, in calls of their own', async () => {
    const isolate = await Isolate.start();
    const value = 'x'.repeat(1_000_000);
    for (let i = 0; i < 8; i += 1) await isolate.finish([isolate.put(`${i}`, value)]);
    isolate.peers.answerBytesPerBatch = 6 * 1024 * 1024;
    isolate.peers.calls.length = 0;
    const gets = Array.from({ length: 64 }, (_, i) => isolate.get(`${i % 8}`));
    expect((await isolate.finish(gets)).ok).toBe(true);
    // The first that was answered showed how large they are.
    expect(isolate.carried.filter((count) => count > 1).length).toBeLessThanOrEqual(1);
  });
});

describe('a get joins only a call that has not been sent', () => {
  test('one that arrives while another is on its way to the peer sees what was written in between', async () => {
    const isolate = await Isolate.start();
    await isolate.finish([isolate.put('a', 'old')]);
    // It reads at the peer now, and its answer is on the way back when the write is done.
    const early = isolate.get('a');
    await isolate.clock.advance(LATENCY_MS + 1);
    isolate.peers.write('default', 'a', 'new');
    const late = isolate.get('a');
    expect(valueIn(await isolate.run(early.answer))).toBe('old');
    expect(valueIn(await isolate.run(late.answer))).toBe('new');
  });
});

describe('nobody waits for long', () => {
  test('not for more than one call to end, before its own', async () => {
    const isolate = await Isolate.start();
    const took: number[] = [];
    const handlers: Promise<void>[] = [];
    for (let i = 0; i < 300; i += 1) {
      const startMs = isolate.clock.nowMs;
      const { answer } = isolate.put(`${i}`);
      handlers.push(answer.then(() => void took.push(isolate.clock.nowMs - startMs)));
      if (i % 3 === 0) await isolate.clock.advance(1);
    }
    await isolate.run(Promise.all(handlers));
    expect(Math.max(...took)).toBeLessThanOrEqual(2 * ROUND_TRIP_MS + HOLD_MS);
  });

  test('a call that hangs keeps others for a few ms only, and each that hangs besides it a little longer', async () => {
    const isolate = await Isolate.start();
    isolate.fates('hang', 'hang', 'hang');
    const hanging = [isolate.put('a')];
    await isolate.clock.advance(1);
    hanging.push(isolate.put('b'));
    await isolate.clock.advance(PATIENCE_MS);
    hanging.push(isolate.put('c'));
    await isolate.clock.advance(2 * PATIENCE_MS + LATENCY_MS);
    expect(isolate.carried).toEqual([1, 1, 1]);
    const { ok, tookMs } = await isolate.finish(isolate.puts(5));
    expect([ok, isolate.carried]).toEqual([true, [1, 1, 1, 5]]);
    expect(tookMs).toBe(3 * PATIENCE_MS + ROUND_TRIP_MS);
    // Those who were in the calls that hung go on by their own deadlines, under their own seqs.
    expect((await isolate.finish(hanging)).ok).toBe(true);
    const seqs = isolate.peers.callsOf('client').flatMap((call) => commandsOf(call).map(({ session }) => session.seq));
    expect(new Set(seqs).size).toBe(8);
  });

  test('slow calls beside many requests: their number grows slowly, not with the requests', async () => {
    const isolate = await Isolate.start();
    isolate.fates(...Array<Fate>(1000).fill('hang'));
    for (let i = 0; i < 1000; i += 1) {
      isolate.put(`${i}`);
      await isolate.clock.advance(1);
    }
    expect(isolate.carried.length).toBeGreaterThan(5);
    expect(isolate.carried.length).toBeLessThan(20);
  });
});

describe('a carrier that vanishes', () => {
  test('with its call under way: its passengers ask again by their own timers, with the same seqs, and are answered', async () => {
    const isolate = await Isolate.start();
    const first = isolate.put('alone');
    await isolate.clock.advance(1);
    const passengers = isolate.puts(8);
    await isolate.finish([first]);
    await isolate.clock.advance(LATENCY_MS);
    expect(isolate.carried).toEqual([1, 8]);
    // Its reply arrives where nobody is any more.
    passengers[0]?.cutOff();
    const { ok, tookMs } = await isolate.finish(passengers.slice(1));
    expect(ok).toBe(true);
    expect(tookMs).toBeLessThan(TRY_MS + 200);
    const [, before, ...after] = isolate.peers.callsOf('client');
    const seqOf = new Map(commandsOf(before).map(({ key, session }) => [decoder.decode(key), session.seq]));
    const repeated = after.flatMap(commandsOf);
    expect(repeated.map(({ key }) => decoder.decode(key)).toSorted()).toEqual(keysOf(before).slice(1).toSorted());
    for (const { key, session } of repeated) expect(session.seq).toBe(seqOf.get(decoder.decode(key)));
  });

  test('when it was its turn: the next one carries, soon', async () => {
    const isolate = await Isolate.start();
    const first = isolate.put('alone');
    await isolate.clock.advance(1);
    const waiting = isolate.puts(8);
    waiting[0]?.cutOff();
    const startMs = isolate.clock.nowMs;
    await isolate.finish([first]);
    const { ok } = await isolate.finish(waiting.slice(1));
    expect([ok, isolate.carried]).toEqual([true, [1, 8]]);
    expect(isolate.clock.nowMs - startMs).toBeLessThanOrEqual(PATIENCE_MS + ROUND_TRIP_MS);
  });

  test('with everybody else: what comes later is answered, and what they left behind is not sent any more', async () => {
    const isolate = await Isolate.start();
    const sent = isolate.put('sent');
    await isolate.clock.advance(1);
    const left = isolate.puts(8);
    for (const handler of [sent, ...left]) handler.cutOff();
    await isolate.clock.advance(10 * 60_000);
    expect(isolate.carried).toEqual([1]);
    const { ok, tookMs } = await isolate.finish([isolate.put('later')]);
    expect([ok, tookMs, keysOf(isolate.peers.callsOf('client').at(-1))]).toEqual([true, ROUND_TRIP_MS, ['later']]);
  });

  test('a passenger that vanishes leaves its request in the call, and nobody notices', async () => {
    const isolate = await Isolate.start();
    const first = isolate.put('alone');
    await isolate.clock.advance(1);
    const passengers = isolate.puts(8);
    await isolate.finish([first]);
    for (const handler of passengers.slice(4)) handler.cutOff();
    expect((await isolate.finish(passengers.slice(0, 4))).ok).toBe(true);
    expect(isolate.carried).toEqual([1, 8]);
    expect(isolate.handlers.underWay).toEqual([]);
  });
});

describe('one ride', () => {
  const TRIP = {
    company: 'gets' as const,
    request: () => ({ type: 'query' as const, consistency: 'linearizable' as const, query: get('a').query }),
    bytes: 100,
    timeoutMs: TRY_MS,
  };

  async function station() {
    const isolate = await Isolate.start();
    const platform = isolate.handlers.platform(simulatedPlatform(isolate.clock, isolate.peers));
    const calls = new SharedCalls(platform, 'default', true);
    const [leader] = isolate.group.members;
    if (leader === undefined) throw new Error('a group has members');
    const ride = (leftMs: number) => calls.ask(leader, TRIP, new Budget(platform, leftMs));
    const ask = (leftMs: number) => isolate.handlers.begin(() => ride(leftMs).arrival()).answer;
    return { isolate, ride, ask };
  }

  test('of one whose time is nearly over is its own: with its answer its handler ends, and its call', async () => {
    const { isolate, ask } = await station();
    isolate.fates('hang');
    const asked = [ask(TRY_MS)];
    await isolate.clock.advance(1);
    asked.push(ask(TRY_MS / 2), ask(TRY_MS), ask(TRY_MS));
    expect((await isolate.run(Promise.all(asked))).map(({ type }) => type)).toEqual([
      'silence',
      'reply',
      'reply',
      'reply',
    ]);
    expect(isolate.carried).toEqual([1, 1, 2]);
  });

  test('that is left before it set out never does', async () => {
    const { isolate, ride, ask } = await station();
    isolate.fates('hang');
    const carrier = ask(TRY_MS);
    await isolate.clock.advance(1);
    const left = ride(TRY_MS);
    expect(left.leave()).toBe(true);
    expect((await isolate.run(ask(TRY_MS))).type).toBe('reply');
    await isolate.run(carrier);
    expect(isolate.carried).toEqual([1, 1]);
  });

  test('that is left under way may arrive', async () => {
    const { isolate, ride } = await station();
    const sent = ride(TRY_MS);
    isolate.fates('hang');
    expect(await isolate.run(sent.wait(200))).toBeNull();
    expect(sent.leave()).toBe(false);
    expect(isolate.carried).toEqual([1]);
  });
});

describe('a call that fails', () => {
  test('at once: all of its passengers look for the leader again, and who has not been sent yet knows that nothing was done', async () => {
    const isolate = await Isolate.start();
    const open = [isolate.put('carrier')];
    await isolate.clock.advance(1);
    // Without an identity of the router's to hide behind: an uncertain 410 would be a 504.
    open.push(isolate.put('waits', 'value', { clerk: { id: 'unknown-clerk', seq: 7, acked: 6 } }));
    isolate.fates('reject');
    const [carried, waited] = await isolate.run(Promise.all(open.map(({ answer }) => answer)));
    expect(carried).toMatchObject({ ok: true, result: { type: 'written' } });
    expect(waited).toMatchObject({ ok: true, result: { type: 'session_expired' } });
    // Neither goes back there before another peer was heard.
    expect(isolate.peers.calls.slice(0, 3).map(({ route }) => route)).toEqual(['client', 'stand', 'status']);
  });

  test('but whoever was in it does not know', async () => {
    const isolate = await Isolate.start();
    isolate.fates('reject');
    const sent = isolate.put('sent', 'value', { clerk: { id: 'unknown-clerk', seq: 7, acked: 6 } });
    expect(await isolate.run(sent.answer)).toEqual({ ok: false, failure: { type: 'outcome_unknown' } });
  });

  test.each([
    ['fewer replies than requests', [{ type: 'overloaded' as const }]],
    ['more', Array(9).fill({ type: 'overloaded' as const })],
  ])('a reply with %s counts as none', async (_, replies) => {
    const isolate = await Isolate.start();
    const open = [isolate.put('carrier')];
    await isolate.clock.advance(1);
    isolate.fates('pass', { replies });
    expect((await isolate.finish([...open, ...isolate.puts(4)])).ok).toBe(true);
  });

  test('for one of its requests only: the others have their answers', async () => {
    const isolate = await Isolate.start();
    const open = [isolate.put('carrier')];
    await isolate.clock.advance(1);
    const clerk = { seq: 1, acked: 0 };
    const batch = ['a', 'b', 'c', 'd'].map((key, i) => isolate.put(key, 'value', { clerk: { ...clerk, id: `${i}` } }));
    const written = { type: 'written', created: true, revision: 9, version: 1, replayed: false };
    isolate.fates('pass', {
      replies: [
        { type: 'result', result: written, ageMs: null },
        { type: 'not_leader' },
        { type: 'unknown' },
        { type: 'refused' },
      ],
    });
    await isolate.finish(open);
    const outcomes = await isolate.run(Promise.all(batch.map(({ answer }) => answer)));
    expect(outcomes).toEqual([
      { ok: true, result: written },
      { ok: true, result: expect.objectContaining({ type: 'written' }) },
      { ok: true, result: expect.objectContaining({ type: 'written' }) },
      { ok: false, failure: { type: 'not_understood' } },
    ]);
    expect(isolate.carried.slice(0, 2)).toEqual([1, 4]);
  });

  test('with the leader gone for good: everybody is told in time, and nobody waits for ever', async () => {
    const isolate = await Isolate.start();
    isolate.peers.fate = () => 'hang';
    const startMs = isolate.clock.nowMs;
    const handlers = [...isolate.puts(100), ...Array.from({ length: 100 }, (_, i) => isolate.get(`${i}`))];
    const outcomes = await isolate.run(Promise.all(handlers.map(({ answer }) => answer as Promise<WriteOutcome>)));
    expect(outcomes.some(({ ok }) => ok)).toBe(false);
    expect(isolate.clock.nowMs - startMs).toBeLessThan(REQUEST_MS);
    expect(isolate.clock.pendingTimers).toBe(0);
  });
});

describe('calls are counted on the request that makes them', () => {
  test('a passenger spends none: it is still answered when its carriers have failed it many times', async () => {
    const isolate = await Isolate.start();
    let lost = 0;
    isolate.peers.fate = ({ route }) => (route === 'client' && lost++ < 5 ? 'late' : 'pass');
    const handlers = Array.from({ length: 30 }, (_, i) =>
      isolate.handlers.begin(() => isolate.groups.write('default', append('key', `<${i}>`))),
    );
    expect((await isolate.finish(handlers)).ok).toBe(true);
    const value = valueIn(await isolate.run(isolate.get('key').answer)) ?? '';
    expect(value.split('<').length - 1).toBe(30);
    for (let i = 0; i < 30; i += 1) expect(value.split(`<${i}>`).length).toBe(2);
  });
});
