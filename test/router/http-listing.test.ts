import { describe, expect, test } from 'vitest';
import { encodeCursor } from '../../src/router/cursor.ts';
import { TestServer } from './http.ts';

interface Page {
  items: {
    key: string;
    value?: string;
    valueBase64?: string;
    createRevision: number;
    modRevision: number;
    version: number;
  }[];
  cursor: string | null;
  revision: number;
}

async function list(server: TestServer, query: string): Promise<Page & { response: Response }> {
  const response = await server.fetch('GET', `/kv${query}`);
  const page = (await response.clone().json()) as Page;
  return { ...page, response };
}

async function serverWith(...keys: string[]): Promise<TestServer> {
  const server = new TestServer();
  for (const key of keys) await server.fetch('PUT', `/kv/${encodeURIComponent(key)}`, { body: `value of ${key}` });
  return server;
}

const text = new TextEncoder();

describe('a listing', () => {
  test('is in the order of UTF-8 bytes, with revisions', async () => {
    const server = await serverWith('b', 'a', '\uFFFD', '🍏', 'é');
    const page = await list(server, '');
    expect(page.items.map(({ key }) => key)).toEqual(['a', 'b', 'é', '\uFFFD', '🍏']);
    expect(page.items[0]).toEqual({ key: 'a', value: 'value of a', createRevision: 2, modRevision: 2, version: 1 });
    expect([page.cursor, page.revision]).toEqual([null, 5]);
    expect(page.response.headers.get('Raft-Revision')).toBe('5');
    expect(page.response.headers.get('Content-Type')).toBe('application/json');
  });

  test('of nothing is empty', async () => {
    expect(await list(new TestServer(), '')).toMatchObject({ items: [], cursor: null, revision: 0 });
  });

  test('takes a prefix and a limit, and goes on by cursor', async () => {
    const server = await serverWith('a/1', 'a/2', 'a/3', 'b/1');
    const first = await list(server, '?prefix=a/&limit=2');
    expect(first.items.map(({ key }) => key)).toEqual(['a/1', 'a/2']);
    const second = await list(server, `?prefix=a%2F&limit=2&cursor=${first.cursor}`);
    expect(second.items.map(({ key }) => key)).toEqual(['a/3']);
    expect(second.cursor).toBe(null);
  });

  test('shows all pages at one revision, and tells the newest', async () => {
    const server = await serverWith('a', 'b', 'c');
    const first = await list(server, '?limit=1');
    await server.fetch('DELETE', '/kv/b');
    await server.fetch('PUT', '/kv/bb', { body: 'new' });
    const second = await list(server, `?limit=10&cursor=${first.cursor}`);
    expect(second.items.map(({ key }) => key)).toEqual(['b', 'c']);
    expect(second.revision).toBe(3);
    expect(second.response.headers.get('Raft-Revision')).toBe('5');
  });

  test('has values as text, or in base64 where they are none', async () => {
    const server = new TestServer();
    await server.fetch('PUT', '/kv/a', { body: Uint8Array.of(0xff, 0) });
    await server.fetch('PUT', '/kv/b', { body: '\uFEFFé"\0' });
    const asText = (await list(server, '')).items;
    expect(asText.map(({ value, valueBase64 }) => [value, valueBase64])).toEqual([
      [undefined, '/wA='],
      ['\uFEFFé"\0', undefined],
    ]);
    const asBase64 = (await list(server, '?encoding=base64')).items;
    expect(asBase64.map(({ value }) => value)).toEqual(['/wA=', btoa('\xEF\xBB\xBF\xC3\xA9"\0')]);
  });

  test.each(['utf8', 'base64'])('has a body of at most 1 MiB as %s, and loses nothing', async (encoding) => {
    const server = new TestServer();
    for (let i = 0; i < 12; i += 1) {
      // Every byte of these becomes six in JSON.
      await server.fetch('PUT', `/kv/${i + 10}`, { body: new Uint8Array(60_000) });
    }
    const keys: string[] = [];
    let cursor = '';
    for (;;) {
      const page = await list(server, `?encoding=${encoding}${cursor}`);
      expect((await page.response.arrayBuffer()).byteLength).toBeLessThanOrEqual(1_048_576);
      expect(page.items.length).toBeGreaterThan(0);
      keys.push(...page.items.map(({ key }) => key));
      if (page.cursor === null) break;
      cursor = `&cursor=${page.cursor}`;
    }
    expect(keys).toEqual(Array.from({ length: 12 }, (_, i) => String(i + 10)));
  });

  test('has at least one item, however large', async () => {
    const server = new TestServer();
    await server.fetch('PUT', '/kv/a', { body: new Uint8Array(1_048_576) });
    await server.fetch('PUT', '/kv/b', { body: new Uint8Array(1_048_576) });
    for (const encoding of ['utf8', 'base64']) {
      const page = await list(server, `?encoding=${encoding}`);
      expect(page.items.length).toBe(1);
      expect(page.cursor).not.toBe(null);
    }
  });

  test('goes past pages of nothing but deleted keys', async () => {
    const server = await serverWith('a', 'b');
    const empty = { type: 'page', items: [], more: true, nextAfter: text.encode('a'), revision: 2, storeRevision: 2 };
    let lists = 0;
    server.peers.fate = ({ route }) =>
      route === 'client' && lists++ === 0 ? { replies: [{ type: 'result', result: empty, ageMs: 0 }] } : 'pass';
    const page = await list(server, '');
    expect(page.items.map(({ key }) => key)).toEqual(['b']);
  });
});

describe('parameters', () => {
  test.each([
    ['?limit=1000', '200'],
    ['?limit=1', '200'],
    ['?limit=0', '400 invalid_request'],
    ['?limit=1001', '400 invalid_request'],
    ['?limit=01', '400 invalid_request'],
    ['?limit=-1', '400 invalid_request'],
    ['?limit=1.5', '400 invalid_request'],
    ['?limit=%2B1', '400 invalid_request'],
    ['?limit=', '400 invalid_request'],
    ['?limit=ten', '400 invalid_request'],
    ['?encoding=utf-8', '400 invalid_request'],
    ['?encoding=', '400 invalid_request'],
    ['?prefix=', '200'],
    ['?prefix=%FF', '400 invalid_request'],
    ['?prefix=a&prefix=a', '400 invalid_request'],
    [`?prefix=${'p'.repeat(1024)}`, '200'],
    [`?prefix=${'p'.repeat(1025)}`, '413 key_too_long'],
    ['?consistency=linearizable', '200'],
    ['?consistency=stale', '200'],
    ['?consistency=STALE', '400 invalid_request'],
    ['?cursor=', '400 invalid_request'],
    ['?cursor=%20', '400 invalid_request'],
    ['?cursor=AAAA', '400 invalid_request'],
    [`?cursor=${'A'.repeat(5000)}`, '400 invalid_request'],
    ['?', '200'],
    ['?&&=&x', '200'],
    ['?unknown=1&unknown=2', '200'],
  ])('/kv%s: %s', async (query, expected) => {
    const server = await serverWith('a');
    expect(await server.outcome('GET', `/kv${query}`)).toBe(expected);
  });
});

describe('a cursor', () => {
  const base = { group: 'default', prefix: text.encode('a'), encoding: 'utf8' };
  /** As the fakes call the first group. */
  const groupId = 'group-1';

  async function outcome(cursor: string, query = '?prefix=a'): Promise<string> {
    const server = await serverWith('a1', 'a2', 'ab1');
    return server.outcome('GET', `/kv${query}&cursor=${encodeURIComponent(cursor)}`);
  }

  test('goes with its group, prefix and encoding', async () => {
    const cursor = await encodeCursor({ revision: 3, after: text.encode('a1'), groupId }, base);
    expect(await outcome(cursor)).toBe('200');
    expect(await outcome(cursor, '?prefix=ab')).toBe('400 invalid_request');
    expect(await outcome(cursor, '?prefix=')).toBe('400 invalid_request');
    expect(await outcome(cursor, '?prefix=a&encoding=base64')).toBe('400 invalid_request');
    expect(
      await outcome(await encodeCursor({ revision: 3, after: text.encode('a1'), groupId }, { ...base, group: 'g' })),
    ).toBe('400 invalid_request');
  });

  test('that was tampered with is 400', async () => {
    const cursor = await encodeCursor({ revision: 3, after: text.encode('a1'), groupId }, base);
    expect(await outcome(`${cursor}A`)).toBe('400 invalid_request');
    expect(await outcome(cursor.slice(0, -1))).toBe('400 invalid_request');
    expect(await outcome(`A${cursor.slice(1)}`)).toBe('400 invalid_request');
  });

  test.each([
    ['an empty key', { revision: 3, after: new Uint8Array() }],
    ['a key that is too long', { revision: 3, after: new Uint8Array(1025) }],
    ['a key that is not UTF-8', { revision: 3, after: Uint8Array.of(0xff) }],
    ['a negative revision', { revision: -1, after: text.encode('a1') }],
    ['a fraction', { revision: 0.5, after: text.encode('a1') }],
    ['a revision that never was', { revision: 99, after: text.encode('a1') }],
  ])('with %s is 400', async (_, fields) => {
    expect(await outcome(await encodeCursor({ ...fields, groupId }, base))).toBe('400 invalid_request');
  });

  test.each([10, 2])('of a group that was deleted and created anew since (at revision %i) is 410', async (writes) => {
    const server = new TestServer();
    await server.fetch('POST', '/groups/g');
    for (const key of ['a', 'b', 'c', 'd']) await server.fetch('PUT', `/groups/g/kv/${key}`, { body: 'old' });
    const first = (await (await server.fetch('GET', '/groups/g/kv?limit=2')).json()) as Page;
    await server.fetch('DELETE', '/groups/g');
    await server.fetch('POST', '/groups/g');
    for (let i = 0; i < writes; i += 1) await server.fetch('PUT', `/groups/g/kv/x${i}`, { body: 'new' });
    const next = await server.outcome('GET', `/groups/g/kv?limit=2&cursor=${first.cursor}`);
    expect(next).toBe('410 revision_compacted');
  });

  test('of a revision that a stale peer has not reached is 503', async () => {
    const cursor = await encodeCursor({ revision: 99, after: text.encode('a1'), groupId }, base);
    expect(await outcome(cursor, '?consistency=stale&prefix=a')).toBe('503 no_leader');
  });

  test('of a revision that is compacted is 410, with the revision', async () => {
    const server = await serverWith('a');
    const result = { type: 'compacted', revision: 7 };
    server.peers.fate = ({ route }) =>
      route === 'client' ? { replies: [{ type: 'result', result, ageMs: 0 }] } : 'pass';
    const response = await server.fetch('GET', '/kv');
    expect([response.status, response.headers.get('Raft-Revision')]).toEqual([410, '7']);
    expect(await response.json()).toMatchObject({ code: 'revision_compacted' });
  });
});
