/** HTTP requests of every route: sound ones, and sound ones in which one thing, or two, is wrong. */
import fc from 'fast-check';
import { oddHeaderText, oddJsonText, oddMember, oddNumberText, oddPathText } from './odd-values.ts';

export type Header = readonly [name: string, value: string];

export interface HttpInput {
  /** The route that was meant, for the table. */
  readonly route: string;
  /** What was done to it. */
  readonly kind: string;
  readonly method: string;
  /** Path and query as they are sent. */
  readonly target: string;
  readonly headers: readonly Header[];
  readonly body: Uint8Array<ArrayBuffer> | null;
}

/** Every route, with the classes of answers that a run without a single one of them has not reached. */
export const REACHED: Readonly<Record<string, readonly string[]>> = {
  'PUT /kv/{key}': ['2xx', '4xx'],
  'PATCH /kv/{key}': ['2xx', '4xx'],
  'DELETE /kv/{key}': ['2xx', '4xx'],
  'GET /kv/{key}': ['2xx', '4xx'],
  'HEAD /kv/{key}': ['2xx', '4xx'],
  'GET /kv': ['2xx', '4xx'],
  'GET /cluster': ['2xx', '4xx'],
  'GET /metrics': ['2xx', '4xx'],
  'GET /healthz': ['2xx'],
  'POST /groups/{group}': ['2xx', '4xx'],
  'DELETE /groups/{group}': ['2xx'],
  'POST /chaos/{peer}': ['2xx', '4xx'],
  OPTIONS: ['204'],
  'no route': ['404'],
};

export interface InputOptions {
  /** Prefixes of sound requests: '' or `/groups/…`. */
  readonly bases: readonly string[];
  /** Names of groups that are created and deleted; empty: none is. */
  readonly lifecycles: readonly string[];
  /** Whether sound faults other than `heal` are set. */
  readonly faults: boolean;
}

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(text, 'utf8'));
const KEYS = ['a', 'b', 'c', 'x y', 'é/è', '\u{1F34F}', 'a\u0000', '__proto__'];
const VALUE_LIMIT_BYTES = 1_048_576;

const pick = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
/** Most are about a few keys, so that they meet. */
const key = fc.oneof({ weight: 2, arbitrary: pick('a', 'b') }, { weight: 1, arbitrary: pick(...KEYS) });
const keyTarget = fc
  .tuple(key, fc.boolean())
  .map(([text, inQuery]) => `/kv${inQuery ? '?key=' : '/'}${encodeURIComponent(text)}`);

const condition: fc.Arbitrary<Header[]> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Header[]>([]) },
  { weight: 1, arbitrary: pick<Header[]>([['If-Match', '*']], [['If-None-Match', '*']]) },
  {
    weight: 2,
    arbitrary: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 4 }).map((revisions): Header[] => {
      return [['If-Match', revisions.map((revision) => `"${revision}"`).join(', ')]];
    }),
  },
);
const identity: fc.Arbitrary<Header[]> = fc.oneof(
  { weight: 2, arbitrary: fc.constant<Header[]>([]) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(pick('c1', 'c2'), fc.integer({ min: 1, max: 4 }), fc.option(fc.integer({ min: 0, max: 2 })))
      .map(([id, seq, acked]): Header[] => {
        const headers: Header[] = [
          ['Clerk-Id', id],
          ['Clerk-Seq', String(seq)],
        ];
        return acked === null || acked >= seq ? headers : [...headers, ['Clerk-Acked', String(acked)]];
      }),
  },
);
const value = fc.uint8Array({ maxLength: 12 }).map((bytes) => new Uint8Array(bytes));

const readQuery = pick('', '', 'consistency=stale', 'consistency=linearizable', 'peer=1', 'peer=2', 'peer=9');
const listQuery = fc
  .array(
    pick(
      'prefix=',
      'prefix=a',
      'limit=1',
      'limit=1000',
      'encoding=base64',
      'encoding=utf8',
      'consistency=stale',
      'x=1',
    ),
    { maxLength: 3 },
  )
  .map((pairs) => [...new Map(pairs.map((pair) => [pair.split('=')[0], pair])).values()].join('&'));

const joined = (target: string, query: string): string =>
  query === '' ? target : `${target}${target.includes('?') ? '&' : '?'}${query}`;

type Sound = Omit<HttpInput, 'kind'>;

function writes(method: string): fc.Arbitrary<Sound> {
  return fc.record({ target: keyTarget, condition, identity, value }).map(({ target, condition, identity, value }) => ({
    route: `${method} /kv/{key}`,
    method,
    target,
    headers: [...condition, ...identity],
    body: method === 'DELETE' ? null : value,
  }));
}

function reads(method: string): fc.Arbitrary<Sound> {
  const tag = pick<Header[]>([], [], [['If-None-Match', '*']], [['If-None-Match', 'W/"1", "2"']]);
  return fc.record({ target: keyTarget, query: readQuery, headers: tag }).map(({ target, query, headers }) => ({
    route: `${method} /kv/{key}`,
    method,
    target: joined(target, query),
    headers,
    body: null,
  }));
}

const plain = (route: string, method: string, target: fc.Arbitrary<string>, body: Sound['body'] = null) =>
  target.map((text): Sound => ({ route, method, target: text, headers: [], body }));

function chaos(faults: boolean): fc.Arbitrary<Sound> {
  const heal = '{"action":"heal"}';
  const more = [
    '{"action":"crash"}',
    '{"action":"isolate"}',
    '{"action":"cut","from":"2"}',
    '{"action":"cut","from":"3"}',
    '{"action":"drop","rate":0.5}',
    '{"action":"delay","minMs":1,"maxMs":20}',
  ];
  return fc.tuple(pick('1', '2', '3'), pick(heal, ...(faults ? more : []))).map(([peer, body]) => ({
    route: 'POST /chaos/{peer}',
    method: 'POST',
    target: `/chaos/${peer}`,
    headers: [['Content-Type', 'application/json']],
    body: bytesOf(body),
  }));
}

function sound({ bases, lifecycles, faults }: InputOptions): fc.Arbitrary<Sound> {
  const based: fc.WeightedArbitrary<Sound>[] = [
    { weight: 6, arbitrary: writes('PUT') },
    { weight: 4, arbitrary: writes('PATCH') },
    { weight: 4, arbitrary: writes('DELETE') },
    { weight: 4, arbitrary: reads('GET') },
    { weight: 2, arbitrary: reads('HEAD') },
    {
      weight: 4,
      arbitrary: plain(
        'GET /kv',
        'GET',
        listQuery.map((query) => joined('/kv', query)),
      ),
    },
    { weight: 2, arbitrary: plain('GET /cluster', 'GET', pick('/cluster', '/cluster?peer=1', '/cluster?peer=9')) },
    { weight: 1, arbitrary: plain('GET /metrics', 'GET', pick('/metrics')) },
    { weight: 4, arbitrary: chaos(faults) },
    {
      weight: 2,
      arbitrary: plain(
        'no route',
        'GET',
        oddPathText.map((text) => `/${text}`),
      ),
    },
    { weight: 1, arbitrary: plain('OPTIONS', 'OPTIONS', pick('/kv/a', '/kv', '/cluster', '/nothing')) },
  ];
  const inGroup = fc
    .tuple(pick(...bases), fc.oneof(...based))
    .map(([base, request]) => ({ ...request, target: base + request.target }));
  const groups = pick(...(lifecycles.length > 0 ? lifecycles : ['default'])).map((name) => `/groups/${name}`);
  return fc.oneof(
    { weight: 30, arbitrary: inGroup },
    { weight: 1, arbitrary: plain('GET /healthz', 'GET', pick('/healthz')) },
    { weight: 2, arbitrary: plain('POST /groups/{group}', 'POST', groups) },
    ...(lifecycles.length > 0 ? [{ weight: 1, arbitrary: plain('DELETE /groups/{group}', 'DELETE', groups) }] : []),
  );
}

// ---- what is done to them

type Wrong = (input: HttpInput) => HttpInput;
const METHODS = ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'POST', 'OPTIONS', 'PROPFIND', 'LOCK'];
const wrongMethod = pick(...METHODS).map(
  (method): Wrong =>
    (input) => ({ ...input, kind: 'method', method }),
);

const wrongPath = fc.tuple(oddPathText, fc.nat({ max: 5 })).map(
  ([odd, place]): Wrong =>
    (input) => {
      const mark = input.target.indexOf('?');
      const path = mark < 0 ? input.target : input.target.slice(0, mark);
      const query = mark < 0 ? '' : input.target.slice(mark);
      const segments = path.split('/');
      const at = 1 + (place % segments.length);
      if (place % 2 === 0) segments[Math.min(at, segments.length - 1)] = odd;
      else segments.splice(at, 0, odd);
      const changed = segments.join('/');
      return { ...input, kind: 'path', target: (changed.startsWith('/') ? changed : `/${changed}`) + query };
    },
);

const PARAMETERS = ['key', 'prefix', 'limit', 'cursor', 'encoding', 'consistency', 'peer', 'other', '%6Bey', 'limit[]'];
const queryValue = fc.oneof(
  oddPathText.map((text) => text.replaceAll('#', '')),
  oddNumberText.map(encodeURIComponent),
  // MessagePack in base64url, as cursors are, of arrays and texts that claim more than they hold.
  pick('3QH___8', '3f____8', '2_____8', '3AAQ', 'lAEBxAFhxAFh', 'gA', 'kZGRkZGRkZGRkQ', 'lAEBxAFhxBA'),
  fc.uint8Array({ maxLength: 24 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
);
const wrongQuery = fc.array(fc.tuple(pick(...PARAMETERS), queryValue), { minLength: 1, maxLength: 4 }).map(
  (pairs): Wrong =>
    (input) => {
      const query = pairs.map(([name, text]) => `${name}=${text}`).join('&');
      return { ...input, kind: 'query', target: joined(input.target, query) };
    },
);

const withHeaders = (kind: string, headers: readonly Header[]): Wrong => {
  return (input) => ({ ...input, kind, headers: [...input.headers, ...headers] });
};
const oddTag = fc.oneof(
  oddHeaderText,
  oddNumberText.map((text) => `"${text}"`).filter(isHeaderText),
  pick(
    '"1" "2"',
    '"1",,"2"',
    ',',
    'W/"1"',
    'w/"1"',
    '"1',
    `${'"1",'.repeat(1100)}"1"`,
    Array.from({ length: 70 }, (_, i) => `"${i + 1}"`).join(','),
  ),
);
const wrongCondition = fc
  .array(fc.tuple(pick('If-Match', 'If-None-Match'), oddTag), { minLength: 1, maxLength: 2 })
  .map((headers) => withHeaders('condition', headers));

const wrongIdentity = fc
  .array(
    fc.tuple(pick('Clerk-Id', 'Clerk-Seq', 'Clerk-Acked'), fc.oneof(oddHeaderText, oddNumberText.filter(isHeaderText))),
    {
      minLength: 1,
      maxLength: 3,
    },
  )
  .map((headers) => withHeaders('identity', headers));

const OTHER_HEADERS = [
  'Content-Type',
  'Content-Encoding',
  'Origin',
  'Range',
  'X-HTTP-Method-Override',
  'Cookie',
  'Accept',
];
const wrongHeaders = fc
  .array(fc.tuple(pick(...OTHER_HEADERS), oddHeaderText), { minLength: 1, maxLength: 3 })
  .map((headers) => withHeaders('header', headers));

const wrongAuthorization = fc
  .oneof(
    oddHeaderText,
    pick('Bearer', 'Bearer ', 'bearer secret', 'Bearer secret', 'Basic c2VjcmV0', 'Bearer  secret x', 'BearerSecret'),
  )
  .map((text) => withHeaders('authorization', [['Authorization', text]]));

/** A counterexample that holds it is still readable. */
function zeros(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  return Object.defineProperty(bytes, fc.toStringMethod, { value: () => `new Uint8Array(${length})` });
}

const oddBody = fc.oneof(
  { weight: 6, arbitrary: pick(new Uint8Array(0), new Uint8Array([0xff, 0xfe, 0]), bytesOf('\uFEFF')) },
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 64 }).map((bytes) => new Uint8Array(bytes)) },
  { weight: 1, arbitrary: pick(VALUE_LIMIT_BYTES, VALUE_LIMIT_BYTES + 1).map(zeros) },
);
const wrongBody = oddBody.map(
  (body): Wrong =>
    (input) => ({ ...input, kind: 'body', body }),
);
const wrongJson = fc
  .oneof(
    oddJsonText,
    fc
      .record(
        {
          action: fc.oneof(pick('crash', 'isolate', 'cut', 'drop', 'delay', 'heal', 'HEAL'), oddMember),
          from: oddMember,
          rate: oddMember,
          minMs: oddMember,
          maxMs: oddMember,
        },
        { requiredKeys: [] },
      )
      .map((fault) => JSON.stringify(fault)),
  )
  .map(
    (text): Wrong =>
      (input) => ({ ...input, kind: 'json', body: bytesOf(text) }),
  );

/** What a `Headers` can carry, and a line of a request. */
function isHeaderText(text: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(text);
}

const wrong = fc.oneof(
  { weight: 2, arbitrary: wrongMethod },
  { weight: 3, arbitrary: wrongPath },
  { weight: 3, arbitrary: wrongQuery },
  { weight: 2, arbitrary: wrongCondition },
  { weight: 2, arbitrary: wrongIdentity },
  { weight: 1, arbitrary: wrongHeaders },
  { weight: 1, arbitrary: wrongAuthorization },
  { weight: 1, arbitrary: wrongBody },
  { weight: 2, arbitrary: wrongJson },
);

/** A group, unless it is the default one, and two keys in it: so that what follows has something to meet. */
export function something(base: string): HttpInput[] {
  const sound = { kind: 'sound', headers: [] };
  const creation = { ...sound, route: 'POST /groups/{group}', method: 'POST', target: base, body: null };
  const writes = ['a', 'b'].map((name) => {
    return { ...sound, route: 'PUT /kv/{key}', method: 'PUT', target: `${base}/kv/${name}`, body: bytesOf(name) };
  });
  return base === '' ? writes : [creation, ...writes];
}

/** Requests, a third of them sound. */
export function httpInput(options: InputOptions): fc.Arbitrary<HttpInput> {
  const count = fc.oneof(
    { weight: 3, arbitrary: fc.constant(0) },
    { weight: 5, arbitrary: fc.constant(1) },
    fc.constant(2),
  );
  return count.chain((length) =>
    fc.tuple(sound(options), fc.array(wrong, { minLength: length, maxLength: length })).map(([request, wrongs]) => {
      const whole: HttpInput = { ...request, kind: 'sound' };
      const changed = wrongs.reduce((input, change) => change(input), whole);
      return wrongs.length > 1 ? { ...changed, kind: 'two of them' } : changed;
    }),
  );
}

/** For a failure's message. */
export function shown({ method, target, headers, body }: HttpInput): string {
  const lines = headers.map(([name, text]) => `${name}: ${text.slice(0, 100)}`);
  const bytes =
    body === null ? 'no body' : `${body.byteLength} B: ${JSON.stringify(Buffer.from(body.slice(0, 200)).toString())}`;
  return [`${method} ${target.slice(0, 500)}`, ...lines, bytes].join('\n');
}
