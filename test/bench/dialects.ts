/** The same operations in the words of each system. Keys are 24 bytes everywhere. */
import type { KeyRule, LoadRequest } from './load.ts';
import { NUMBER_DIGITS } from './load.ts';
import type { Operation, System } from './results.ts';

export interface LoadOptions {
  /** PREFIX_CHARACTERS letters or digits, before a key's number. */
  readonly prefix: string;
  readonly valueBytes: number;
}

/** `clerkId`: of an append's one clerk. */
export interface OperationOptions extends LoadOptions {
  /** Of keys that exist. */
  readonly knownPrefix: string;
  readonly clerkId: string;
}

export const PREFIX_CHARACTERS = 12;

interface Dialect {
  put(options: LoadOptions, key?: KeyRule): LoadRequest;
  get(prefix: string): LoadRequest;
  getStale(prefix: string): LoadRequest | null;
  append(options: LoadOptions, clerkId: string): LoadRequest | null;
}

const plainObject: Dialect = {
  put: ({ prefix, valueBytes }, key = 'new') => ({
    method: 'PUT',
    path: `/kv/${prefix}{key}`,
    body: bytesText(valueBytes),
    key,
  }),
  get: (prefix) => ({ method: 'GET', path: `/kv/${prefix}{key}`, key: 'known' }),
  getStale: () => null,
  append: () => null,
};

const edgeraft: Dialect = {
  ...plainObject,
  getStale: (prefix) => ({ method: 'GET', path: `/kv/${prefix}{key}?consistency=stale`, key: 'known' }),
  append: ({ prefix, valueBytes }, clerkId) => ({
    method: 'PATCH',
    path: `/kv/${prefix}{key}`,
    headers: { 'Clerk-Id': clerkId, 'Clerk-Seq': '{seq}' },
    body: bytesText(valueBytes),
    key: 'shared',
  }),
};

/** https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/ */
const etcd: Dialect = {
  put: ({ prefix, valueBytes }, key = 'new') => ({
    method: 'POST',
    path: '/v3/kv/put',
    body: `{"key":"${etcdKey(prefix)}","value":"${base64Text(valueBytes)}"}`,
    key,
  }),
  get: (prefix) => etcdRange(`{"key":"${etcdKey(prefix)}"}`),
  getStale: (prefix) => etcdRange(`{"key":"${etcdKey(prefix)}","serializable":true}`),
  append: () => null,
};

const etcdRange = (body: string): LoadRequest => ({ method: 'POST', path: '/v3/kv/range', body, key: 'known' });

export const DIALECTS: Readonly<Record<System, Dialect>> = { 'plain-object': plainObject, etcd, edgeraft };

/** In turn; null: the system has no such thing. */
export function operationRequests(
  system: System,
  operation: Operation,
  options: OperationOptions,
): readonly LoadRequest[] | null {
  const { knownPrefix, clerkId } = options;
  const dialect = DIALECTS[system];
  if (operation === 'mix') {
    const get = dialect.get(knownPrefix);
    return [...Array.from({ length: 9 }, () => get), dialect.put(options)];
  }
  const request = {
    put: () => dialect.put(options),
    get: () => dialect.get(knownPrefix),
    'get-stale': () => dialect.getStale(knownPrefix),
    append: () => dialect.append(options, clerkId),
  }[operation]();
  return request === null ? null : [request];
}

const FILLER = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** The request's number, then letters. */
function bytesText(bytes: number): string {
  return `{count}${FILLER.repeat(Math.ceil(bytes / FILLER.length)).slice(0, bytes - NUMBER_DIGITS)}`;
}

/**
 * Digits and letters are base64 as they stand: of other bytes than their own, but of as many for each request, and distinct ones.
 * So the generator has nothing to encode. Only the end shows how many bytes it stands for.
 */
export function base64Text(bytes: number): string {
  const whole = Math.floor(bytes / 3) * 4;
  const end = ['', 'AA==', 'AAA='][bytes % 3];
  return `{count}${FILLER.repeat(Math.ceil(whole / FILLER.length)).slice(0, whole - NUMBER_DIGITS)}${end}`;
}

/** 32 characters of base64: 24 bytes. */
const etcdKey = (prefix: string): string => `${prefix}{key}AAAAAAAA`;
