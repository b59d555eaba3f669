/**
 * What peers reply to a router, malformed: the app over fake peers with the real key-value store behind them, on simulated time. Every
 * request is answered in time and as the contract says, nothing is told that no valid reply said, and a write is said to be done, or
 * not done, only if that is true. Longer, or again: see test/attack/runs.ts.
 */
import fc from 'fast-check';
import { afterAll, beforeEach, expect, test } from 'vitest';
import type { Answer } from '../../src/kv/commands.ts';
import { decodeBody } from '../../src/peer/protocol.ts';
import { createApp } from '../../src/router/app.ts';
import type { Env } from '../../src/router/env.ts';
import { type Loose, pick } from '../attack/bend.ts';
import { checkReply, type HttpReply, textOf } from '../attack/reply-rules.ts';
import { runs, seed, timeoutOf } from '../attack/runs.ts';
import { Tally } from '../attack/tally.ts';
import { digestAtOnce } from './digest-at-once.ts';
import { FakeClock } from './fake-clock.ts';
import { FakePeers, members } from './fake-peers.ts';
import { MALFORMED } from './malformed-replies.ts';
import { HINTS_OF_THREE, simulatedPlatform } from './simulated-router.ts';

const DEADLINE_MS = 10_000;
const tally = new Tally();
afterAll(() => tally.print(`Peers' replies to a router, seed ${seed}`));

beforeEach(digestAtOnce);

/** Of the calls, one after the other. */
interface Manners {
  readonly kinds: readonly string[];
  readonly draw: number;
}

class AttackingPeers extends FakePeers {
  manners: Manners = { kinds: ['honest'], draw: 0 };
  #calls = 0;

  override async call(object: string, hint: string, route: string, body: Uint8Array): Promise<Uint8Array> {
    const { kinds, draw } = this.manners;
    const number = this.#calls;
    this.#calls += 1;
    const kind = pick(kinds, number);
    tally.note(route, kind, MALFORMED[kind] === undefined ? 'usable' : 'malformed');
    if (kind === 'lost') throw new Error('unreachable');
    if (kind === 'silent') return new Promise(() => {});
    const bend = MALFORMED[kind];
    if (bend === undefined) return super.call(object, hint, route, body);
    const { requests = [] } = decodeBody(body) as Loose;
    // It has done what it was asked, or not; where others' replies are sound, they must be true.
    const isDone = requests.length !== 1 || (draw + number) % 2 === 0;
    const right = isDone
      ? decodeBody(await super.call(object, hint, route, body))
      : { view: this.view(object), replies: requests.map(claimOf) };
    return bend(right, draw + 31 * number);
  }

  /** Of the group `default`; null: there is no such key. */
  heldAt(key: string): string | null {
    const store = this.objects.get('default/1.1')?.store;
    const answer = store?.query({ type: 'get', key: new TextEncoder().encode(key) }) as Answer | undefined;
    return answer?.type === 'value' ? Buffer.from(answer.item.value).toString() : null;
  }
}

/** What it would say, had it done it. */
function claimOf({ type, command, query }: Loose): Loose {
  const page = { type: 'page', items: [], more: false, nextAfter: null, revision: 1, storeRevision: 1 };
  const read = query?.type === 'list' ? page : { type: 'missing', revision: 1 };
  const deleted = { type: 'deleted', revision: 1, deleted: 1, replayed: false };
  const written =
    command?.op === 'delete' ? deleted : { type: 'written', created: true, revision: 1, version: 1, replayed: false };
  return { type: 'result', result: type === 'query' ? read : written, ageMs: type === 'query' ? 1 : null };
}

type Verb = 'PUT' | 'PATCH' | 'DELETE' | 'GET' | 'HEAD';

interface KeyRequest {
  readonly verb: Verb;
  readonly query: string;
  readonly isClerk: boolean;
}

/** An app over attacking peers, and one request after the other or a few at once, each judged by what the store holds. */
class Attack {
  readonly peers = new AttackingPeers();
  readonly #clock = new FakeClock();
  readonly #app = createApp(() => simulatedPlatform(this.#clock, this.peers));
  readonly #env = { PEERS: HINTS_OF_THREE.join(), OPEN: 'on', CHAOS: 'on' } as Env;
  #written = 0;

  constructor(isFounded: boolean) {
    if (!isFounded) return;
    this.peers.found('default', members(...HINTS_OF_THREE));
    for (const key of STATIC_KEYS) this.peers.write('default', key, `of ${key}`);
  }

  /** They are under way together. */
  async all(requests: readonly (() => Promise<void>)[]): Promise<void> {
    await this.#clock.until(Promise.all(requests.map((request) => request())));
  }

  async #fetch(method: string, path: string, init: { headers?: Record<string, string>; body?: string } = {}) {
    const startMs = this.#clock.nowMs;
    const request = new Request(`https://edge.example${path}`, { method, ...init });
    const response = await this.#app.fetch(request, this.#env);
    const body = new Uint8Array(await response.arrayBuffer());
    expect(this.#clock.nowMs - startMs, `${method} ${path}`).toBeLessThanOrEqual(DEADLINE_MS);
    const reply: HttpReply = { status: response.status, header: (name) => response.headers.get(name), body };
    const code = checkReply(method, reply);
    tally.note(`HTTP ${method} ${path.replace(/\/k\d.*/, '/{key}')}`, 'request', reply.status);
    return { reply, code };
  }

  /** Nobody else touches the key meanwhile. */
  async key(key: string, { verb, query, isClerk }: KeyRequest): Promise<void> {
    this.#written += 1;
    const token = `<${this.#written}>`;
    const before = this.peers.heldAt(key);
    const clerk = { 'Clerk-Id': key, 'Clerk-Seq': String(this.#written), 'Clerk-Acked': '0' };
    const isWrite = verb !== 'GET' && verb !== 'HEAD';
    const init = {
      headers: isWrite && isClerk ? clerk : {},
      ...(verb === 'PUT' || verb === 'PATCH' ? { body: token } : {}),
    };
    const { reply, code } = await this.#fetch(verb, `/kv/${key}${query}`, init);
    const after = this.peers.heldAt(key);
    const done = { PUT: token, PATCH: (before ?? '') + token, DELETE: null, GET: before, HEAD: before }[verb];
    if (code === null) expect(after, `${verb} is done`).toBe(done);
    else if (code === 'outcome_unknown') expect([before, done], `${verb} is done once, or not`).toContain(after);
    else expect(after, `${verb} is ${code}: nothing was done`).toBe(before);
    if (verb === 'GET' && code === null) expect(textOf(reply)).toBe(before);
    if (verb === 'GET' && code === 'key_not_found') expect(before).toBeNull();
  }

  async list(query: string): Promise<void> {
    const { reply, code } = await this.#fetch('GET', `/kv?prefix=static${query}`);
    if (code !== null) return;
    const shown = JSON.parse(textOf(reply)).items.map(({ key, value }: Loose) => [key, value]);
    const held = STATIC_KEYS.map((key) => [key, this.peers.heldAt(key)]).filter(([, value]) => value !== null);
    expect(shown).toEqual(query === '&limit=1' ? held.slice(0, 1) : held);
  }

  async lifecycle(method: 'POST' | 'DELETE'): Promise<void> {
    const { reply, code } = await this.#fetch(method, '/groups/g');
    if (code !== null) return;
    const objects = [...this.peers.objects].filter(([name]) => name.startsWith('g/'));
    const founded = objects.filter(([, { founding }]) => !founding).length;
    if (method === 'DELETE') expect(objects).toEqual([]);
    // Of a deletion that broke off, peer 1 is left.
    else expect(founded).toBeGreaterThanOrEqual(reply.status === 201 ? 3 : 1);
  }

  async other([method, path]: readonly [string, string]): Promise<void> {
    const isFault = path.startsWith('/chaos');
    await this.#fetch(method, path, isFault ? { body: '{"action":"heal"}' } : {});
  }
}

const STATIC_KEYS = ['static1', 'static2', 'static3'];
const OTHERS = [
  ['GET', '/cluster'],
  ['GET', '/cluster?peer=2'],
  ['GET', '/metrics'],
  ['GET', '/healthz'],
  ['GET', '/groups/g/cluster'],
  ['GET', '/groups/g/kv/k0'],
  ['GET', '/groups/never/kv'],
  ['POST', '/chaos/2'],
] as const;

const KINDS = [...new Array(14).fill('honest'), 'lost', 'silent', ...Object.keys(MALFORMED)];
const keyRequest: fc.Arbitrary<KeyRequest> = fc.record({
  verb: fc.constantFrom('PUT', 'PATCH', 'PATCH', 'DELETE', 'GET', 'GET', 'HEAD'),
  query: fc.constantFrom('', '', '', '?peer=1', '?peer=2'),
  isClerk: fc.boolean(),
});
const rarely = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null, freq: 3 });
const step = fc.record({
  manners: fc.record({
    kinds: fc.oneof(
      { weight: 5, arbitrary: fc.array(fc.constantFrom(...KINDS), { minLength: 1, maxLength: 12 }) },
      // Until the router has tried all that it may.
      { weight: 1, arbitrary: fc.constantFrom(...Object.keys(MALFORMED)).map((kind) => [kind]) },
    ),
    draw: fc.nat({ max: 1_000_000 }),
  }),
  keys: fc.array(keyRequest, { maxLength: 4 }),
  staleGet: fc.boolean(),
  list: rarely(fc.constantFrom('', '&consistency=stale', '&limit=1', '&peer=2')),
  lifecycle: rarely(fc.constantFrom('POST' as const, 'DELETE' as const)),
  other: rarely(fc.constantFrom(...OTHERS)),
});

test('whatever peers reply, clients are told the truth, in time', { timeout: timeoutOf(60_000) }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(step, { minLength: 1, maxLength: 12 }), async (isFounded, steps) => {
      const attack = new Attack(isFounded);
      for (const { manners, keys, staleGet, list, lifecycle, other } of steps) {
        attack.peers.manners = manners;
        const stale = { verb: 'GET', query: '?consistency=stale', isClerk: false } as const;
        await attack.all([
          ...keys.map((request, i) => () => attack.key(`k${i}`, request)),
          ...(staleGet ? [() => attack.key('k4', stale)] : []),
          ...(list === null ? [] : [() => attack.list(list)]),
          ...(lifecycle === null ? [] : [() => attack.lifecycle(lifecycle)]),
          ...(other === null ? [] : [() => attack.other(other)]),
        ]);
      }
      attack.peers.manners = { kinds: ['honest'], draw: 0 };
      await attack.all([() => attack.key('k0', { verb: 'PUT', query: '', isClerk: false })]);
      expect(attack.peers.heldAt('k0'), 'all is well afterwards').toMatch(/^<\d+>$/);
    }),
    runs(70),
  );
});

test('every route of the peers was attacked, and clients saw all that may follow', () => {
  const routes = ['client', 'stand', 'status', 'found', 'delete', 'chaos'];
  tally.expectReached(Object.fromEntries(routes.map((route) => [route, ['malformed', 'usable']])));
  for (const status of [200, 201, 404, 409, 410, 503, 504])
    expect(tally.countAll(status), `replies with ${status}`).toBeGreaterThan(0);
});
