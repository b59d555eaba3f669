/**
 * What the groups must hold, from the accepted requests alone: every reply is held against it. Targets are read here anew, and
 * only of requests that were accepted: what cannot be read must not have been.
 */
import { expect } from 'vitest';
import type { HttpInput } from './http-input.ts';
import { type HttpReply, textOf } from './reply-rules.ts';

interface Item {
  readonly value: Buffer;
  readonly modRevision: number;
  readonly version: number;
}

export class ModelGroup {
  revision = 0;
  readonly items = new Map<string, Item>();

  /** In the order of their bytes. */
  keys(prefix: string): string[] {
    const keys = [...this.items.keys()].filter((key) => Buffer.from(key).indexOf(prefix) === 0);
    return keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }
}

interface Meaning {
  readonly group: string;
  readonly path: string;
  readonly query: ReadonlyMap<string, string>;
  /** Null: the request names none. */
  readonly key: string | null;
}

function meaningOf(target: string): Meaning {
  const [whole = ''] = target.split('#', 1);
  const mark = whole.indexOf('?');
  const path = mark < 0 ? whole : whole.slice(0, mark);
  const [, group, inGroup] = /^\/groups\/([^/]*)(.*)$/s.exec(path) ?? [null, 'default', path];
  const query = new Map<string, string>();
  // Other routes do not look at it.
  const hasQuery = mark >= 0 && inGroup?.startsWith('/kv');
  for (const pair of hasQuery ? whole.slice(mark + 1).split('&') : []) {
    const [name = '', ...rest] = pair.split('=').map((text) => text.replaceAll('+', ' '));
    query.set(decodeURIComponent(name), decodeURIComponent(rest.join('=')));
  }
  const segment = inGroup?.startsWith('/kv/') ? inGroup.slice('/kv/'.length) : null;
  const key = segment === null ? (query.get('key') ?? null) : decodeURIComponent(segment);
  return { group: decodeURIComponent(group ?? ''), path: inGroup ?? '', query, key };
}

export class StoreModel {
  readonly groups = new Map<string, ModelGroup>([['default', new ModelGroup()]]);

  /** `code`: of a problem; null: the request was accepted. Fails if the reply says what is not so. */
  check(input: HttpInput, reply: HttpReply, code: string | null): void {
    if (code === 'key_not_found') return this.#checkRead(input, reply);
    if (code === 'precondition_failed') return this.#checkRefusal(input, reply);
    if (code !== null || input.method === 'OPTIONS') return;
    const meaning = meaningOf(input.target);
    const { group, path, key } = meaning;
    if (path === '') return this.#checkLifecycle(input.method, group, reply);
    if (!path.startsWith('/kv')) return;
    const held = this.groups.get(group);
    if (held === undefined) throw new Error(`a group that was never created answers: ${input.target}`);
    if (input.method === 'GET' || input.method === 'HEAD') {
      if (key === null) return checkListing(held, meaning, input.method, reply);
      return this.#checkRead(input, reply);
    }
    expect(key, 'a write has a key').not.toBeNull();
    expect(Buffer.byteLength(key ?? '')).toBeGreaterThan(0);
    expect(Buffer.byteLength(key ?? '')).toBeLessThanOrEqual(1024);
    if (input.method === 'DELETE') return checkDelete(held, key ?? '', reply);
    checkWrite(held, key ?? '', input, reply);
  }

  #checkLifecycle(method: string, group: string, reply: HttpReply): void {
    const exists = this.groups.has(group);
    if (method === 'POST') {
      // `default` is there, or comes into being by this very request.
      if (group !== 'default') expect(reply.status).toBe(exists ? 200 : 201);
      if (!exists) this.groups.set(group, new ModelGroup());
      return;
    }
    expect([method, reply.status]).toEqual(['DELETE', 200]);
    if (group !== 'default') expect(JSON.parse(textOf(reply)).deleted).toBe(exists);
    this.groups.delete(group);
    if (group === 'default') this.groups.set(group, new ModelGroup());
  }

  #checkRead(input: HttpInput, reply: HttpReply): void {
    const { group, key, query } = meaningOf(input.target);
    const held = this.groups.get(group);
    if (held === undefined) throw new Error(`a group that was never created is read: ${input.target}`);
    // A follower may be behind.
    if (query.get('consistency') === 'stale') return;
    expect(reply.header('raft-revision')).toBe(String(held.revision));
    const item = held.items.get(key ?? '');
    if (reply.status === 404) return expect(item).toBeUndefined();
    expect(item, 'the key that was found').toBeDefined();
    expect(reply.header('etag')).toBe(`"${item?.modRevision}"`);
    if (reply.status === 200 && input.method === 'GET') expect(item?.value.equals(reply.body)).toBe(true);
  }

  #checkRefusal(input: HttpInput, reply: HttpReply): void {
    const conditions = input.headers.filter(([name]) => /^if-(none-)?match$/i.test(name));
    expect(conditions.length, 'a condition that failed').toBeGreaterThan(0);
    if (reply.header('clerk-replayed') === 'true') return;
    const { group, key } = meaningOf(input.target);
    const item = this.groups.get(group)?.items.get(key ?? '');
    expect(reply.header('etag')).toBe(item === undefined ? null : `"${item.modRevision}"`);
  }
}

function checkWrite(held: ModelGroup, key: string, input: HttpInput, reply: HttpReply): void {
  const { revision, version } = JSON.parse(textOf(reply));
  expect(reply.header('etag')).toBe(`"${revision}"`);
  if (reply.header('clerk-replayed') === 'true') return expect(revision).toBeLessThanOrEqual(held.revision);
  const item = held.items.get(key);
  expect([reply.status, revision, version]).toEqual([item ? 200 : 201, held.revision + 1, (item?.version ?? 0) + 1]);
  const conditions = input.headers.filter(([name]) => /^if-(none-)?match$/i.test(name));
  const [[name] = ['']] = conditions;
  const tags = conditions.map(([, text]) => text).join(',');
  if (/^if-none-match$/i.test(name)) expect(item).toBeUndefined();
  if (/^if-match$/i.test(name)) expect(item).toBeDefined();
  if (/^if-match$/i.test(name) && tags.trim() !== '*') expect(tags).toContain(`"${item?.modRevision}"`);
  const given = Buffer.from(input.body ?? []);
  const value = input.method === 'PUT' ? given : Buffer.concat([item?.value ?? Buffer.alloc(0), given]);
  expect(value.byteLength).toBeLessThanOrEqual(1_048_576);
  held.revision = revision;
  held.items.set(key, { value, modRevision: revision, version });
}

function checkDelete(held: ModelGroup, key: string, reply: HttpReply): void {
  const { revision, deleted } = JSON.parse(textOf(reply));
  if (reply.header('clerk-replayed') === 'true') return;
  const existed = held.items.delete(key);
  if (existed) held.revision += 1;
  expect([deleted, revision]).toEqual([existed ? 1 : 0, held.revision]);
}

function checkListing(held: ModelGroup, { query }: Meaning, method: string, reply: HttpReply): void {
  if (query.get('consistency') === 'stale' || method === 'HEAD') return;
  expect(reply.header('raft-revision')).toBe(String(held.revision));
  const { items, cursor, revision } = JSON.parse(textOf(reply));
  // A page in the middle shows the past.
  if (query.has('cursor')) return;
  expect(revision).toBe(held.revision);
  const limit = Number(query.get('limit') ?? 100);
  const expected = held.keys(query.get('prefix') ?? '');
  expect(items.length).toBeLessThanOrEqual(limit);
  expect(items.length).toBeGreaterThanOrEqual(Math.min(1, expected.length));
  expect(items.map(({ key }: { key: string }) => key)).toEqual(expected.slice(0, items.length));
  if (cursor === null) expect(items.length).toBe(expected.length);
  for (const item of items) {
    const { value, modRevision, version } = held.items.get(item.key) as Item;
    expect([item.modRevision, item.version]).toEqual([modRevision, version]);
    const bytes = query.get('encoding') === 'base64' ? item.value : item.valueBase64;
    expect(bytes === undefined ? Buffer.from(item.value) : Buffer.from(bytes, 'base64')).toEqual(value);
  }
}
