import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBase64 } from '../../src/clerk/base64.ts';
import { Clerk, type ClerkOptions } from '../../src/clerk/clerk.ts';
import type { ClerkError } from '../../src/clerk/errors.ts';
import { createMonotonicClock } from '../../src/clerk/platform.ts';
import { inOrder, problem, reply, type Script, scriptedStore } from './scripted-store.ts';
import { SimulatedPlatform } from './simulated-platform.ts';

function setUp(script: Script, options: Partial<ClerkOptions> = {}) {
  const platform = new SimulatedPlatform();
  const store = scriptedStore(platform, script);
  return {
    platform,
    store,
    clerk: new Clerk({ endpoint: 'https://store.test', fetch: store.fetch, platform, ...options }),
  };
}

const failure = (call: Promise<unknown>) =>
  call.then(
    () => expect.fail('the call succeeded'),
    (error: unknown) => error as ClerkError,
  );

const value = (bytes: Uint8Array, headers = {}) => reply(200, bytes, { ETag: '"4"', 'Raft-Revision': '9', ...headers });

async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe('get', () => {
  it('gives the bytes, the text, and the revisions', async () => {
    const { platform, store, clerk } = setUp(() => value(new TextEncoder().encode('\ufeffgrüße')));
    const got = await platform.run(clerk.get('k'));
    expect(got).toMatchObject({ found: true, modRevision: 4, storeRevision: 9, ageMs: null });
    expect(got.found && got.text()).toBe('\ufeffgrüße');
    expect(store.sent[0]).toMatchObject({ method: 'GET', url: 'https://store.test/kv/k', clerkId: '', body: null });
  });

  it('gives bytes that are no text, and says so when asked for text', async () => {
    const { platform, clerk } = setUp(() => value(Uint8Array.of(0xff, 0)));
    const got = await platform.run(clerk.get('k'));
    if (!got.found) return expect.fail('not found');
    expect([...got.value]).toEqual([255, 0]);
    expect(got.text).toThrowError(/^not_text/);
  });

  it("tells a missing key with the store's revision", async () => {
    const { platform, clerk } = setUp(() => problem('key_not_found', { 'Raft-Revision': '12' }));
    expect(await platform.run(clerk.get('k'))).toEqual({ found: false, storeRevision: 12, ageMs: null });
  });

  it('reads stale, with the age', async () => {
    const { platform, store, clerk } = setUp(() => value(Uint8Array.of(), { 'Raft-Age-Ms': '250', ETag: 'W/"4"' }));
    expect(await platform.run(clerk.get('..', { consistency: 'stale' }))).toMatchObject({ ageMs: 250, modRevision: 4 });
    expect(store.sent[0]?.url).toBe('https://store.test/kv?key=..&consistency=stale');
  });

  it('is tried again after whatever is transient', async () => {
    const bad = [
      'disconnect',
      problem('no_leader'),
      problem('overloaded'),
      reply(502, ''),
      problem('outcome_unknown'),
    ] as const;
    const { platform, store, clerk } = setUp(inOrder(...bad, 'no_reply', value(Uint8Array.of(1))));
    expect(await platform.run(clerk.get('k'))).toMatchObject({ found: true });
    expect(store.sent).toHaveLength(7);
  });

  it('ends by its timeout, saying what was in the way', async () => {
    const { platform, clerk } = setUp(() => 'disconnect');
    expect(await platform.run(failure(clerk.get('k', { timeoutMs: 900 })))).toMatchObject({ code: 'network_error' });
    expect(platform.timers).toBe(0);
  });

  it('cancels its try when the caller aborts', async () => {
    const { platform, store, clerk } = setUp(() => 'no_reply');
    const controller = new AbortController();
    const call = failure(clerk.get('k', { signal: controller.signal }));
    await platform.advance(10);
    controller.abort();
    expect(await call).toMatchObject({ code: 'aborted', outcome: 'not_applied' });
    expect(store.aborted).toHaveLength(1);
    expect(platform.timers).toBe(0);
  });

  it.each([
    ['unauthenticated', problem('unauthenticated')],
    ['no_such_group', problem('no_such_group')],
    ['unexpected_response', reply(404, 'a page of somebody else')],
    ['unexpected_response', reply(200, 'hello')],
  ] as const)('ends with %s at once', async (code, answer) => {
    const { platform, store, clerk } = setUp(() => answer);
    expect((await platform.run(failure(clerk.get('k')))).code).toBe(code);
    expect(store.sent).toHaveLength(1);
  });
});

describe('list', () => {
  const item = (key: string, bytes: Uint8Array) => ({
    key,
    value: Buffer.from(bytes).toString('base64'),
    createRevision: 1,
    modRevision: 2,
    version: 2,
  });
  const page = (items: unknown[], cursor: string | null) => reply(200, { items, cursor, revision: 5 });

  it('follows the pages, with any bytes', async () => {
    const script = inOrder(
      page([item('a', Uint8Array.of(0xff)), item('b', Uint8Array.of())], 'x+/='),
      page([item('ü', Uint8Array.of(65))], null),
    );
    const { platform, store, clerk } = setUp(script, { group: 'g' });
    const items = await platform.run(collected(clerk.list({ prefix: 'a&b', limit: 2 })));
    expect(items.map((one) => [one.key, [...one.value]])).toEqual([
      ['a', [255]],
      ['b', []],
      ['ü', [65]],
    ]);
    expect(items[2]?.text()).toBe('A');
    const first = 'https://store.test/groups/g/kv?prefix=a%26b&encoding=base64&limit=2';
    expect(store.sent.map((sent) => sent.url)).toEqual([first, `${first}&cursor=x%2B%2F%3D`]);
  });

  it('asks for no page that nobody reads', async () => {
    const { platform, store, clerk } = setUp(() => page([item('a', Uint8Array.of())], 'more'));
    const first = (async () => {
      for await (const one of clerk.list()) return one.key;
      return null;
    })();
    expect(await platform.run(first)).toBe('a');
    expect(store.sent).toHaveLength(1);
  });

  it('ends with revision_compacted when the store has dropped what it lists', async () => {
    const { platform, clerk } = setUp(inOrder(page([item('a', Uint8Array.of())], 'm'), problem('revision_compacted')));
    expect((await platform.run(failure(collected(clerk.list())))).code).toBe('revision_compacted');
  });

  it('goes on after a page without items', async () => {
    const pages = [page([], 'on'), page([], 'and on'), page([item('a', Uint8Array.of(1))], null)];
    const { platform, clerk } = setUp(() => pages.shift()!);
    expect((await platform.run(collected(clerk.list()))).map(({ key }) => key)).toEqual(['a']);
  });

  it.each([
    ['an endless cursor', page([], 'again')],
    ['a value that is not base64', page([{ ...item('a', Uint8Array.of()), value: '*' }], null)],
    ['no items', reply(200, { revision: 1, cursor: null })],
  ])('refuses %s', async (_what, answer) => {
    const { platform, clerk } = setUp(() => answer);
    expect((await platform.run(failure(collected(clerk.list())))).code).toBe('unexpected_response');
  });
});

describe('base64', () => {
  it('gives back what was encoded', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(decodeBase64(Buffer.from(bytes).toString('base64'))).toEqual(Uint8Array.from(bytes));
      }),
    );
  });

  it.each(['A', 'AA', 'AA=A', 'A===', 'AB==', 'A-==', '====', 'AAA\n'])('refuses %j', (text) => {
    expect(decodeBase64(text)).toBeNull();
  });
});

describe('the clock', () => {
  it('never goes back, and goes on at once after the wall clock did', () => {
    const wall = [100, 150, 90, 95, 300];
    const now = createMonotonicClock(() => wall.shift() ?? 0);
    expect([now(), now(), now(), now(), now()]).toEqual([100, 150, 150, 155, 360]);
  });
});
