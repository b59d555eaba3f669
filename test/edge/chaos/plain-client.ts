/** Plain HTTP without an identity: a write whose reply is lost stays unknown for ever. */
import type { Condition, Output } from '../../linearizability/history.ts';
import type { Random } from '../../simulation/random.ts';
import type { Reply } from '../raw-http.ts';
import type { RunRecord, WriteOutcome } from './run-record.ts';
import type { PageAnswer, StaleAnswer, StoreClient, Write } from './store-client.ts';
import { type Transport, wasNotSent } from './transport.ts';

interface PageJson extends PageAnswer {
  readonly cursor: string | null;
}

const METHODS = { put: 'PUT', append: 'PATCH', delete: 'DELETE' } as const;
/** Share of linearizable gets that name the peer: a deposed leader that does not know it is asked too. */
const AT_ONE_PEER = 0.3;

export class PlainClient implements StoreClient {
  readonly #transport: Transport;
  readonly #record: RunRecord;
  readonly #random: Random;
  readonly #peers: readonly string[];

  constructor(transport: Transport, record: RunRecord, random: Random, peers: readonly string[]) {
    this.#transport = transport;
    this.#record = record;
    this.#random = random;
    this.#peers = peers;
  }

  async get(key: string): Promise<Output | null> {
    const peer = this.#random.chance(AT_ONE_PEER) ? `?peer=${this.#random.pick(this.#peers)}` : '';
    const answer = this.#answer(await this.#ask(`/kv/${encodeURIComponent(key)}${peer}`));
    if (answer === null) return null;
    const { value, modRevision, storeRevision } = answer;
    if (value === null || modRevision === null) return { type: 'missing', storeRevision };
    return { type: 'value', value, modRevision, storeRevision };
  }

  async staleGet(key: string): Promise<StaleAnswer | null> {
    const peer = this.#random.pick(this.#peers);
    const path = `/kv/${encodeURIComponent(key)}?consistency=stale&peer=${peer}`;
    const answer = this.#answer(await this.#ask(path));
    return answer === null ? null : { ...answer, peer };
  }

  async *pages(prefix: string, limit: number): AsyncGenerator<PageAnswer | null, void, void> {
    const query = `/kv?prefix=${encodeURIComponent(prefix)}&limit=${limit}`;
    for (let cursor: string | null = ''; cursor !== null; ) {
      const reply = await this.#ask(cursor === '' ? query : `${query}&cursor=${encodeURIComponent(cursor)}`);
      if (reply?.status !== 200) {
        yield null;
        return;
      }
      const page: PageJson = reply.json;
      const items = page.items.map((item) => ({ ...item, value: this.#record.value(item.value) }));
      yield { revision: page.revision, items };
      cursor = page.cursor;
    }
  }

  async write(key: string, input: Write, sent: string): Promise<WriteOutcome> {
    const body = input.type === 'delete' ? {} : { body: sent };
    const headers = conditionHeaders(input.condition ?? null);
    const path = `/kv/${encodeURIComponent(key)}`;
    return this.#transport.send(METHODS[input.type], path, { headers, ...body }).then(
      (reply) => outcomeOf(input, reply),
      (error) => (wasNotSent(error) ? 'nothing' : 'unknown'),
    );
  }

  #ask(path: string): Promise<Reply | null> {
    return this.#transport.send('GET', path).catch(() => null);
  }

  #answer(reply: Reply | null): Omit<StaleAnswer, 'peer'> | null {
    if (reply === null || ![200, 404].includes(reply.status)) return null;
    const storeRevision = Number(reply.headers['raft-revision']);
    if (reply.status === 404) return { value: null, modRevision: null, storeRevision };
    return { value: this.#record.value(reply.text), modRevision: tagOf(reply), storeRevision };
  }
}

function outcomeOf(input: Write, reply: Reply): WriteOutcome {
  switch (reply.status) {
    case 200:
    case 201: {
      const { revision, version, deleted } = reply.json;
      if (input.type === 'delete') return { type: 'deleted', deleted: deleted === 1, revision };
      return { type: 'written', created: reply.status === 201, revision, version };
    }
    case 412:
      return { type: 'precondition_failed', modRevision: tagOf(reply) };
    case 413:
    case 429:
    case 503:
      return 'nothing';
    default:
      return 'unknown';
  }
}

function tagOf({ headers }: Reply): number | null {
  const tag = /^"(\d+)"$/.exec(headers.etag ?? '')?.[1];
  return tag === undefined ? null : Number(tag);
}

function conditionHeaders(condition: Condition | null): Record<string, string> {
  switch (condition?.type) {
    case undefined:
      return {};
    case 'exists':
      return { 'If-Match': '*' };
    case 'absent':
      return { 'If-None-Match': '*' };
    case 'match':
      return { 'If-Match': condition.revisions.map((revision) => `"${revision}"`).join(', ') };
  }
}
