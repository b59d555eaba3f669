import { describe, expect, it } from 'vitest';
import { Clerk, type ClerkOptions } from '../../src/clerk/clerk.ts';
import type { ClerkError } from '../../src/clerk/errors.ts';
import { type Answer, inOrder, problem, type Script, type Sent, scriptedStore, written } from './scripted-store.ts';
import { SimulatedPlatform } from './simulated-platform.ts';

function setUp(script: Script, options: Partial<ClerkOptions> = {}) {
  const platform = new SimulatedPlatform();
  const store = scriptedStore(platform, script);
  const make = (more: Partial<ClerkOptions> = {}) =>
    new Clerk({ endpoint: 'https://store.test', fetch: store.fetch, platform, ...options, ...more });
  return { platform, store, make, clerk: make() };
}

const failure = (call: Promise<unknown>) =>
  call.then(
    () => expect.fail('the call succeeded'),
    (error: unknown) => error as ClerkError,
  );

const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
const seqs = (sent: readonly Sent[]) => sent.map((request) => request.seq);
const ids = (sent: readonly Sent[]) => [...new Set(sent.map((request) => request.clerkId))];

/** A script that holds its answers back until they are released. */
function gated(answer: (sent: Sent) => Answer = () => written()) {
  const held = new Map<number, () => void>();
  const script: Script = (sent, index) =>
    new Promise((resolve) => {
      held.set(index, () => resolve(answer(sent)));
    });
  const release = (index: number) => held.get(index)?.();
  return { script, release, held };
}

describe('the first write of an identity', () => {
  it('goes alone; the others follow its reply together', async () => {
    const { script, release } = gated();
    const { platform, store, clerk } = setUp(script);
    const calls = times(5, (i) => clerk.put(`k${i}`, 'v'));
    await platform.advance(10);
    expect(seqs(store.sent)).toEqual([1]);
    release(0);
    await platform.advance(10);
    expect(seqs(store.sent)).toEqual([1, 2, 3, 4, 5]);
    expect(ids(store.sent)).toHaveLength(1);
    for (let i = 1; i < 5; i++) release(i);
    await Promise.all(calls);
  });

  it('that was refused leaves seq 1 to the next write', async () => {
    const { platform, store, clerk } = setUp(inOrder(problem('unauthenticated')));
    expect((await platform.run(failure(clerk.put('a', 'v')))).code).toBe('unauthenticated');
    await platform.run(clerk.put('b', 'v'));
    expect(seqs(store.sent)).toEqual([1, 1]);
    expect(ids(store.sent)).toHaveLength(1);
  });

  it('that was refused hands seq 1 to one that waits, which then goes alone too', async () => {
    const { platform, store, clerk } = setUp(inOrder(problem('unauthenticated')));
    const calls = times(3, (i) => clerk.put(`k${i}`, 'v').catch(() => null));
    await platform.run(Promise.all(calls));
    expect(seqs(store.sent)).toEqual([1, 1, 2]);
    expect(ids(store.sent)).toHaveLength(1);
  });

  it('that is aborted lets the others go on at once', async () => {
    const { platform, store, clerk } = setUp((sent) => (sent.url.endsWith('/a') ? 'no_reply' : written()));
    const controller = new AbortController();
    const first = failure(clerk.put('a', 'v', { signal: controller.signal }));
    const second = clerk.put('b', 'v');
    await platform.advance(10);
    controller.abort();
    expect((await first).outcome).toBe('unknown');
    await platform.advance(2);
    expect(store.sent).toHaveLength(2);
    await second;
  });

  it('with an unknown outcome costs the identity, not the writes behind it', async () => {
    const { platform, store, clerk } = setUp((_sent, i) => (i === 0 ? 'no_reply' : written()));
    const first = failure(clerk.put('a', 'v', { timeoutMs: 1000 }));
    const second = clerk.put('b', 'v');
    expect((await platform.run(first)).code).toBe('outcome_unknown');
    await platform.run(second);
    expect(seqs(store.sent)).toEqual([1, 1]);
    expect(ids(store.sent)).toHaveLength(2);
  });
});

describe('the window', () => {
  it('lets no seq go more than 255 above the lowest unresolved one', async () => {
    const { script, release } = gated();
    const { platform, store, clerk } = setUp(script);
    const calls = times(300, (i) => clerk.put(`k${i}`, 'v'));
    await platform.advance(5);
    release(0);
    await platform.advance(5);
    expect(store.sent.at(-1)?.seq).toBe(2 + 255);
    for (let i = 2; i <= 256; i++) release(i);
    await platform.advance(5);
    expect(store.sent.at(-1)?.seq).toBe(2 + 255);
    release(1);
    await platform.advance(5);
    expect(store.sent.at(-1)).toMatchObject({ seq: 300, acked: 257 });
    for (let i = 257; i < 300; i++) release(i);
    await Promise.all(calls);
    expect(ids(store.sent)).toHaveLength(1);
  });

  it('acknowledges what was received without a gap', async () => {
    const { script, release } = gated();
    const { platform, store, clerk } = setUp(script);
    const put = async (count: number) => {
      const calls = times(count, () => clerk.put('k', 'v'));
      await platform.advance(5);
      return calls;
    };
    await put(1);
    release(0);
    await platform.advance(5);
    await put(3);
    release(3);
    release(1);
    await platform.advance(5);
    await put(1);
    expect(store.sent.at(-1)).toMatchObject({ seq: 5, acked: 2 });
    for (const index of [2, 4]) release(index);
    await platform.advance(5);
  });

  it('issues a refused seq again, since it was not used up', async () => {
    const { platform, store, clerk } = setUp((sent, i) => (i === 1 ? problem('no_such_group') : written(sent.seq)));
    await platform.run(clerk.put('a', 'v'));
    await platform.run(failure(clerk.put('b', 'v')));
    await platform.run(clerk.put('c', 'v'));
    await platform.run(clerk.put('d', 'v'));
    expect(store.sent.map((sent) => [sent.seq, sent.acked])).toEqual([
      [1, 0],
      [2, 1],
      [2, 1],
      [3, 2],
    ]);
  });

  it.each(['abort', 'timeout'])('moves on under a new identity when a write left by %s holds it up', async (how) => {
    const { platform, store, clerk } = setUp((sent) => (sent.url.endsWith('/lost') ? 'no_reply' : written()));
    await platform.run(clerk.put('first', 'v'));
    const controller = new AbortController();
    const lost = failure(clerk.put('lost', 'v', { signal: controller.signal, timeoutMs: how === 'abort' ? 9000 : 50 }));
    await platform.advance(10);
    if (how === 'abort') controller.abort();
    expect((await platform.run(lost)).outcome).toBe('unknown');
    await platform.run(Promise.all(times(256, () => clerk.put('k', 'v'))));
    const [before, after] = ids(store.sent);
    expect(Math.max(...seqs(store.sent.filter((sent) => sent.clerkId === before)))).toBe(2 + 255);
    expect(seqs(store.sent.filter((sent) => sent.clerkId === after))).toEqual([1]);
  });

  it('needs no new identity if the reply comes after the caller has left', async () => {
    const { script, release, held } = gated();
    const { platform, store, clerk } = setUp((sent, i) => (sent.url.endsWith('/late') ? script(sent, i) : written()));
    await platform.run(clerk.put('first', 'v'));
    const late = failure(clerk.put('late', 'v', { timeoutMs: 50 }));
    expect((await platform.run(late)).code).toBe('outcome_unknown');
    for (const index of held.keys()) release(index);
    await platform.advance(5);
    await platform.run(Promise.all(times(300, () => clerk.put('k', 'v'))));
    expect(ids(store.sent)).toHaveLength(1);
  });

  it('is not blocked for ever by a call that its runtime dropped without a word', async () => {
    const { platform, store, clerk } = setUp(() => written());
    // A Worker whose client has gone away runs no more of the call, not even its timers: only the seq stays behind.
    const dropped = new SimulatedPlatform();
    const half = { ...bound(platform), setTimer: dropped.setTimer.bind(dropped) };
    const pool = await import('../../src/clerk/sessions.ts');
    const { CallScope } = await import('../../src/clerk/call-scope.ts');
    const sessions = pool.sharedSessionPool(platform, 'https://store.test', 'default');
    await sessions.acquire(new CallScope(half, 5000, undefined));
    await platform.run(clerk.put('k', 'v'));
    expect(platform.now()).toBeGreaterThan(5000);
    expect(platform.now()).toBeLessThan(10_000);
    expect(seqs(store.sent)).toEqual([1]);
  });
});

function bound(platform: SimulatedPlatform) {
  return { now: () => platform.now(), random: platform.random, randomBytes: (n: number) => platform.randomBytes(n) };
}

describe('writes that wait', () => {
  it('end by their own timeout, with nothing done', async () => {
    const { script, release } = gated();
    const { platform, store, clerk } = setUp(script);
    const first = clerk.put('a', 'v');
    const error = await platform.run(failure(clerk.put('b', 'v', { timeoutMs: 700 })));
    expect(error).toMatchObject({ code: 'timeout', outcome: 'not_applied' });
    expect(store.sent).toHaveLength(1);
    release(0);
    await platform.run(first);
  });

  it('are bounded in number', async () => {
    const { platform, clerk } = setUp(() => 'no_reply');
    const codes = times(1026, () => failure(clerk.put('k', 'v', { timeoutMs: 1000 })).then((error) => error.code));
    const counted = await platform.run(Promise.all(codes));
    expect(counted.filter((code) => code === 'queue_full')).toHaveLength(1);
  });

  it('are bounded in bytes', async () => {
    const { platform, clerk } = setUp(() => 'no_reply');
    const value = new Uint8Array(1_048_576);
    const codes = times(65, () => failure(clerk.put('k', value, { timeoutMs: 1000 })).then((error) => error.code));
    const counted = await platform.run(Promise.all(codes));
    expect(counted.filter((code) => code === 'queue_full')).toHaveLength(1);
  });
});

describe('an identity that the store has forgotten', () => {
  it('is replaced, and the write that found out is done under the new one', async () => {
    const { platform, store, clerk } = setUp((_sent, i) => (i === 1 ? problem('session_expired') : written()));
    await platform.run(clerk.put('a', 'v'));
    await platform.run(clerk.put('b', 'v'));
    expect(seqs(store.sent)).toEqual([1, 2, 1]);
    expect(ids(store.sent)).toHaveLength(2);
  });

  it('is replaced once, however many writes find out', async () => {
    const { platform, store, clerk } = setUp((sent) => (sent.clerkId === ids(store.sent)[0] ? lost(sent) : written()));
    const lost = (sent: Sent) => (sent.seq === 1 ? written() : problem('session_expired'));
    await platform.run(clerk.put('a', 'v'));
    await platform.run(Promise.all(times(20, () => clerk.put('b', 'v'))));
    expect(ids(store.sent)).toHaveLength(2);
  });

  it('makes the outcome unknown if the write may have been done under it', async () => {
    const answers = [written(), 'disconnect', problem('session_expired')] as const;
    const { platform, store, clerk } = setUp(inOrder(...answers));
    await platform.run(clerk.put('a', 'v'));
    expect(await platform.run(failure(clerk.put('b', 'v')))).toMatchObject({ code: 'outcome_unknown' });
    expect(store.sent).toHaveLength(3);
  });

  it('does no harm after tries of which the store said that nothing was done', async () => {
    const { platform, store, clerk } = setUp(inOrder(written(), problem('no_leader'), problem('session_expired')));
    await platform.run(clerk.put('a', 'v'));
    await platform.run(clerk.put('b', 'v'));
    expect(seqs(store.sent)).toEqual([1, 2, 2, 1]);
  });

  it('is not replaced without end', async () => {
    const { platform, store, clerk } = setUp(() => problem('session_expired'));
    expect((await platform.run(failure(clerk.put('a', 'v')))).code).toBe('session_expired');
    expect(store.sent).toHaveLength(4);
  });

  it.each(['seq_reused', 'seq_acknowledged'] as const)('is told by %s too: somebody else uses it', async (code) => {
    const { platform, store, clerk } = setUp(inOrder(written(), problem(code)));
    await platform.run(clerk.put('a', 'v'));
    await platform.run(clerk.put('b', 'v'));
    expect(ids(store.sent)).toHaveLength(2);
  });
});

describe('the default identity', () => {
  it('is one for all clerks of an endpoint and group', async () => {
    const { platform, store, make } = setUp(() => written());
    for (const options of [{}, { token: 't' }, { group: 'default' }, { endpoint: 'https://STORE.test/' }]) {
      await platform.run(make(options).put('k', 'v'));
    }
    expect(ids(store.sent)).toHaveLength(1);
    expect(seqs(store.sent)).toEqual([1, 2, 3, 4]);
    await platform.run(make({ group: 'other' }).put('k', 'v'));
    await platform.run(make({ endpoint: 'https://store.test/base' }).put('k', 'v'));
    expect(ids(store.sent)).toHaveLength(3);
  });

  it('is drawn at the first write, not before', async () => {
    const { platform, clerk } = setUp(() => written());
    const drawn: number[] = [];
    const randomBytes = platform.randomBytes.bind(platform);
    platform.randomBytes = (length) => {
      drawn.push(length);
      return randomBytes(length);
    };
    expect(drawn).toEqual([]);
    await platform.run(clerk.put('k', 'v'));
    expect(drawn).toEqual([16]);
  });
});

describe("an id of the user's own", () => {
  it('is used from seq 1, and stays recognisable when it must be replaced', async () => {
    const { platform, store, clerk } = setUp((_sent, i) => (i === 1 ? problem('session_expired') : written()), {
      clerkId: 'x'.repeat(64),
    });
    await platform.run(clerk.put('a', 'v'));
    await platform.run(clerk.put('b', 'v'));
    expect(store.sent[0]).toMatchObject({ clerkId: 'x'.repeat(64), seq: 1 });
    expect(store.sent[2]?.clerkId).toMatch(/^x{31}-[0-9a-f]{32}$/);
  });
});
