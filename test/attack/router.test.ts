/**
 * Every HTTP route under random requests, in process: the app over fake peers with the real key-value store behind them
 * (runs.ts says how to run it longer, or again).
 */
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import type { Answer } from '../../src/kv/commands.ts';
import type { Env } from '../../src/router/env.ts';
import { TestServer } from '../router/http.ts';
import { type HttpInput, httpInput, REACHED, shown, something } from './http-input.ts';
import { checkReply, type HttpReply, isAboutTheRequest } from './reply-rules.ts';
import { runs, seed, timeoutOf } from './runs.ts';
import { StoreModel } from './store-model.ts';
import { Tally } from './tally.ts';

const DEADLINE_MS = 10_000;
const TOKEN = 'secret';
const options = {
  bases: ['', '', '', '/groups/g', '/groups/default', '/groups/never'],
  lifecycles: ['g', 'h', 'default'],
  faults: true,
};

type Page = Extract<Answer, { type: 'page' }>;
type Judge = (input: HttpInput, reply: HttpReply, server: TestServer) => void;

/** An input as a Request carries it, in which a body never comes with a GET. */
async function fetchOf(server: TestServer, input: HttpInput): Promise<HttpReply> {
  const { method, target, headers } = input;
  const all: Record<string, string> = {};
  for (const [name, text] of headers) all[name] = all[name] === undefined ? text : `${all[name]}, ${text}`;
  const hasBody = input.body !== null && method !== 'GET' && method !== 'HEAD';
  const response = await server.fetch(method, target, { headers: all, ...(hasBody ? { body: input.body! } : {}) });
  const body = new Uint8Array(await response.arrayBuffer());
  return { status: response.status, header: (name) => response.headers.get(name), body };
}

/** What no reply can hide: the number of the last entry, and the store's revision. */
function stateOf(server: TestServer): string {
  const groups = new Set([...server.peers.objects.values()]);
  const states = [...groups].map(({ groupId, index, store }) => `${groupId} ${index} ${store.stateHash()}`);
  return [...states, `faults ${server.peers.faults.length}`].join('\n');
}

/** One request: it is answered in time, as the contract says, and does what the answer says. */
async function attack(server: TestServer, model: StoreModel, input: HttpInput, tally: Tally): Promise<HttpReply> {
  const before = stateOf(server);
  const startMs = performance.now();
  const reply = await fetchOf(server, input);
  expect(performance.now() - startMs).toBeLessThan(DEADLINE_MS);
  tally.note(input.route, input.kind, reply.status);
  const code = checkReply(input.method, reply);
  // A reply to HEAD has no body to say its code: then only the status is judged.
  const refused = code !== null && (isAboutTheRequest(code) || (code === '' && reply.status !== 404));
  const founds = stateOf(server).split('\n').length > before.split('\n').length;
  if (refused && !founds) expect(stateOf(server), 'a refused request changes nothing').toBe(before);
  if (input.method !== 'HEAD' || reply.status < 400) model.check(input, reply, code);
  return reply;
}

/** The whole store, without the router: what was accepted, and nothing else, is there. */
function expectStores(server: TestServer, model: StoreModel): void {
  for (const [name, held] of model.groups) {
    const store = server.peers.objects.get(`${name}/1.1`)?.store;
    if (store === undefined) continue;
    const items: [string, number][] = [];
    // A page is bounded in bytes, and values are up to 1 MiB.
    for (let after: Uint8Array | null = null; ; ) {
      const query = { type: 'list', prefix: new Uint8Array(0), after, limit: 1000, revision: null };
      const page = store.query(query) as Page;
      expect(page.revision).toBe(held.revision);
      for (const { key, modRevision } of page.items) items.push([Buffer.from(key).toString(), modRevision]);
      after = page.nextAfter;
      if (after === null) break;
    }
    expect(items).toEqual(held.keys('').map((key) => [key, held.items.get(key)?.modRevision]));
  }
}

const tally = new Tally();
afterAll(() => tally.print(`HTTP in process, seed ${seed}`));

async function attackAll(
  inputs: readonly HttpInput[],
  variables: Partial<Env>,
  judge: Judge = () => {},
): Promise<void> {
  const server = new TestServer(variables);
  const model = new StoreModel();
  for (const input of [...something(''), ...something('/groups/g'), ...inputs]) {
    try {
      judge(input, await attack(server, model, input, tally), server);
    } catch (error) {
      throw new Error(`after this request:\n${shown(input)}`, { cause: error });
    }
  }
  expectStores(server, model);
  const health = await server.fetch('GET', '/healthz');
  expect(health.status, 'healthy afterwards').toBe(200);
}

const inputs = fc.array(httpInput(options), { minLength: 1, maxLength: 40, size: 'max' });
const timeout = timeoutOf(60_000);

test('every route answers as the contract says, and does what it answers', { timeout }, async () => {
  await fc.assert(
    fc.asyncProperty(inputs, (all) => attackAll(all, { CHAOS: 'on', CORS_ORIGIN: '*' })),
    runs(200),
  );
  // The rules below give other answers to the same requests: they have a test of their own.
  tally.expectReached(REACHED);
  for (const status of [200, 201, 204, 304, 400, 404, 405, 409, 410, 412, 413]) {
    expect(tally.countAll(status), `replies with ${status}`).toBeGreaterThan(0);
  }
});

test('without the token nothing is done, and nothing is told', { timeout }, async () => {
  const given = fc.array(
    fc.tuple(httpInput(options), fc.boolean()).map(([input, right]): HttpInput => {
      if (!right) return input;
      return { ...input, headers: [...input.headers, ['Authorization', `Bearer ${TOKEN}`]] };
    }),
    { minLength: 1, maxLength: 40, size: 'max' },
  );
  let refused = 0;
  const judge: Judge = ({ method, target, headers }, { status }) => {
    const [path] = target.split(/[?#]/, 1);
    if (method === 'OPTIONS' || path === '/healthz') return expect(status).not.toBe(401);
    const sent = headers.filter(([name]) => name === 'Authorization').map(([, text]) => text.trim());
    const allowed = sent.length === 1 && /^bearer +secret *$/i.test(sent[0] ?? '');
    if (status === 401) refused += 1;
    return expect(status === 401).toBe(!allowed);
  };
  const variables = { CHAOS: 'on', API_TOKEN: TOKEN, OPEN: '' };
  await fc.assert(
    fc.asyncProperty(given, (all) => attackAll(all, variables, judge)),
    runs(60),
  );
  expect(refused).toBeGreaterThan(100);
});

test('without CHAOS nobody gets a fault, whatever is asked', { timeout }, async () => {
  let asked = 0;
  const judge: Judge = ({ method, target }, { status }, { peers }) => {
    expect(peers.faults).toEqual([]);
    if (method !== 'POST' || !/^\/chaos\/[^/]*$/.test(target)) return;
    asked += 1;
    expect(status).toBe(404);
  };
  await fc.assert(
    fc.asyncProperty(inputs, (all) => attackAll(all, {}, judge)),
    runs(60),
  );
  expect(asked).toBeGreaterThan(5);
});
