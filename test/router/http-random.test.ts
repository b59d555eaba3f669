/** No input gives a 500, or no answer: random requests, most of them nearly right. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TestServer } from './http.ts';

const method = fc.constantFrom('GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'POST', 'OPTIONS', 'FROB');
const noise = fc.string({ unit: fc.constantFrom(...'ab1/.%?&=+ *"W,-_\\é\u0000\u{1F34F}'), maxLength: 12 });
const escaped = fc.string({ unit: 'binary', maxLength: 12 }).map(encodeURIComponent);
const segment = fc.oneof(noise, escaped, fc.constantFrom('a', 'b', '%FF', '..', ''));

const place = fc.oneof(
  { weight: 4, arbitrary: segment.map((key) => `/kv/${key}`) },
  { weight: 2, arbitrary: fc.constantFrom('/kv', '/cluster', '/metrics', '/healthz', '/groups', '/') },
  { weight: 1, arbitrary: segment.map((peer) => `/chaos/${peer}`) },
  { weight: 1, arbitrary: noise.map((text) => `/${text}`) },
);
const prefix = fc.oneof(
  { weight: 3, arbitrary: fc.constant('') },
  { weight: 1, arbitrary: fc.constantFrom('/groups/g', '/groups/default', '/groups/never') },
  { weight: 1, arbitrary: segment.map((group) => `/groups/${group}`) },
);
const name = fc.constantFrom('key', 'prefix', 'limit', 'cursor', 'encoding', 'consistency', 'peer', 'other');
const value = fc.oneof(segment, fc.constantFrom('1', '2', '9', '100', 'stale', 'base64', 'utf8', 'linearizable'));
const query = fc.array(fc.tuple(name, value), { maxLength: 3 }).map((pairs) => {
  return pairs.length === 0 ? '' : `?${pairs.map((pair) => pair.join('=')).join('&')}`;
});

const tag = fc.constantFrom('*', '"1"', '"2", W/"3"', '"', '', '1', ',', '"1",');
const number = fc.constantFrom('0', '1', '2', '-1', 'x', '', '9007199254740992');
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 3 });
const headers = fc
  .record({
    'If-Match': optional(tag),
    'If-None-Match': optional(tag),
    'Clerk-Id': optional(fc.constantFrom('me', 'you', '', 'no!')),
    'Clerk-Seq': optional(number),
    'Clerk-Acked': optional(number),
    Origin: optional(fc.constantFrom('https://a.example', 'null', '')),
  })
  .map((all) => {
    const given: Record<string, string> = {};
    for (const [header, text] of Object.entries(all)) if (text !== undefined) given[header] = text;
    return given;
  });
const body = fc.oneof(
  fc.constantFrom('', 'x', '{"action":"heal"}', '{"action":"cut","from":"2"}', '{"action":"drop","rate":2}', '[[[['),
  fc.json({ maxDepth: 2 }),
);

const request = fc.record({ method, prefix, place, query, headers, body });

test('no request gives a 500 or hangs, and every error is a problem (property)', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 25 }), async (requests) => {
      const server = new TestServer({ CHAOS: 'on', CORS_ORIGIN: '*' });
      await server.fetch('POST', '/groups/g');
      for (const one of requests) {
        const path = `${one.prefix}${one.place}${one.query}`;
        const mayHaveBody = one.method !== 'GET' && one.method !== 'HEAD' && one.body !== '';
        const init = { headers: one.headers, ...(mayHaveBody ? { body: one.body } : {}) };
        const response = await server.fetch(one.method, path, init);
        expect(response.status, `${one.method} ${path}`).toBeLessThan(500);
        expect(response.headers.get('Cache-Control')).toBe('no-store');
        const text = await response.text();
        if (response.status < 400 || one.method === 'HEAD') continue;
        expect(response.headers.get('Content-Type')).toBe('application/problem+json');
        expect(Object.keys(JSON.parse(text)).slice(0, 5)).toEqual(['type', 'title', 'status', 'code', 'detail']);
        expect(text).not.toContain('.ts:');
      }
    }),
    { numRuns: 60 },
  );
});
