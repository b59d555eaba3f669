/**
 * Requests that are wrong as octets: lengths that lie, chunks that are none, bodies that break off, lines that never end. Whatever
 * the runtime makes of them, nothing half-received is written, nothing smuggled, nothing hangs, and nobody is served a 500.
 * Longer, or again: see test/attack/runs.ts.
 */
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { exchange } from '../attack/octets.ts';
import { runs, seed, timeoutOf } from '../attack/runs.ts';
import { workerdMemory } from '../attack/runtime-memory.ts';
import { Tally } from '../attack/tally.ts';
import { ask } from './contract.ts';
import { runtimeForTests } from './edge-runtime.ts';

const MEBIBYTE = 1024 * 1024;
const MAX_GROWTH_BYTES = 256 * MEBIBYTE;
/** A server that waits for more octets is left waiting for so long. */
const QUIET_MS = 250;
const VALUE = 'unharmed';

const context = runtimeForTests();
const tally = new Tally();
let startBytes = 0;

beforeAll(async () => {
  await ask(context.edge, 'PUT', '/kv/kept', { body: VALUE });
  await context.edge.whole();
  startBytes = workerdMemory(context.edge.directory)?.residentBytes ?? 0;
});

afterAll(() => tally.print(`Octets to the real runtime, seed ${seed}`));

/** What is there, and what is not, whatever was sent. */
async function expectUnharmed(): Promise<void> {
  const { json } = await ask(context.edge, 'GET', '/kv?limit=1000');
  expect(json.items.map(({ key, value }: { key: string; value: string }) => [key, value])).toEqual([['kept', VALUE]]);
  expect((await ask(context.edge, 'GET', '/healthz')).status).toBe(200);
}

beforeEach(expectUnharmed);

/**
 * Sends it, and says what came: a status, or 0 for nothing. workerd itself answers 500 to framing that it does not understand, and
 * 501 to a method that it does not know: such a request reaches no Worker. Whatever the application answers is below 500.
 */
async function sent(route: string, kind: string, octets: Uint8Array): Promise<number> {
  const reply = await exchange(context.edge.origin, octets, false, QUIET_MS);
  const ours = reply?.header('cache-control') === 'no-store';
  const status = reply?.status ?? 0;
  tally.note(route, kind, status === 0 ? 'nothing' : ours ? status : `${status} by the runtime`);
  if (ours) expect(status).toBeLessThan(500);
  else expect([0, 400, 431, 500, 501]).toContain(status);
  return status;
}

const HEAD = 'PUT /kv/written HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n';
const SMUGGLED = 'PUT /kv/smuggled HTTP/1.1\r\nHost: edge\r\nContent-Length: 1\r\n\r\nv';

/** No kind below has more of them. */
const MOST_WAYS = 13;

/** Each of these is broken, and none may be taken for a whole request. */
const BROKEN: Readonly<Record<string, (draw: number) => string>> = {
  // An empty one is 0 to workerd.
  'a length that is none': (draw) => {
    const lengths = [
      '-1',
      '+1',
      '0x1',
      '1e0',
      '1.0',
      '１',
      '1,1',
      '1, 2',
      '99999999999999999999',
      'NaN',
      '1;',
      '"1"',
      '٣',
    ];
    return `${HEAD}Content-Length: ${lengths[draw % lengths.length]}\r\n\r\nv`;
  },
  'two lengths': (draw) => `${HEAD}Content-Length: ${draw % 3}\r\nContent-Length: ${3 + (draw % 5)}\r\n\r\nvvv`,
  'a body that breaks off': (draw) => `${HEAD}Content-Length: ${2 + (draw % 1_000_000)}\r\n\r\nv`,
  'a length and chunks': (draw) =>
    `${HEAD}Content-Length: ${draw % 9}\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n${SMUGGLED}`,
  'another transfer encoding': (draw) => {
    const codings = [
      'gzip',
      'identity, chunked, x',
      'xchunked',
      'chunked, chunked',
      'chunked;q=0',
      'deflate',
      '\x0bchunked',
    ];
    return `${HEAD}Transfer-Encoding: ${codings[draw % codings.length]}\r\n\r\n${SMUGGLED}`;
  },
  'chunks that are none': (draw) => {
    const sizes = ['-1', 'g', '0x1', ' ', '', 'ffffffffffffffffff', '1 1', '+1', '١', 'ffffffff', '7fffffffffffffff'];
    return `${HEAD}Transfer-Encoding: chunked\r\n\r\n${sizes[draw % sizes.length]}\r\nv\r\n`;
  },
  'chunks that break off': (draw) => {
    const chunks = ['1\r\nv\r\n', '5\r\nva', '1\r\nv', '1\r\nv\r\n0'];
    return `${HEAD}Transfer-Encoding: chunked\r\n\r\n${chunks[draw % chunks.length]}`;
  },
  'a header line that is none': (draw) => {
    const lines = [
      'X',
      ': y',
      'X : y',
      'X\0: y',
      'X: y\0',
      '\x7f: y',
      'X: y\x01',
      'Clerk-Id\x00: a',
      'X\t: y',
      '(x): y',
    ];
    // A line without a colon and the like are errors; a control octet in a value may be let pass by some.
    return `${HEAD}${lines[draw % lines.length]}\r\nContent-Length: 2\r\n\r\nv`;
  },
  'a request line that is none': (draw) => {
    const lines = [
      'PUT /kv/written',
      'PUT  /kv/written HTTP/1.1',
      'PUT /kv/wri tten HTTP/1.1',
      'PUT /kv/written HTTP/9.9',
      'PUT /kv/written http/1.1',
      'PUT kv/written HTTP/1.1',
      'PUT\t/kv/written\tHTTP/1.1',
      ' PUT /kv/written HTTP/1.1',
      '\0PUT /kv/written HTTP/1.1',
      'PUT /kv/written\0 HTTP/1.1',
      'PUT * HTTP/1.1',
      'PRI * HTTP/2.0',
      '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    ];
    return `${lines[draw % lines.length]}\r\nHost: edge\r\nConnection: close\r\nContent-Length: 2\r\n\r\nv`;
  },
  'lines without end': (draw) => `PUT /kv/${'w'.repeat(70_000 + (draw % 60_000))}`,
  'headers without end': (draw) => `${HEAD}${'X: y\r\n'.repeat(2000 + (draw % 30_000))}`,
  'a header as long as a book': (draw) => `${HEAD}X: ${'y'.repeat(200_000 + (draw % 500_000))}`,
};

test('what is no whole request writes nothing, and is answered 4xx or not at all', {
  timeout: timeoutOf(60_000),
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (base) => {
      // Every kind, in every way that it has, so that what the runtime answers to any of them is seen in every run.
      const all = Object.entries(BROKEN).flatMap(([kind, make]) =>
        Array.from({ length: MOST_WAYS }, (_, i) => ({ kind, text: make(base + i) })),
      );
      // Side by side, since most of them end in silence.
      for (let i = 0; i < all.length; i += 16) {
        await Promise.all(
          all.slice(i, i + 16).map(async ({ kind, text }) => {
            const status = await sent('PUT /kv/{key}', kind, Buffer.from(text, 'latin1'));
            expect(status === 0 || status >= 400, `${kind}: status ${status}`).toBe(true);
          }),
        );
        await expectUnharmed();
      }
    }),
    runs(1),
  );
});

test('octets of any kind write nothing', { timeout: timeoutOf(60_000) }, async () => {
  // Its body is missing, and its condition fails: one octet can take away either, and not both.
  const whole = Buffer.from(`${HEAD.replace('Conn', 'If-Match: "999"\r\nConn')}Content-Length: 1\r\n\r\n`, 'latin1');
  const octets = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 300 }),
    // The head of a whole request with something else in it, its body still to come.
    fc.tuple(fc.nat({ max: whole.byteLength - 1 }), fc.integer({ min: 0, max: 255 })).map(([at, octet]) => {
      const changed = Buffer.from(whole);
      changed[at] = octet;
      return changed;
    }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(octets, { minLength: 24, maxLength: 24 }), async (all) => {
      await Promise.all(all.map((one) => sent('octets', 'any', Buffer.from(one))));
      await expectUnharmed();
    }),
    runs(8),
  );
});

test('what a body is said to be does not change it', async () => {
  const { edge } = context;
  const text = 'compressed '.repeat(1000);
  const bodies: [string, Buffer][] = [
    ['gzip', gzipSync(text)],
    ['gzip', Buffer.from('no gzip at all')],
    ['br', Buffer.from([1, 2, 3])],
    ['deflate, gzip', Buffer.alloc(5)],
    ['identity', Buffer.from([0xff, 0xfe, 0])],
  ];
  for (const [encoding, body] of bodies) {
    for (const type of ['text/plain; charset=utf-16', 'multipart/form-data', 'application/json', '\xff']) {
      const headers = { 'Content-Encoding': encoding, 'Content-Type': type };
      expect([200, 201]).toContain((await ask(edge, 'PUT', '/kv/typed', { headers, body })).status);
      const read = await ask(edge, 'GET', '/kv/typed');
      expect(read.body.equals(body)).toBe(true);
      tally.note('PUT /kv/{key}', 'another type or encoding', 200);
    }
  }
  await ask(edge, 'DELETE', '/kv/typed');
});

test('a chunked body is the octets of its chunks, and has their limit', async () => {
  const { edge } = context;
  const chunked = (chunk: string, count: number) =>
    Buffer.from(
      `${HEAD}Transfer-Encoding: chunked\r\n\r\n${`${chunk.length.toString(16)}\r\n${chunk}\r\n`.repeat(count)}0\r\n\r\n`,
      'latin1',
    );
  expect(await sent('PUT /kv/{key}', 'chunks', chunked('v', 3000))).toBe(201);
  expect((await ask(edge, 'GET', '/kv/written')).text).toBe('v'.repeat(3000));
  const largest = chunked('v'.repeat(65_536), 16);
  expect((await exchange(edge.origin, largest))?.status).toBe(200);
  expect((await exchange(edge.origin, chunked('v'.repeat(65_536), 17)))?.status).toBe(413);
  expect((await ask(edge, 'GET', '/kv/written')).body.byteLength).toBe(1_048_576);
  await ask(edge, 'DELETE', '/kv/written');
});

test('connections that say nothing, or little, keep nobody else waiting', async () => {
  const { edge } = context;
  const idle = Array.from({ length: 200 }, (_, i) => {
    return exchange(edge.origin, Buffer.from(i % 2 === 0 ? 'P' : `${HEAD}Content-Length: 9\r\n\r\nv`), false, 1500);
  });
  for (let i = 0; i < 20; i += 1) {
    const startMs = performance.now();
    await expectUnharmed();
    expect(performance.now() - startMs).toBeLessThan(2000);
  }
  for (const reply of await Promise.all(idle)) expect(reply?.status ?? 0).toBeLessThan(500);
});

test('afterwards all is as before: the store, the log, and memory', async () => {
  await expectUnharmed();
  expect(await context.edge.log()).not.toMatch(/instance_ended|request_failed|alarm_failed|peer_stopped/);
  const memory = workerdMemory(context.edge.directory);
  // Elsewhere than on Linux nobody tells.
  if (memory !== null) expect(memory.peakBytes - startBytes).toBeLessThan(MAX_GROWTH_BYTES);
});

test('the runtime refused, and left unanswered, as expected', () => {
  tally.expectReached({
    'PUT /kv/{key}': [200, 201, '400 by the runtime', '500 by the runtime', '501 by the runtime', 'nothing'],
    octets: ['501 by the runtime'],
  });
});
