/** Memory is bounded by what is sent, not by what it claims to be; and nothing of what is refused is kept. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TestServer } from '../router/http.ts';
import type { Header, HttpInput } from './http-input.ts';
import { timeoutOf } from './runs.ts';
import { Tally } from './tally.ts';

const MEBIBYTE = 1024 * 1024;
/** More than the groups that a router remembers (1,024). */
const WARM_UP_REQUESTS = 12_000;
const REQUESTS = 8000;
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** The most that this process ever held, in bytes. */
const peakBytes = (): number => process.resourceUsage().maxRSS * 1024;

function heapBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

/** MessagePack that claims to begin `depth` arrays, maps or texts of `count` elements each, and ends there. */
function claims(type: number, count: number, depth: number): string {
  const bytes = Buffer.alloc(5 * depth);
  for (let i = 0; i < depth; i += 1) {
    bytes.writeUInt8(type, 5 * i);
    bytes.writeUInt32BE(count, 5 * i + 1);
  }
  return bytes.toString('base64url');
}

const ARRAY32 = 0xdd;
const MAP32 = 0xdf;
const BIN32 = 0xc6;
const STR32 = 0xdb;

describe('a cursor', () => {
  const shapes = [ARRAY32, MAP32, BIN32, STR32].flatMap((type) =>
    [1, 8].flatMap((depth) =>
      [16, 65_536, 20_000_000, 33_554_431, 4_294_967_295].map((count) => ({ type, count, depth })),
    ),
  );
  test.each(shapes)('that claims %j takes no memory for it', async ({ type, count, depth }) => {
    const server = new TestServer();
    expect(await server.outcome('PUT', '/kv/a', { body: 'v' })).toBe('201');
    const beforeBytes = peakBytes();
    const startMs = performance.now();
    expect(await server.outcome('GET', `/kv?cursor=${claims(type, count, depth)}`)).toBe('400 invalid_request');
    expect(performance.now() - startMs).toBeLessThan(1000);
    expect(peakBytes() - beforeBytes).toBeLessThan(32 * MEBIBYTE);
  });

  test('of any bytes is refused at once', async () => {
    const server = new TestServer();
    await server.outcome('PUT', '/kv/a', { body: 'v' });
    const bytes = fc.uint8Array({ maxLength: 1100 }).map((cursor) => Buffer.from(cursor).toString('base64url'));
    await fc.assert(
      fc.asyncProperty(bytes, async (cursor) => {
        const outcome = await server.outcome('GET', `/kv?cursor=${cursor}`);
        expect(outcome).toBe('400 invalid_request');
      }),
      { numRuns: 200 },
    );
  });
});
/** A request that is refused or answered without a change, with `filler` in everything that a request has. */
function passing(number: number): HttpInput {
  const filler = `${number}${'f'.repeat(3000)}`;
  const requests: [string, string, Header[]][] = [
    ['GET', `/groups/g${number}/kv/${filler}`, []],
    ['PUT', `/kv/${filler}`, [['Clerk-Id', `c${number}`]]],
    ['GET', `/kv/a?${filler}=${filler}`, [['If-None-Match', `"${filler}"`]]],
    ['GET', `/kv?prefix=${filler.slice(0, 900)}&cursor=${filler.slice(0, 900)}`, []],
    ['GET', `/${filler}`, [['Authorization', filler]]],
    ['DELETE', `/groups/${filler}`, []],
    ['POST', `/chaos/${filler}`, []],
    ['PATCH', `/kv/a`, [['If-Match', `"${filler}"`]]],
    ['GET', `/kv/${number}`, [['Origin', filler]]],
    ['GET', `/cluster?peer=${filler}`, []],
  ];
  const [method, target, headers] = requests[number % requests.length]!;
  const body = method === 'GET' ? null : new Uint8Array(Buffer.from(filler));
  return { route: method, kind: 'passing', method, target, headers, body };
}

test('nothing is kept of requests that changed nothing', { timeout: timeoutOf(30_000) }, async () => {
  const server = new TestServer({ CHAOS: 'on' });
  await server.outcome('PUT', '/kv/a', { body: 'v' });
  const tally = new Tally();
  const send = async (fromNumber: number, toNumber: number): Promise<void> => {
    for (let number = fromNumber; number < toNumber; number += 1) {
      const { method, target, headers, body } = passing(number);
      const init = { headers: Object.fromEntries(headers), ...(body === null ? {} : { body }) };
      tally.note(method, 'passing', (await server.outcome(method, target, init)).slice(0, 3));
      // What the fakes keep of calls is the test's own.
      server.peers.calls.length = 0;
    }
  };
  await send(0, WARM_UP_REQUESTS);
  const beforeBytes = heapBytes();
  await send(WARM_UP_REQUESTS, WARM_UP_REQUESTS + REQUESTS);
  // Were 3 KB of each kept, it would be 24 MiB.
  expect(heapBytes() - beforeBytes).toBeLessThan(4 * MEBIBYTE);
  tally.print('Requests that leave nothing behind');
  tally.expectReached({ GET: [200, 400, 404], PUT: [413], DELETE: [400], POST: [400], PATCH: [412] });
});
