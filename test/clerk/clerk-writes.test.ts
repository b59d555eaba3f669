import { describe, expect, it } from 'vitest';
import { Clerk, type ClerkOptions } from '../../src/clerk/clerk.ts';
import { OutcomeUnknownError, type PreconditionFailedError } from '../../src/clerk/errors.ts';
import { inOrder, problem, reply, type Script, scriptedStore, written } from './scripted-store.ts';
import { SimulatedPlatform } from './simulated-platform.ts';

function setUp(script: Script, options: Partial<ClerkOptions> = {}, delayMs = 1) {
  const platform = new SimulatedPlatform();
  const store = scriptedStore(platform, script, delayMs);
  const clerk = new Clerk({ endpoint: 'https://store.test', fetch: store.fetch, platform, ...options });
  return { platform, store, clerk };
}

const failure = (call: Promise<unknown>) =>
  call.then(
    () => expect.fail('the call succeeded'),
    (error: unknown) => error as PreconditionFailedError,
  );

describe('a write', () => {
  it('is sent with method, body, token and session', async () => {
    const { platform, store, clerk } = setUp(inOrder(reply(201, { revision: 7, version: 1 })), { token: 's3cret' });
    const result = await platform.run(clerk.put('a/b ?#%', 'grüße'));
    expect(result).toEqual({ created: true, revision: 7, version: 1, replayed: false });
    const [sent] = store.sent;
    expect(sent?.method).toBe('PUT');
    expect(sent?.url).toBe('https://store.test/kv/a%2Fb%20%3F%23%25');
    expect(sent?.headers).toMatchObject({ Authorization: 'Bearer s3cret', 'Content-Type': 'application/octet-stream' });
    expect([sent?.seq, sent?.acked]).toEqual([1, 0]);
    expect(new TextDecoder().decode(sent?.body ?? undefined)).toBe('grüße');
  });

  it.each(['.', '..'])('sends the key %s by query, since a path loses it', async (key) => {
    const { platform, store, clerk } = setUp(inOrder(), { group: 'team-1' });
    await platform.run(clerk.append(key, ''));
    expect(store.sent[0]?.url).toBe(`https://store.test/groups/team-1/kv?key=${key}`);
    expect([store.sent[0]?.method, store.sent[0]?.body?.length]).toEqual(['PATCH', 0]);
  });

  it.each([
    [{ ifMatch: 12 }, { 'If-Match': '"12"' }],
    [{ ifMatch: [3, 12] }, { 'If-Match': '"3", "12"' }],
    [{ ifMatch: '*' }, { 'If-Match': '*' }],
    [{ ifNoneMatch: '*' }, { 'If-None-Match': '*' }],
  ] as const)('carries the condition %j', async (conditions, headers) => {
    const { platform, store, clerk } = setUp(inOrder(reply(200, { revision: 5, deleted: 0 })));
    const result = await platform.run(clerk.delete('k', conditions));
    expect(result).toEqual({ deleted: false, revision: 5, replayed: false });
    expect(store.sent[0]?.headers).toMatchObject(headers);
  });

  it('tells of a failed condition with the current revision', async () => {
    const { platform, clerk } = setUp(inOrder(problem('precondition_failed', { ETag: '"9"' })));
    const error = await platform.run(failure(clerk.put('k', 'v', { ifMatch: 4 })));
    expect(error).toMatchObject({ code: 'precondition_failed', status: 412, modRevision: 9, outcome: 'not_applied' });
  });

  it('repeats with the same seq and the same bytes, whatever the caller does to its buffer', async () => {
    const { platform, store, clerk } = setUp(inOrder(problem('outcome_unknown'), 'disconnect', 'no_reply'));
    const value = Uint8Array.of(1, 2, 3);
    const call = clerk.put('k', value, { timeoutMs: 60_000 });
    value.fill(0);
    await platform.run(call);
    expect(store.sent.map((sent) => [sent.seq, [...(sent.body ?? [])]])).toEqual(Array(4).fill([1, [1, 2, 3]]));
    expect(store.aborted).toHaveLength(1);
  });

  it('says that a reply was to an earlier try', async () => {
    const replayed = reply(200, { revision: 3, version: 2 }, { 'Clerk-Replayed': 'true' });
    const { platform, clerk } = setUp(inOrder('disconnect', replayed));
    expect(await platform.run(clerk.put('k', 'v'))).toMatchObject({ revision: 3, replayed: true });
  });

  it.each(['overloaded', 'no_leader', 'peer_unreachable'] as const)('waits as long as %s asks', async (code) => {
    const { platform, store, clerk } = setUp(inOrder(problem(code, { 'Retry-After': '7' })));
    await platform.run(clerk.put('k', 'v'));
    expect(store.sent[1]!.atMs - store.sent[0]!.atMs).toBeGreaterThanOrEqual(7000);
  });

  it('understands a Retry-After that is a date', async () => {
    const headers = { 'Retry-After': 'Sun, 01 Nov 2026 00:00:09 GMT', Date: 'Sun, 01 Nov 2026 00:00:00 GMT' };
    const { platform, store, clerk } = setUp(inOrder(problem('no_leader', headers)));
    await platform.run(clerk.put('k', 'v'));
    expect(store.sent[1]!.atMs - store.sent[0]!.atMs).toBeGreaterThanOrEqual(9000);
  });

  it('backs off further with each try, with jitter', async () => {
    const { platform, store, clerk } = setUp(() => problem('no_leader'));
    await platform.run(failure(clerk.put('k', 'v', { timeoutMs: 10_000 })));
    const gapsMs = store.sent.slice(1, 6).map((sent, i) => sent.atMs - store.sent[i]!.atMs);
    gapsMs.forEach((gapMs, i) => {
      expect(gapMs).toBeGreaterThanOrEqual(50 * 2 ** i);
      expect(gapMs).toBeLessThanOrEqual(100 * 2 ** i + 1);
    });
  });

  it('that was only ever refused ends as the refusal, with nothing done', async () => {
    const { platform, store, clerk } = setUp(() => problem('overloaded'));
    const error = await platform.run(failure(clerk.put('k', 'v', { timeoutMs: 3000 })));
    expect(error).toMatchObject({ code: 'overloaded', status: 429, outcome: 'not_applied' });
    expect(error.detail).toBe('because overloaded');
    expect(store.sent.length).toBeGreaterThan(3);
    expect(platform.now()).toBeLessThanOrEqual(3000);
  });

  it('ends at once when Retry-After lies beyond its time', async () => {
    const { platform, clerk } = setUp(() => problem('overloaded', { 'Retry-After': '60' }));
    expect((await platform.run(failure(clerk.put('k', 'v')))).code).toBe('overloaded');
    expect(platform.now()).toBeLessThan(10);
  });

  it('that may have been done ends as outcome_unknown, also if the last try was refused', async () => {
    const { platform, clerk } = setUp((_sent, i) => (i === 0 ? 'disconnect' : problem('no_leader')));
    const error = await platform.run(failure(clerk.put('k', 'v', { timeoutMs: 2000 })));
    expect(error).toBeInstanceOf(OutcomeUnknownError);
    expect(error).toMatchObject({ code: 'outcome_unknown', outcome: 'unknown' });
    expect(error.cause).toMatchObject({ code: 'no_leader' });
  });

  it('takes a 503 of a proxy for what it is: nobody knows', async () => {
    const { platform, clerk } = setUp(() => reply(503, 'upstream connect error'));
    expect((await platform.run(failure(clerk.put('k', 'v', { timeoutMs: 500 })))).code).toBe('outcome_unknown');
  });

  it('does not believe a problem whose status is another one', async () => {
    const body = JSON.parse(new TextDecoder().decode(await problem('no_leader').arrayBuffer()));
    const { platform, clerk } = setUp(() => reply(502, body));
    expect((await platform.run(failure(clerk.put('k', 'v', { timeoutMs: 500 })))).code).toBe('outcome_unknown');
  });

  it.each([
    ['a login page', reply(200, 'hello')],
    ['a redirect', reply(302, '')],
    ['a foreign 404', reply(404, 'not here')],
  ])('does not go on after %s', async (_what, answer) => {
    const { platform, store, clerk } = setUp(() => answer);
    const error = await platform.run(failure(clerk.put('k', 'v')));
    expect(error).toMatchObject({ code: 'outcome_unknown', cause: { code: 'unexpected_response' } });
    expect(store.sent).toHaveLength(1);
  });

  it.each([
    'invalid_request',
    'unauthenticated',
    'forbidden',
    'no_such_group',
    'method_not_allowed',
    'value_too_large',
    'storage_full',
    'invalid_configuration',
  ] as const)('is not repeated after %s', async (code) => {
    const { platform, store, clerk } = setUp(() => problem(code));
    const error = await platform.run(failure(clerk.put('k', 'v')));
    expect(error).toMatchObject({ code, outcome: 'not_applied' });
    expect(store.sent).toHaveLength(1);
  });

  it('ends by its own timeout, try and all', async () => {
    const { platform, clerk } = setUp(() => 'no_reply');
    expect((await platform.run(failure(clerk.put('k', 'v', { timeoutMs: 1234 })))).code).toBe('outcome_unknown');
    expect(platform.now()).toBe(1234);
  });

  it('is never repeated after 5 minutes', async () => {
    const { platform, store, clerk } = setUp(() => 'disconnect');
    const error = await platform.run(failure(clerk.put('k', 'v', { timeoutMs: 3_600_000 })));
    expect(error.code).toBe('outcome_unknown');
    expect(store.sent.at(-1)!.atMs).toBeGreaterThan(270_000);
    expect(store.sent.at(-1)!.atMs).toBeLessThanOrEqual(300_000);
  });

  it('is not sent if the caller had aborted before', async () => {
    const { platform, store, clerk } = setUp(inOrder());
    const error = await platform.run(failure(clerk.put('k', 'v', { signal: AbortSignal.abort('enough') })));
    expect(error).toMatchObject({ code: 'aborted', outcome: 'not_applied', cause: 'enough' });
    expect(store.sent).toHaveLength(0);
  });

  it('says when an abort came too late to know', async () => {
    const { platform, clerk } = setUp(() => 'no_reply');
    const controller = new AbortController();
    const call = failure(clerk.put('k', 'v', { signal: controller.signal }));
    await platform.advance(50);
    controller.abort();
    expect(await call).toMatchObject({ code: 'aborted', outcome: 'unknown' });
  });

  it('says that nothing was done when the abort comes between refusals', async () => {
    const { platform, clerk } = setUp(() => problem('no_leader', { 'Retry-After': '5' }));
    const controller = new AbortController();
    const call = failure(clerk.put('k', 'v', { signal: controller.signal }));
    await platform.advance(50);
    controller.abort();
    expect(await call).toMatchObject({ code: 'aborted', outcome: 'not_applied' });
    expect(platform.timers).toBe(0);
  });
});

describe('bad input', () => {
  const { clerk, store } = setUp(inOrder());

  it.each([
    ['an empty key', () => clerk.put('', 'v'), 'invalid_request'],
    ['a lone surrogate in the key', () => clerk.put('a\ud800', 'v'), 'invalid_request'],
    ['a lone surrogate in the value', () => clerk.put('k', '\udc00'), 'invalid_request'],
    ['a lone surrogate in the prefix', () => clerk.list({ prefix: '\ud800' }).next(), 'invalid_request'],
    ['a key of 1,025 bytes', () => clerk.get(`${'ü'.repeat(512)}x`), 'key_too_long'],
    ['a value of 1,048,577 bytes', () => clerk.put('k', new Uint8Array(1_048_577)), 'value_too_large'],
    ['a text of 1,048,578 bytes', () => clerk.put('k', 'ü'.repeat(524_289)), 'value_too_large'],
    ['both conditions', () => clerk.put('k', 'v', { ifMatch: 1, ifNoneMatch: '*' }), 'invalid_request'],
    ['no revision to match', () => clerk.put('k', 'v', { ifMatch: [] }), 'invalid_request'],
    ['a broken revision', () => clerk.put('k', 'v', { ifMatch: 1.5 }), 'invalid_request'],
    ['a page of none', () => clerk.list({ limit: 0 }).next(), 'invalid_request'],
    ['no time at all', () => clerk.get('k', { timeoutMs: 0 }), 'invalid_request'],
  ])('%s is refused before anything is sent', async (_what, call, code) => {
    expect(await failure(call())).toMatchObject({ code, outcome: 'not_applied', status: null });
    expect(store.sent).toHaveLength(0);
  });

  it.each([
    { endpoint: '/kv' },
    { endpoint: 'ftp://store.test' },
    { endpoint: 'https://store.test/?a=b' },
    { endpoint: 'https://store.test', token: 'a b' },
    { endpoint: 'https://store.test', token: 'line\nbreak' },
    { endpoint: 'https://store.test', group: 'a/b' },
    { endpoint: 'https://store.test', clerkId: 'x'.repeat(65) },
    { endpoint: 'https://store.test', timeoutMs: Number.NaN },
  ])('%j makes no clerk', (options) => {
    expect(() => new Clerk(options)).toThrowError(/^invalid_request: /);
  });

  it('the longest key and value pass', async () => {
    const { platform, clerk: other } = setUp(() => written());
    await platform.run(other.put('ü'.repeat(512), new Uint8Array(1_048_576)));
  });
});
