import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromBase64Url, toBase64, toBase64Url } from '../../src/router/base64.ts';
import { encodeCursor, MAX_CURSOR_CHARACTERS, parseCursor } from '../../src/router/cursor.ts';
import { type EntityTag, parseEntityTags, parseWriteCondition } from '../../src/router/entity-tag.ts';
import { Problem } from '../../src/router/problem.ts';
import { parseTarget } from '../../src/router/target.ts';

const strong = (opaque: string): EntityTag => ({ weak: false, opaque });
const weak = (opaque: string): EntityTag => ({ weak: true, opaque });

describe('lists of entity tags (RFC 9110, sections 5.6.1 and 8.8.3)', () => {
  test.each([
    ['"1"', [strong('1')]],
    [' "1" ', [strong('1')]],
    ['"1","2"', [strong('1'), strong('2')]],
    ['"1" , \t"2"', [strong('1'), strong('2')]],
    ['W/"1"', [weak('1')]],
    ['W/"1", "2"', [weak('1'), strong('2')]],
    ['""', [strong('')]],
    ['"a,b"', [strong('a,b')]],
    ['"a\\b"', [strong('a\\b')]],
    ['"\u00e9"', [strong('\u00e9')]],
    [',"1",,', [strong('1')]],
    [' , "1"', [strong('1')]],
    ['*', '*'],
    [' * ', '*'],
  ])('%j is well-formed', (header, expected) => {
    expect(parseEntityTags(header)).toEqual(expected);
  });

  test.each([
    '',
    ' ',
    ',',
    ', ,',
    '1',
    '"1',
    '1"',
    '"1""2"',
    '"1" "2"',
    '"1";"2"',
    'w/"1"',
    'W / "1"',
    'W/',
    'W/1',
    '*,"1"',
    '"1",*',
    '**',
    '"a b"',
    '"a\tb"',
    '"\x7f"',
    "'1'",
    '"1"\n',
  ])('%j is not', (header) => {
    expect(parseEntityTags(header)).toBe(null);
  });

  test('take no time that grows with the square of their blanks', () => {
    const header = `,${' \t'.repeat(8000)}x`;
    const start = process.cpuUsage();
    for (let i = 0; i < 20; i += 1) expect(parseEntityTags(header)).toBe(null);
    expect(process.cpuUsage(start).user / 1000, 'ms').toBeLessThan(500);
  });

  test('are bounded', () => {
    expect(parseEntityTags(Array(1000).fill('"1"').join())).toHaveLength(1000);
    expect(parseEntityTags(Array(2000).fill('"1"').join())).toBe(null);
    expect(parseEntityTags(`"${'x'.repeat(20_000)}"`)).toBe(null);
    expect(parseEntityTags(','.repeat(16_000))).toBe(null);
  });

  test('a list is read back as it was written (property)', () => {
    const opaque = fc.string({ unit: fc.constantFrom(...'!#$09azAZ~,*/\\é') });
    const tag = fc.record({ weak: fc.boolean(), opaque });
    const space = fc.constantFrom('', ' ', '\t', '  ');
    fc.assert(
      fc.property(fc.array(fc.tuple(tag, space, space), { minLength: 1, maxLength: 20 }), (list) => {
        const header = list.map(([{ weak: w, opaque: o }, a, b]) => `${a}${w ? 'W/' : ''}"${o}"${b}`).join(',');
        expect(parseEntityTags(header)).toEqual(list.map(([one]) => one));
      }),
    );
  });
});

describe('conditions of writes', () => {
  test.each([
    ['"2", "1", "2"', [1, 2]],
    ['W/"1", "01", "x", "", "0", "-1", "1.0", "9007199254740992", "99999999999999999999"', []],
    ['"9007199254740991"', [9007199254740991]],
  ])('If-Match: %s', (header, revisions) => {
    expect(parseWriteCondition(header, null)).toEqual({ type: 'match', revisions });
  });

  test('have at most 64 revisions', () => {
    const tags = (count: number) => Array.from({ length: count }, (_, i) => `"${i + 1}"`).join();
    expect(parseWriteCondition(tags(64), null)).toMatchObject({ type: 'match' });
    expect(() => parseWriteCondition(tags(65), null)).toThrow(Problem);
  });
});

describe('what a URL is about', () => {
  const route = (path: string) => parseTarget(`https://edge.example${path}`).route;

  test.each([
    ['/kv/a?x#f', { name: 'kv', key: 'a' }],
    ['/kv#f', { name: 'kv', key: null }],
    ['/kv?key=/kv/b', { name: 'kv', key: null }],
    ['/kv/a%3Fb', { name: 'kv', key: 'a?b' }],
    ['/kv/a%25', { name: 'kv', key: 'a%' }],
    ['/kv/\u00e9', { name: 'kv', key: '\u00e9' }],
    ['/chaos/', { name: 'chaos', peer: '' }],
    ['/groups/g/chaos/%31', { name: 'chaos', peer: '1' }],
    ['/healthz', { name: 'healthz' }],
    ['/groups/g/healthz', { name: 'nothing' }],
    ['/groups/g', { name: 'group' }],
    ['/groups/g//kv', { name: 'nothing' }],
  ])('%s', (path, expected) => {
    expect(route(path)).toEqual(expected);
  });

  test.each([
    ['http://localhost:8787/kv/a', 'kv'],
    ['http://[::1]:80/kv/a', 'kv'],
    ['https://user@host/kv/a', 'kv'],
    ['https://host', 'nothing'],
    ['https://host?/kv/a', 'nothing'],
  ])('the origin does not matter: %s', (url, name) => {
    expect(parseTarget(url).route.name).toBe(name);
  });

  test('every key survives the path (property)', () => {
    const key = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 50 })
      .filter((text) => text !== '.' && text !== '..');
    fc.assert(
      fc.property(key, (text) => {
        expect(route(`/kv/${encodeURIComponent(text)}`)).toEqual({ name: 'kv', key: text });
      }),
    );
  });

  test('anything at all is parsed (property)', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(parseTarget(text)).toBeDefined();
        expect(parseTarget(`https://x/${text}`)).toBeDefined();
        expect(parseTarget(`https://x/groups/${text}`)).toBeDefined();
      }),
    );
  });
});

describe('base64', () => {
  test('is that of everybody else (property)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20_000 }), (bytes) => {
        expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
        expect(toBase64Url(bytes)).toBe(Buffer.from(bytes).toString('base64url'));
        expect(fromBase64Url(toBase64Url(bytes))).toEqual(new Uint8Array(bytes));
      }),
      { numRuns: 50 },
    );
  });

  test.each(['A', 'AB=', 'AB', 'A+', 'A/', 'AA AA', 'é'])('%j is not what we make', (text) => {
    expect(fromBase64Url(text)).toBe(null);
  });
});

describe('cursors', () => {
  const listing = { group: 'default', prefix: new Uint8Array(), encoding: 'utf8' };

  test('come back as they went, and fit (property)', async () => {
    const key = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 200 })
      .map((text) => new TextEncoder().encode(text));
    await fc.assert(
      fc.asyncProperty(key, fc.nat(), async (after, revision) => {
        const fields = { revision, after, groupId: 'a'.repeat(32) };
        const cursor = await encodeCursor(fields, listing);
        expect(await parseCursor(cursor, listing)).toEqual(fields);
      }),
      { numRuns: 50 },
    );
    const after = new TextEncoder().encode('x'.repeat(1024));
    const longest = { revision: Number.MAX_SAFE_INTEGER, after, groupId: 'a'.repeat(64) };
    expect((await encodeCursor(longest, listing)).length).toBeLessThanOrEqual(MAX_CURSOR_CHARACTERS);
  });

  test('that we did not make are 400 (property)', async () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.base64String().map((s) => s.replaceAll('=', '')),
    );
    await fc.assert(
      fc.asyncProperty(text, async (cursor) => {
        await expect(parseCursor(cursor, listing)).rejects.toMatchObject({ code: 'invalid_request' });
      }),
      { numRuns: 200 },
    );
  });
});
