/** http-api.md, "Groups" (keys) and "Keys": one key, from outside. */
import { request as httpRequest } from 'node:http';
import { describe, expect, test } from 'vitest';
import { ask, fresh, listAll, revisionOf } from './contract.ts';
import { runtimeForTests } from './edge-runtime.ts';

const context = runtimeForTests();
const MAX_VALUE_BYTES = 1_048_576;
const MAX_KEY_BYTES = 1024;

describe('one key', () => {
  test('PUT creates with 201 and replaces with 200, tells revision and version, and the ETag is the revision', async () => {
    const { edge } = context;
    const path = `/kv/${fresh('key')}`;
    const before = await revisionOf(edge);
    const created = await ask(edge, 'PUT', path, { body: 'one' });
    expect(created.outcome).toBe('201');
    expect(created.json).toEqual({ revision: before + 1, version: 1 });
    expect(created.headers.etag).toBe(`"${before + 1}"`);
    expect(created.headers['content-type']).toMatch(/^application\/json\b/);
    const replaced = await ask(edge, 'PUT', path, { body: 'two' });
    expect(replaced.outcome).toBe('200');
    expect(replaced.json).toEqual({ revision: before + 2, version: 2 });
    expect(replaced.headers.etag).toBe(`"${before + 2}"`);
  });

  test('GET gives the bytes, whatever they are, with ETag and Raft-Revision', async () => {
    const { edge } = context;
    const path = `/kv/${fresh('key')}`;
    const value = Uint8Array.from({ length: 256 }, (_, i) => i);
    const { revision } = (await ask(edge, 'PUT', path, { body: value })).json;
    await ask(edge, 'PUT', `/kv/${fresh('other')}`, { body: 'moves the store on' });
    const reply = await ask(edge, 'GET', path);
    expect(reply.outcome).toBe('200');
    expect([...reply.body]).toEqual([...value]);
    expect(reply.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      etag: `"${revision}"`,
      'raft-revision': String(revision + 1),
    });
    expect(reply.headers['raft-age-ms']).toBeUndefined();
  });

  test('HEAD is GET without the body, on a key and on none', async () => {
    const { edge } = context;
    const path = `/kv/${fresh('key')}`;
    await ask(edge, 'PUT', path, { body: 'one' });
    for (const each of [path, '/kv/missing', '/kv']) {
      const [get, head] = [await ask(edge, 'GET', each), await ask(edge, 'HEAD', each)];
      expect(head.status).toBe(get.status);
      expect(head.body.length).toBe(0);
      for (const name of ['etag', 'raft-revision', 'content-type', 'cache-control']) {
        expect(head.headers[name], name).toBe(get.headers[name]);
      }
    }
  });

  test('GET of a missing key is 404 key_not_found with Raft-Revision', async () => {
    const { edge } = context;
    const revision = await revisionOf(edge);
    const reply = await ask(edge, 'GET', `/kv/${fresh('key')}`);
    expect(reply.outcome).toBe('404 key_not_found');
    expect(reply.headers['raft-revision']).toBe(String(revision));
    expect(reply.headers.etag).toBeUndefined();
  });

  test('PATCH creates with 201, appends with 200, and answers as PUT does', async () => {
    const { edge } = context;
    const path = `/kv/${fresh('key')}`;
    const before = await revisionOf(edge);
    const created = await ask(edge, 'PATCH', path, { body: 'one,' });
    expect([created.outcome, created.json]).toEqual(['201', { revision: before + 1, version: 1 }]);
    const appended = await ask(edge, 'PATCH', path, { body: 'two' });
    expect([appended.outcome, appended.json]).toEqual(['200', { revision: before + 2, version: 2 }]);
    expect(appended.headers.etag).toBe(`"${before + 2}"`);
    expect((await ask(edge, 'GET', path)).text).toBe('one,two');
  });

  test('DELETE tells how many it deleted; a DELETE of nothing does not move the revision', async () => {
    const { edge } = context;
    const path = `/kv/${fresh('key')}`;
    const { revision } = (await ask(edge, 'PUT', path, { body: 'one' })).json;
    const deleted = await ask(edge, 'DELETE', path);
    expect([deleted.outcome, deleted.json]).toEqual(['200', { revision: revision + 1, deleted: 1 }]);
    const again = await ask(edge, 'DELETE', path);
    expect([again.outcome, again.json]).toEqual(['200', { revision: revision + 1, deleted: 0 }]);
    expect((await ask(edge, 'GET', path)).outcome).toBe('404 key_not_found');
    const created = await ask(edge, 'PUT', path, { body: 'two' });
    expect([created.outcome, created.json]).toEqual(['201', { revision: revision + 2, version: 1 }]);
  });

  test('PUT and PATCH of zero bytes are writes', async () => {
    const { edge } = context;
    const path = `/kv/${fresh('key')}`;
    const { revision } = (await ask(edge, 'PUT', path)).json;
    expect((await ask(edge, 'PATCH', path, { body: '' })).json).toEqual({ revision: revision + 1, version: 2 });
    const reply = await ask(edge, 'GET', path);
    expect([reply.outcome, reply.body.length, reply.headers.etag]).toEqual(['200', 0, `"${revision + 1}"`]);
  });
});

describe('sizes', () => {
  test('a value of 1 MiB works, and comes back as it was', async () => {
    const { edge } = context;
    const path = `/kv/${fresh('large')}`;
    const value = Buffer.alloc(MAX_VALUE_BYTES, 'The quick brown fox. ');
    expect((await ask(edge, 'PUT', path, { body: value })).outcome).toBe('201');
    const reply = await ask(edge, 'GET', path);
    expect(reply.body.equals(value)).toBe(true);
  });

  test.each(['PUT', 'PATCH'])('%s of a byte more is 413 value_too_large, and writes nothing', async (method) => {
    const { edge } = context;
    const key = fresh('large');
    const revision = await revisionOf(edge);
    const options = { body: Buffer.alloc(MAX_VALUE_BYTES + 1), agent: false } as const;
    expect((await ask(edge, method, `/kv/${key}`, options)).outcome).toBe('413 value_too_large');
    expect((await ask(edge, 'GET', `/kv/${key}`)).outcome).toBe('404 key_not_found');
    expect(await revisionOf(edge)).toBe(revision);
  });

  test('nor does it help not to say how long the body is', async () => {
    const { edge } = context;
    const path = `/kv/${fresh('large')}`;
    const status = await new Promise<number>((resolve, reject) => {
      const { hostname: host, port } = edge.origin;
      const outgoing = httpRequest({ host, port, method: 'PUT', path, agent: false }, (incoming) => {
        incoming.resume();
        resolve(incoming.statusCode ?? 0);
      });
      outgoing.on('error', reject);
      outgoing.write(Buffer.alloc(MAX_VALUE_BYTES));
      outgoing.end('x');
    });
    expect(status).toBe(413);
    expect((await ask(edge, 'GET', path)).outcome).toBe('404 key_not_found');
  });

  test('an append up to 1 MiB works; past it: 413, nothing changed', async () => {
    const { edge } = context;
    const path = `/kv/${fresh('large')}`;
    await ask(edge, 'PUT', path, { body: Buffer.alloc(MAX_VALUE_BYTES - 1) });
    expect((await ask(edge, 'PATCH', path, { body: 'x' })).outcome).toBe('200');
    const revision = await revisionOf(edge);
    expect((await ask(edge, 'PATCH', path, { body: 'y' })).outcome).toBe('413 value_too_large');
    const reply = await ask(edge, 'GET', path);
    expect([reply.body.length, reply.body.at(-1), reply.headers['raft-revision']]).toEqual([
      MAX_VALUE_BYTES,
      0x78,
      String(revision),
    ]);
  });

  test.each([
    ['ASCII', 'k'.repeat(MAX_KEY_BYTES)],
    ['two bytes each', 'é'.repeat(MAX_KEY_BYTES / 2)],
    ['four bytes each', '🍏'.repeat(MAX_KEY_BYTES / 4)],
  ])('a key of 1,024 bytes works, a byte more is 413 key_too_long: %s', async (_, key) => {
    const { edge } = context;
    for (const spell of [(text: string) => `/kv/${encodeURIComponent(text)}`, byQuery]) {
      expect((await ask(edge, 'PUT', spell(key), { body: 'v' })).status).toBeLessThan(300);
      expect((await ask(edge, 'GET', spell(key))).text).toBe('v');
      for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE']) {
        const reply = await ask(edge, method, spell(`${key}x`));
        expect(reply.status, method).toBe(413);
        if (method !== 'HEAD') expect(reply.json.code).toBe('key_too_long');
      }
    }
  });
});

const byQuery = (key: string): string => `/kv?key=${encodeURIComponent(key)}`;

describe('which key is meant', () => {
  test.each([
    ['/kv/%61', 'a'],
    ['/kv/a%2Fb', 'a/b'],
    ['/kv/%2F', '/'],
    ['/kv/a%2f%2fb', 'a//b'],
    ['/kv/a+b', 'a+b'],
    ['/kv/a%20b', 'a b'],
    ['/kv/%0A', '\n'],
    ['/kv/line%0D%0Aline', 'line\r\nline'],
    ['/kv/%00', '\0'],
    ['/kv/a%00b', 'a\0b'],
    ['/kv/%25', '%'],
    ['/kv/%2525', '%25'],
    ['/kv/%3Fx', '?x'],
    ['/kv/%23x', '#x'],
    ['/kv/..a', '..a'],
    ['/kv/...', '...'],
    ['/kv/a..', 'a..'],
    ['/kv/a%2F..%2Fb', 'a/../b'],
    ['/kv/a%5Cb', 'a\\b'],
    ['/kv/%22%27%3C%3E', '"\'<>'],
    ['/kv/a;v=1', 'a;v=1'],
    ['/kv/a=b&c', 'a=b&c'],
    ["/kv/!$&'()*,:@-._~", "!$&'()*,:@-._~"],
    ['/kv/%F0%9F%8D%8F', '🍏'],
    ['/kv/%F0%9F%91%A8%E2%80%8D%F0%9F%91%A9%E2%80%8D%F0%9F%91%A7', '👨‍👩‍👧'],
    ['/kv/%EF%BB%BFa', '\uFEFFa'],
    ['/kv/%EF%BF%BD', '\uFFFD'],
    ['/kv/e%CC%81', 'e\u0301'],
    ['/kv/%F4%8F%BF%BF', '\u{10FFFF}'],
    ['/kv?key=a%2Fb%3Fc', 'a/b?c'],
    ['/kv?key=a+b', 'a b'],
    ['/kv?key=a%2Bb', 'a+b'],
    ['/kv?key=.', '.'],
    ['/kv?key=..', '..'],
    ['/kv?key=/', '/'],
    ['/kv?key=a=b', 'a=b'],
    ['/kv?key=%00', '\0'],
    ['/kv?key=%0A', '\n'],
    ['/kv?key=%F0%9F%8D%8F', '🍏'],
    ['/kv?%6Bey=%61', 'a'],
    ['/kv?unknown=1&key=u&x&&y=%C3%A9', 'u'],
  ])('%s is %j', async (path, key) => {
    const { edge } = context;
    await ask(edge, 'DELETE', byQuery(key));
    const value = fresh('value');
    expect((await ask(edge, 'PUT', path, { body: value })).outcome).toBe('201');
    expect((await ask(edge, 'GET', path)).text).toBe(value);
    expect((await ask(edge, 'GET', byQuery(key))).text).toBe(value);
    const listed = await listAll(edge, `limit=1000&prefix=${encodeURIComponent(key)}`);
    expect(listed.find((item) => item.key === key)).toMatchObject({ value, version: 1 });
    expect((await ask(edge, 'DELETE', path)).json.deleted).toBe(1);
  });

  test('a key is what its bytes are: nothing is normalized, folded or trimmed', async () => {
    const { edge } = context;
    const keys = ['é', 'e\u0301', 'É', ' x', 'x', 'x ', 'x\0', '\uFEFFx', '%78', 'x/', '/x', '//x', './x'];
    for (const key of keys) await ask(edge, 'PUT', byQuery(key), { body: JSON.stringify(key) });
    for (const key of keys) expect((await ask(edge, 'GET', byQuery(key))).text).toBe(JSON.stringify(key));
  });
});

describe('stale reads', () => {
  test.each([
    ['GET', '', {}, '200'],
    ['HEAD', '', {}, '200'],
    ['GET', '-missing', {}, '404 key_not_found'],
    ['GET', '', { 'If-None-Match': '*' }, '304'],
  ])('%s of a key%s with %j: Raft-Age-Ms and Raft-Revision', async (method, suffix, headers, outcome) => {
    const { edge } = context;
    await ask(edge, 'PUT', '/kv/stale', { body: 'v' });
    await edge.whole();
    const reply = await ask(edge, method, `/kv/stale${suffix}?consistency=stale`, { headers });
    expect(reply.outcome).toBe(outcome);
    expect(reply.headers['raft-age-ms']).toMatch(/^[0-9]+$/);
    expect(reply.headers['raft-revision']).toBe(String(await revisionOf(edge)));
  });

  test('a listing may be stale too, and linearizable is the default', async () => {
    const { edge } = context;
    expect((await ask(edge, 'GET', '/kv?consistency=stale')).headers['raft-age-ms']).toMatch(/^[0-9]+$/);
    for (const query of ['', '?consistency=linearizable']) {
      const reply = await ask(edge, 'GET', `/kv${query}`);
      expect([reply.outcome, reply.headers['raft-age-ms']]).toEqual(['200', undefined]);
    }
  });
});
