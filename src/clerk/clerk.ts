/**
 * The client of the store: a clerk, in the words of the labs. It needs `fetch` and nothing else, and runs in browsers,
 * Node >= 20 and Workers.
 *
 *   const clerk = new Clerk({ endpoint: 'https://edgeraft.example.workers.dev', token });
 *   await clerk.put('greeting', 'hello');
 *   await clerk.append('greeting', ', world');
 *   const greeting = await clerk.get('greeting');
 *   if (greeting.found) console.log(greeting.text(), greeting.modRevision);
 *
 * Every write is applied exactly once, however often it had to be repeated; one whose outcome could not be found out
 * fails with `outcome_unknown`. Calls that are in flight together may take effect in any order.
 */
import { CallScope } from './call-scope.ts';
import { invalidRequest } from './errors.ts';
import { type Listing, listPages, type Page, type PageRequest } from './listing.ts';
import { type ClerkPlatform, defaultPlatform, MAX_TIMER_MS } from './platform.ts';
import { read } from './read.ts';
import { countHeader, etagRevision, unexpected } from './reply.ts';
import { type ClerkRequest, type Conditions, conditionHeaders, keyUrl, valueBytes } from './request.ts';
import { MAX_CLERK_ID_CHARACTERS, SessionPool, sharedSessionPool } from './sessions.ts';
import type { ClerkFetch } from './try.ts';
import { type StoredValue, storedValue } from './value.ts';
import { type Transport, type WriteReply, write } from './write.ts';

/** A whole call, retries and waiting included. */
export const DEFAULT_TIMEOUT_MS = 30_000;
/** One try: the store answers within 10 s of the body's last byte. */
export const DEFAULT_TRY_TIMEOUT_MS = 15_000;

export interface ClerkOptions {
  /** Where the store is, without `/kv`: `https://host` or `https://host/base`. It also names the store: see `clerkId`. */
  readonly endpoint: string;
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string | undefined;
  /** 1-64 of `A-Za-z0-9_-`; default: `default`. */
  readonly group?: string | undefined;
  /**
   * Clerk-Id of one's own, 1-64 of `A-Za-z0-9_-`: for this instance alone, and never used before, or the store takes its
   * writes for repeats. When the store has forgotten it, one that begins with it follows. Default: a random identity
   * that all Clerks of this process (or isolate) for the same endpoint and group share; better in nearly every case.
   */
  readonly clerkId?: string | undefined;
  /** For a whole call, in ms, unless the call says otherwise. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** For one try, in ms. Default 15,000. */
  readonly tryTimeoutMs?: number | undefined;
  /** Instead of the global `fetch`; a service binding's, for example. */
  readonly fetch?: ClerkFetch | undefined;
  /** Clock, randomness and timers; for tests. */
  readonly platform?: ClerkPlatform | undefined;
}

export interface CallOptions {
  /** For the whole call, in ms; of a listing: for each page. */
  readonly timeoutMs?: number | undefined;
  /** Ends the call with the error `aborted`. A write that is on its way may be done all the same. */
  readonly signal?: AbortSignal | undefined;
}

export interface ReadOptions extends CallOptions {
  /** `linearizable` (default), or `stale`: from any peer, at once, with its age. */
  readonly consistency?: 'linearizable' | 'stale' | undefined;
}

export interface WriteOptions extends CallOptions, Conditions {}

export interface ListOptions extends ReadOptions {
  /** Keys that begin with it; default: all. */
  readonly prefix?: string | undefined;
  /** Items of one page, 1-1,000; default: the store's (100). */
  readonly limit?: number | undefined;
}

interface ReadState {
  /** The store's revision when it answered. */
  readonly storeRevision: number;
  /** Of a stale read: ms since the peer last heard from its leader; null: unknown, or not a stale read. */
  readonly ageMs: number | null;
}

export interface Found extends ReadState, StoredValue {
  readonly found: true;
  readonly modRevision: number;
}

export interface Missing extends ReadState {
  readonly found: false;
}

export type GetResult = Found | Missing;

export interface WriteResult {
  /** The key did not exist before. */
  readonly created: boolean;
  /** The key's modRevision from now on. */
  readonly revision: number;
  /** Writes to the key since it was created, this one included. */
  readonly version: number;
  /** The store had done it already: this is the reply to an earlier try. */
  readonly replayed: boolean;
}

export interface DeleteResult {
  /** False: there was no such key. */
  readonly deleted: boolean;
  /** The revision of the deletion, or the store's if there was nothing to delete. */
  readonly revision: number;
  readonly replayed: boolean;
}

export class Clerk {
  readonly #endpoint: string;
  readonly #group: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #timeoutMs: number;
  readonly #transport: Transport;
  readonly #ownSessions: SessionPool | null;

  /** @throws ClerkError `invalid_request` */
  constructor(options: ClerkOptions) {
    this.#endpoint = parseEndpoint(options.endpoint);
    this.#group = checkName(options.group ?? 'default', 'group');
    this.#headers = authorization(options.token);
    this.#timeoutMs = checkTimeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS, 'timeoutMs');
    const platform = options.platform ?? defaultPlatform;
    this.#transport = {
      platform,
      // Called as a plain function: detached from its global, `fetch` is an illegal invocation in browsers and Workers.
      fetch: options.fetch ?? ((url, init) => globalThis.fetch(url, init)),
      tryTimeoutMs: checkTimeout(options.tryTimeoutMs ?? DEFAULT_TRY_TIMEOUT_MS, 'tryTimeoutMs'),
    };
    const { clerkId } = options;
    this.#ownSessions = clerkId === undefined ? null : new SessionPool(platform, checkName(clerkId, 'clerkId'));
  }

  /**
   * Reads one key.
   * @throws ClerkError
   */
  async get(key: string, options: ReadOptions = {}): Promise<GetResult> {
    const request = this.#readRequest(keyUrl(this.#groupUrl(), key, consistencyParameters(options)));
    const reply = await this.#call(options, (call) => read(this.#transport, request, call));
    const storeRevision = countHeader(reply, 'Raft-Revision');
    if (storeRevision === null) throw unexpected(reply, 'a read without Raft-Revision');
    const state = { storeRevision, ageMs: countHeader(reply, 'Raft-Age-Ms') };
    if (reply.status === 404) return { found: false, ...state };
    const modRevision = etagRevision(reply);
    if (modRevision === null) throw unexpected(reply, 'a value without its ETag');
    return { found: true, modRevision, ...state, ...storedValue(reply.body) };
  }

  /**
   * Sets a key to `value` (0 to 1,048,576 bytes; strings as UTF-8).
   * @throws ClerkError
   */
  async put(key: string, value: Uint8Array | string, options: WriteOptions = {}): Promise<WriteResult> {
    return writeResult(await this.#write('PUT', key, value, options));
  }

  /**
   * Appends `value` to a key, creating it if it is missing.
   * @throws ClerkError; `value_too_large` also when the result would pass 1,048,576 bytes
   */
  async append(key: string, value: Uint8Array | string, options: WriteOptions = {}): Promise<WriteResult> {
    return writeResult(await this.#write('PATCH', key, value, options));
  }

  /**
   * Deletes a key; one that is missing is no error.
   * @throws ClerkError
   */
  async delete(key: string, options: WriteOptions = {}): Promise<DeleteResult> {
    const { deleted, revision, replayed } = await this.#write('DELETE', key, null, options);
    return { deleted, revision, replayed };
  }

  /**
   * The items whose keys begin with `prefix`, in the order of the keys' bytes, all as of one revision.
   * @throws ClerkError while iterating; `revision_compacted` if it takes so long that the store has dropped that revision
   */
  async *list(options: ListOptions = {}): AsyncGenerator<Listing, void, void> {
    for await (const page of this.pages(options)) yield* page.items;
  }

  /**
   * The same page by page.
   * @throws ClerkError while iterating
   */
  pages(options: ListOptions = {}): AsyncGenerator<Page, void, void> {
    const pageRequest: PageRequest = {
      prefix: options.prefix ?? '',
      limit: options.limit ?? null,
      parameters: consistencyParameters(options),
    };
    return listPages(`${this.#groupUrl()}/kv`, pageRequest, (url) =>
      this.#call(options, (call) => read(this.#transport, this.#readRequest(url), call)),
    );
  }

  async #write(
    method: ClerkRequest['method'],
    key: string,
    value: Uint8Array | string | null,
    options: WriteOptions,
  ): Promise<WriteReply> {
    const url = keyUrl(this.#groupUrl(), key);
    const body = value === null ? null : valueBytes(value);
    const headers: Record<string, string> = { ...this.#headers, ...conditionHeaders(options) };
    if (body) headers['Content-Type'] = 'application/octet-stream';
    const { platform } = this.#transport;
    const sessions = this.#ownSessions ?? sharedSessionPool(platform, this.#endpoint, this.#group);
    return this.#call(options, (call) =>
      sessions.holding(body?.length ?? 0, () => write(this.#transport, sessions, { method, url, headers, body }, call)),
    );
  }

  async #call<T>(options: CallOptions, work: (call: CallScope) => Promise<T>): Promise<T> {
    const timeoutMs = checkTimeout(options.timeoutMs ?? this.#timeoutMs, 'timeoutMs');
    const call = new CallScope(this.#transport.platform, timeoutMs, options.signal);
    try {
      return await work(call);
    } finally {
      call.end();
    }
  }

  #readRequest(url: string): ClerkRequest {
    return { method: 'GET', url, headers: this.#headers, body: null };
  }

  #groupUrl(): string {
    return this.#group === 'default' ? this.#endpoint : `${this.#endpoint}/groups/${this.#group}`;
  }
}

function writeResult(reply: WriteReply): WriteResult {
  const { created, revision, version, replayed } = reply;
  return { created, revision, version, replayed };
}

function parseEndpoint(endpoint: string): string {
  if (typeof endpoint !== 'string' || !URL.canParse(endpoint)) throw invalidRequest('endpoint must be an absolute URL');
  const url = new URL(endpoint);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw invalidRequest('endpoint must be an http(s) URL');
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw invalidRequest('endpoint must have no credentials, query or fragment');
  }
  return url.href.replace(/\/+$/, '');
}

function checkName(name: string, option: string): string {
  if (typeof name !== 'string' || !/^[A-Za-z0-9_-]+$/.test(name) || name.length > MAX_CLERK_ID_CHARACTERS) {
    throw invalidRequest(`${option} must be 1-64 of A-Za-z0-9_-`);
  }
  return name;
}

/** Checked here, because `fetch` refuses a malformed header with what looks like a failed connection. */
function authorization(token: string | undefined): Readonly<Record<string, string>> {
  if (token === undefined) return {};
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) {
    throw invalidRequest('token must be printable ASCII without spaces');
  }
  return { Authorization: `Bearer ${token}` };
}

function checkTimeout(timeoutMs: number, option: string): number {
  if (!Number.isFinite(timeoutMs) || timeoutMs <= 0 || timeoutMs > MAX_TIMER_MS) {
    throw invalidRequest(`${option} must be more than 0 and at most ${MAX_TIMER_MS} ms`);
  }
  return timeoutMs;
}

function consistencyParameters(options: ReadOptions): string[] {
  const { consistency } = options;
  if (consistency === undefined || consistency === 'linearizable') return [];
  if (consistency !== 'stale') throw invalidRequest("consistency must be 'linearizable' or 'stale'");
  return ['consistency=stale'];
}
