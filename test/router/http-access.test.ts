import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { unstable_readConfig } from 'wrangler';
import type { Env } from '../../src/router/env.ts';
import { parseSettings, SettingsError } from '../../src/router/settings.ts';
import { TestServer } from './http.ts';

describe('the token', () => {
  test.each([
    ['Bearer secret', '404 key_not_found'],
    ['bearer secret', '404 key_not_found'],
    ['BEARER   secret ', '404 key_not_found'],
    ['Bearer secret2', '401 unauthenticated'],
    ['Bearer secre', '401 unauthenticated'],
    ['Bearer Secret', '401 unauthenticated'],
    ['Bearer', '401 unauthenticated'],
    ['Bearer ', '401 unauthenticated'],
    ['secret', '401 unauthenticated'],
    ['Basic secret', '401 unauthenticated'],
    ['Bearer secret secret', '401 unauthenticated'],
    ['Bearersecret', '401 unauthenticated'],
    ['', '401 unauthenticated'],
    [undefined, '401 unauthenticated'],
  ])('%j: %s', async (authorization, expected) => {
    const server = new TestServer({ API_TOKEN: 'secret' });
    const headers: Record<string, string> = authorization === undefined ? {} : { Authorization: authorization };
    expect(await server.outcome('GET', '/kv/a', { headers })).toBe(expected);
    if (expected.startsWith('401')) expect(server.peers.calls).toEqual([]);
  });

  test.each(['/kv/a', '/kv/%FF', '/nothing', '/groups/!/kv', '/groups/g', '/cluster', '/metrics', '/chaos/1', '/'])(
    'is asked for before anything else is said about %s',
    async (path) => {
      const server = new TestServer({ API_TOKEN: 'secret', CHAOS: 'on' });
      const response = await server.fetch('POST', path);
      expect([response.status, response.headers.get('WWW-Authenticate')]).toEqual([401, 'Bearer']);
      expect(server.peers.calls).toEqual([]);
    },
  );

  test('is not needed for /healthz and preflights', async () => {
    const server = new TestServer({ API_TOKEN: 'secret' });
    expect(await server.outcome('GET', '/healthz')).toBe('200');
    expect(await server.outcome('OPTIONS', '/kv/a')).toBe('204');
  });

  test('when none is configured: open in local development, closed when deployed', async () => {
    expect(await new TestServer({ OPEN: 'on' }).outcome('GET', '/kv/a')).toBe('404 key_not_found');
    for (const OPEN of ['', 'off', 'true', '1']) {
      const headers = { Authorization: 'Bearer ' };
      expect(await new TestServer({ OPEN }).outcome('GET', '/kv/a', { headers })).toBe('401 unauthenticated');
      expect(await new TestServer({ OPEN, API_TOKEN: '' }).outcome('GET', '/kv/a')).toBe('401 unauthenticated');
    }
  });

  test('is needed where it is configured, open or not', async () => {
    expect(await new TestServer({ OPEN: 'on', API_TOKEN: 'x' }).outcome('GET', '/kv/a')).toBe('401 unauthenticated');
  });
});

describe('browsers of other origins', () => {
  const site = 'https://site.example';

  test.each(['/', '/kv/a', '/kv/%FF', '/groups/!!/kv', '/nothing', '/groups/never', '/chaos/1', '/healthz'])(
    'may ask first, whatever the path: %s',
    async (path) => {
      const server = new TestServer({ OPEN: '', CORS_ORIGIN: site });
      const response = await server.fetch('OPTIONS', path, { headers: { Origin: site } });
      expect(response.status).toBe(204);
      expect(response.headers.get('Access-Control-Allow-Origin')).toBe(site);
      expect(response.headers.get('Access-Control-Allow-Methods')).toBe('GET, HEAD, PUT, PATCH, DELETE, POST, OPTIONS');
      expect(response.headers.get('Access-Control-Allow-Headers')).toBe(
        'Authorization, Content-Type, If-Match, If-None-Match, Clerk-Id, Clerk-Seq, Clerk-Acked',
      );
      expect(response.headers.get('Vary')).toBe('Origin');
      expect(response.headers.get('Cache-Control')).toBe('no-store');
      expect(response.headers.get('X-Content-Type-Options')).toBe('nosniff');
      expect(server.peers.calls).toEqual([]);
    },
  );

  test.each([
    ['', site, null, null],
    [undefined, site, null, null],
    ['*', site, '*', 'Origin'],
    ['*', undefined, '*', 'Origin'],
    [site, site, site, 'Origin'],
    [site, 'https://other.example', null, 'Origin'],
    [site, undefined, null, 'Origin'],
  ])('CORS_ORIGIN %j, Origin %j: allowed %j', async (configured, origin, allowed, vary) => {
    const server = new TestServer(configured === undefined ? {} : { CORS_ORIGIN: configured });
    const headers: Record<string, string> = origin === undefined ? {} : { Origin: origin };
    for (const path of ['/kv/a', '/kv/%FF', '/cluster']) {
      const response = await server.fetch('GET', path, { headers });
      expect(response.headers.get('Access-Control-Allow-Origin')).toBe(allowed);
      expect(response.headers.get('Vary')).toBe(vary);
      expect(response.headers.get('Access-Control-Expose-Headers')).toBe(
        allowed === null ? null : 'ETag, Raft-Revision, Raft-Age-Ms, Clerk-Replayed, Retry-After',
      );
    }
  });
});

describe('settings', () => {
  const base = { PEERS: 'weur,enam,wnam' };

  test('have defaults', () => {
    expect(parseSettings(base)).toEqual({
      peers: ['weur', 'enam', 'wnam'],
      heartbeatMs: 125,
      electionTimeoutMs: 1000,
      quiesceAfterMs: 10_000,
      storageLimitBytes: 4_000_000_000,
      corsOrigin: null,
      apiToken: null,
      open: false,
      chaos: false,
      coalescing: true,
    });
  });

  test('of wrangler.toml are the defaults', () => {
    const { vars } = unstable_readConfig({ config: join(import.meta.dirname, '../../wrangler.toml') });
    expect(parseSettings(vars as unknown as Env)).toEqual({ ...parseSettings(base), peers: ['weur', 'enam', 'wnam'] });
  });

  test('COALESCING may be on or off', () => {
    expect(parseSettings({ ...base, COALESCING: 'on' }).coalescing).toBe(true);
    expect(parseSettings({ ...base, COALESCING: 'off' }).coalescing).toBe(false);
  });

  test.each([
    ['weur'],
    ['weur, enam ,wnam'],
    ['weur,weur,weur'],
    ['wnam,enam,weur,eeur,apac'],
    ['wnam,enam,weur,eeur,apac,oc,me'],
  ])('PEERS may be %j', (PEERS) => {
    expect(parseSettings({ PEERS }).peers.length).toBe(PEERS.split(',').length);
  });

  test.each<[Partial<Record<keyof Env, unknown>>, string]>([
    [{ PEERS: '' }, 'PEERS'],
    [{ PEERS: undefined }, 'PEERS'],
    [{ PEERS: 'weur,enam' }, 'PEERS'],
    [{ PEERS: 'weur,enam,wnam,' }, 'PEERS'],
    [{ PEERS: 'weur,enam,moon' }, 'PEERS'],
    [{ PEERS: 'weur,enam,WNAM' }, 'PEERS'],
    [{ PEERS: Array(9).fill('weur').join() }, 'PEERS'],
    [{ HEARTBEAT_MS: '0' }, 'HEARTBEAT_MS'],
    [{ HEARTBEAT_MS: '2e2' }, 'HEARTBEAT_MS'],
    [{ HEARTBEAT_MS: '200.5' }, 'HEARTBEAT_MS'],
    [{ HEARTBEAT_MS: 200 }, 'HEARTBEAT_MS'],
    [{ HEARTBEAT_MS: '-200' }, 'HEARTBEAT_MS'],
    [{ ELECTION_TIMEOUT_MS: '300' }, 'ELECTION_TIMEOUT_MS'],
    [{ ELECTION_TIMEOUT_MS: 'soon' }, 'ELECTION_TIMEOUT_MS'],
    [{ STORAGE_LIMIT_BYTES: '0' }, 'STORAGE_LIMIT_BYTES'],
    [{ STORAGE_LIMIT_BYTES: '99999999999' }, 'STORAGE_LIMIT_BYTES'],
    [{ CORS_ORIGIN: 'https://a.example/' }, 'CORS_ORIGIN'],
    [{ CORS_ORIGIN: 'a.example' }, 'CORS_ORIGIN'],
    [{ CORS_ORIGIN: 'https://a.example,https://b.example' }, 'CORS_ORIGIN'],
    [{ CORS_ORIGIN: 'null' }, 'CORS_ORIGIN'],
    [{ COALESCING: 'yes' }, 'COALESCING'],
    [{ COALESCING: true }, 'COALESCING'],
    [{ API_TOKEN: 'two words' }, 'API_TOKEN'],
    [{ API_TOKEN: 'trailing\n' }, 'API_TOKEN'],
  ])('%j is refused by name', async (variables, name) => {
    const env = { ...base, ...variables } as Partial<Env>;
    expect(() => parseSettings(env as Env)).toThrow(SettingsError);
    expect(() => parseSettings(env as Env)).toThrow(name);
    const server = new TestServer(env);
    for (const path of ['/kv/a', '/healthz', '/nothing']) {
      const { status, body } = await server.json('GET', path);
      expect([status, body]).toEqual([500, expect.objectContaining({ code: 'invalid_configuration' })]);
      expect(JSON.stringify(body)).toContain(name);
    }
  });

  test('secrets are never shown', () => {
    expect(() => parseSettings({ ...base, API_TOKEN: 'hidden secret' })).not.toThrow('hidden');
  });
});

describe('every reply', () => {
  test.each([
    ['GET', '/kv/a'],
    ['PUT', '/kv/a'],
    ['GET', '/kv/%FF'],
    ['GET', '/healthz'],
    ['GET', '/cluster'],
    ['GET', '/metrics'],
    ['OPTIONS', '/'],
    ['GET', '/nothing'],
    ['POST', '/kv/a'],
    ['DELETE', '/groups/g'],
  ])('is not stored and not sniffed: %s %s', async (method, path) => {
    for (const variables of [{}, { OPEN: '' }, { PEERS: '' }]) {
      const { headers } = await new TestServer(variables).fetch(method, path);
      expect(headers.get('Cache-Control')).toBe('no-store');
      expect(headers.get('X-Content-Type-Options')).toBe('nosniff');
    }
  });
});
