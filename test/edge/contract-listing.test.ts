/** http-api.md, "Keys": listings. */
import { describe, expect, test } from 'vitest';
import { ask, fresh, type Item, listAll, revisionOf } from './contract.ts';
import { runtimeForTests } from './edge-runtime.ts';

const context = runtimeForTests();
const MAX_PAGE_BYTES = 1_048_576;

const keyPath = (key: string): string => `/kv?key=${encodeURIComponent(key)}`;
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

async function fill(prefix: string, count: number): Promise<string[]> {
  const keys = Array.from({ length: count }, (_, i) => `${prefix}${String(i).padStart(4, '0')}`);
  await Promise.all(keys.map((key) => ask(context.edge, 'PUT', keyPath(key), { body: `value of ${key}` })));
  return keys;
}

test('an item tells key, value, createRevision, modRevision and version', async () => {
  const { edge } = context;
  const prefix = fresh('list-');
  const { revision } = (await ask(edge, 'PUT', `/kv/${prefix}a`, { body: 'one' })).json;
  await ask(edge, 'PUT', `/kv/${prefix}b`, { body: 'b' });
  await ask(edge, 'PATCH', `/kv/${prefix}a`, { body: ' two' });
  const reply = await ask(edge, 'GET', `/kv?prefix=${prefix}`);
  expect(reply.headers['content-type']).toMatch(/^application\/json\b/);
  expect(reply.headers['raft-revision']).toBe(String(revision + 2));
  expect(reply.json).toEqual({
    items: [
      { key: `${prefix}a`, value: 'one two', createRevision: revision, modRevision: revision + 2, version: 2 },
      { key: `${prefix}b`, value: 'b', createRevision: revision + 1, modRevision: revision + 1, version: 1 },
    ],
    cursor: null,
    revision: revision + 2,
  });
});

test('keys come in the order of their UTF-8 bytes', async () => {
  const { edge } = context;
  const prefix = fresh('order-');
  // As UTF-16, the emoji would come before the fullwidth tilde.
  const names = [
    '',
    'B',
    'a',
    'aa',
    'b',
    '\0',
    '\0\0',
    '~',
    'é',
    'e\u0301',
    '\uFF5E',
    '😀',
    '\u{10FFFF}',
    '/',
    '%',
    ' ',
  ];
  const keys = names.map((name) => prefix + name);
  await Promise.all(keys.map((key) => ask(edge, 'PUT', keyPath(key), { body: key })));
  for (const limit of [1, 3, 1000]) {
    const items = await listAll(edge, `prefix=${prefix}&limit=${limit}`);
    expect(items.map(({ key }) => key)).toEqual(keys.toSorted(byBytes));
    expect(items.every(({ key, value }) => value === key)).toBe(true);
  }
});

test('a prefix is a prefix of bytes: nothing before it, nothing after it', async () => {
  const { edge } = context;
  const prefix = fresh('pre-');
  const inside = [`${prefix}é`, `${prefix}éa`, `${prefix}é\u{10FFFF}`];
  const outside = [prefix, `${prefix}e`, `${prefix}è`, `${prefix}ê`, `${prefix}É`];
  await Promise.all([...inside, ...outside].map((key) => ask(edge, 'PUT', keyPath(key), { body: '' })));
  const listed = async (text: string) =>
    (await listAll(edge, `prefix=${encodeURIComponent(text)}`)).map(({ key }) => key);
  expect(await listed(`${prefix}é`)).toEqual(inside);
  expect(await listed(`${prefix}nothing`)).toEqual([]);
  const all = (await listAll(edge, 'limit=1000')).map(({ key }) => key);
  expect(all).toEqual(all.toSorted(byBytes));
  expect(all).toEqual(expect.arrayContaining([...inside, ...outside]));
  expect(await listed('')).toEqual(all);
});

describe('limit', () => {
  test('counts items; the default is 100', async () => {
    const { edge } = context;
    const prefix = fresh('limit-');
    const keys = await fill(prefix, 120);
    const count = async (query: string) => (await ask(edge, 'GET', `/kv?prefix=${prefix}${query}`)).json.items.length;
    expect(await count('')).toBe(100);
    expect(await count('&limit=1')).toBe(1);
    expect(await count('&limit=119')).toBe(119);
    const exact = (await ask(edge, 'GET', `/kv?prefix=${prefix}&limit=120`)).json;
    expect([exact.items.length, exact.cursor]).toEqual([120, null]);
    expect(await count('&limit=1000')).toBe(120);
    expect((await listAll(edge, `prefix=${prefix}&limit=7`)).map(({ key }) => key)).toEqual(keys);
  });

  test.each(['0', '1001', '-1', '1.5', '1e2', '', 'x', '0x10', '10 ', '99999999999'])(
    'limit=%s: 400',
    async (limit) => {
      const reply = await ask(context.edge, 'GET', `/kv?limit=${encodeURIComponent(limit)}`);
      expect(reply.outcome).toBe('400 invalid_request');
    },
  );
});

describe('pages', () => {
  test('all pages show one revision, whatever is written meanwhile', async () => {
    const { edge } = context;
    const prefix = fresh('pages-');
    const keys = await fill(prefix, 40);
    const before = await listAll(edge, `prefix=${prefix}`);
    const items: Item[] = [];
    const revisions = new Set<number>();
    let cursor = '';
    for (let page = 0; cursor !== null; page += 1) {
      const reply = await ask(edge, 'GET', `/kv?prefix=${prefix}&limit=9${cursor && `&cursor=${cursor}`}`);
      expect(reply.status).toBe(200);
      items.push(...reply.json.items);
      revisions.add(reply.json.revision);
      expect(Number(reply.headers['raft-revision'])).toBe(await revisionOf(edge));
      cursor = reply.json.cursor;
      await ask(edge, 'DELETE', keyPath(keys[39 - page] ?? ''));
      await ask(edge, 'PUT', keyPath(keys[page] ?? ''), { body: 'replaced' });
      await ask(edge, 'PUT', keyPath(`${prefix}${String(page * 9).padStart(4, '0')}+`), { body: 'new' });
    }
    expect(revisions.size).toBe(1);
    expect(items).toEqual(before);
    expect(await listAll(edge, `prefix=${prefix}`)).not.toEqual(before);
  });

  test('the limit may change from page to page; prefix, encoding and group may not', async () => {
    const { edge } = context;
    const prefix = fresh('cursor-');
    const keys = await fill(prefix, 10);
    const { cursor } = (await ask(edge, 'GET', `/kv?prefix=${prefix}&limit=2`)).json;
    expect(typeof cursor).toBe('string');
    const next = `cursor=${encodeURIComponent(cursor)}`;
    const page = (await ask(edge, 'GET', `/kv?prefix=${prefix}&limit=5&${next}`)).json;
    expect(page.items.map(({ key }: Item) => key)).toEqual(keys.slice(2, 7));
    for (const query of [`prefix=${prefix}0`, 'prefix=', '', `prefix=${prefix}&encoding=base64`]) {
      expect((await ask(edge, 'GET', `/kv?${query}&${next}`)).outcome, query).toBe('400 invalid_request');
    }
    const same = await ask(edge, 'GET', `/kv?prefix=${prefix}&encoding=utf8&${next}`);
    expect(same.outcome).toBe('200');
    const group = fresh('group');
    await ask(edge, 'POST', `/groups/${group}`);
    const other = await ask(edge, 'GET', `/groups/${group}/kv?prefix=${prefix}&${next}`);
    expect(other.outcome).toBe('400 invalid_request');
    await ask(edge, 'DELETE', `/groups/${group}`);
  });

  test.each(['', 'x', '!!!', 'AAAA', '%00', '%F0%9F%8D%8F', 'a'.repeat(5000)])('cursor=%s: 400', async (cursor) => {
    expect((await ask(context.edge, 'GET', `/kv?cursor=${cursor}`)).outcome).toBe('400 invalid_request');
  });

  test('a cursor that was tampered with is 400, and never a wrong page', async () => {
    const { edge } = context;
    const prefix = fresh('tamper-');
    await fill(prefix, 4);
    const { cursor } = (await ask(edge, 'GET', `/kv?prefix=${prefix}&limit=2`)).json as { cursor: string };
    for (let i = 0; i < cursor.length; i += 3) {
      const changed = `${cursor.slice(0, i)}${cursor[i] === 'A' ? 'B' : 'A'}${cursor.slice(i + 1)}`;
      const { status } = await ask(edge, 'GET', `/kv?prefix=${prefix}&limit=2&cursor=${changed}`);
      expect([200, 400, 410], `cursor ${changed}`).toContain(status);
    }
  });

  test('a page has at most 1 MiB, but at least one item', async () => {
    const { edge } = context;
    const prefix = fresh('bytes-');
    const values = [600_000, 300_000, 100_000, 500_000, 1_048_576, 10, 1_048_576, 400_000].map((n) =>
      Buffer.alloc(n, 'v'),
    );
    for (const [i, body] of values.entries()) await ask(edge, 'PUT', `/kv/${prefix}${i}`, { body });
    for (const encoding of ['utf8', 'base64'] as const) {
      const seen: Item[] = [];
      let cursor: string | null = '';
      while (cursor !== null) {
        const reply = await ask(
          edge,
          'GET',
          `/kv?prefix=${prefix}&encoding=${encoding}${cursor && `&cursor=${cursor}`}`,
        );
        const { items } = reply.json;
        expect(items.length).toBeGreaterThan(0);
        if (items.length > 1) expect(reply.body.length).toBeLessThanOrEqual(MAX_PAGE_BYTES);
        seen.push(...items);
        cursor = reply.json.cursor;
      }
      expect(seen.map(({ key }) => key)).toEqual(values.map((_, i) => `${prefix}${i}`));
      for (const [i, { value }] of seen.entries()) {
        const bytes = Buffer.from(value ?? '', encoding);
        expect(bytes.equals(values[i] ?? Buffer.alloc(0)), `${encoding} ${i}`).toBe(true);
      }
    }
  });

  test('text that grows in JSON is counted as it is sent', async () => {
    const { edge } = context;
    const prefix = fresh('escaped-');
    for (let i = 0; i < 4; i += 1) await ask(edge, 'PUT', `/kv/${prefix}${i}`, { body: Buffer.alloc(120_000) });
    const first = await ask(edge, 'GET', `/kv?prefix=${prefix}`);
    expect(first.body.length).toBeLessThanOrEqual(MAX_PAGE_BYTES);
    const items = await listAll(edge, `prefix=${prefix}`);
    expect(items.map(({ value }) => value)).toEqual(Array(4).fill('\0'.repeat(120_000)));
  });
});

describe('encoding', () => {
  test('utf8: text as it is, and valueBase64 for what is not UTF-8; base64: all values', async () => {
    const { edge } = context;
    const prefix = fresh('enc-');
    const values: [string, Buffer][] = [
      [`${prefix}bytes`, Buffer.from([0xff, 0x00, 0x80])],
      [`${prefix}empty`, Buffer.alloc(0)],
      [`${prefix}lone`, Buffer.from([0xed, 0xa0, 0x80])],
      [`${prefix}text`, Buffer.from('\uFEFFé🍏"\\\n\0\u2028')],
    ];
    for (const [key, body] of values) await ask(edge, 'PUT', `/kv/${key}`, { body });
    const utf8 = (await ask(edge, 'GET', `/kv?prefix=${prefix}`)).json.items;
    expect(utf8.map(({ value, valueBase64 }: Item) => ({ value, valueBase64 }))).toEqual([
      { value: undefined, valueBase64: '/wCA' },
      { value: '', valueBase64: undefined },
      { value: undefined, valueBase64: '7aCA' },
      { value: '\uFEFFé🍏"\\\n\0\u2028', valueBase64: undefined },
    ]);
    const base64 = (await ask(edge, 'GET', `/kv?prefix=${prefix}&encoding=base64`)).json.items;
    expect(base64.map(({ key, value }: Item) => [key, value])).toEqual(
      values.map(([key, value]) => [key, value.toString('base64')]),
    );
  });

  test.each(['utf-8', 'UTF8', '', 'hex', 'base64url'])('encoding=%s: 400', async (encoding) => {
    expect((await ask(context.edge, 'GET', `/kv?encoding=${encoding}`)).outcome).toBe('400 invalid_request');
  });
});

test('a listing of a group without keys is empty', async () => {
  const { edge } = context;
  const group = fresh('group');
  await ask(edge, 'POST', `/groups/${group}`);
  const reply = await ask(edge, 'GET', `/groups/${group}/kv`);
  expect(reply.json).toEqual({ items: [], cursor: null, revision: 0 });
  expect(reply.headers['raft-revision']).toBe('0');
  await ask(edge, 'DELETE', `/groups/${group}`);
});

describe('old listings', () => {
  const small = runtimeForTests({ peers: 1, variables: { HISTORY_LIMIT_BYTES: '200000' } });

  test('410 revision_compacted once more was written than is kept', async () => {
    const { edge } = small;
    for (const key of ['a', 'b', 'c']) await ask(edge, 'PUT', `/kv/${key}`, { body: 'old' });
    const { cursor } = (await ask(edge, 'GET', '/kv?limit=1')).json;
    const next = async () => ask(edge, 'GET', `/kv?limit=1&cursor=${cursor}`);
    expect((await next()).json.items[0]).toMatchObject({ key: 'b', value: 'old' });
    await ask(edge, 'PUT', '/kv/b', { body: 'new' });
    expect((await next()).json.items[0]).toMatchObject({ key: 'b', value: 'old' });
    for (let i = 0; i < 40; i += 1) await ask(edge, 'PUT', '/kv/c', { body: 'x'.repeat(10_000) });
    const gone = await next();
    expect(gone.outcome).toBe('410 revision_compacted');
    expect(gone.headers['raft-revision']).toBe(String(await revisionOf(edge)));
    expect((await listAll(edge, '')).map(({ key }) => key)).toEqual(['a', 'b', 'c']);
  });
});
