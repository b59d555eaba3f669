/** The clerk library: its writes have an identity, and are repeated until it knows their outcome or its time is over. */
import { Clerk, ClerkError, PreconditionFailedError, type WriteOptions } from '../../../src/clerk/index.ts';
import type { Condition, Output } from '../../linearizability/history.ts';
import type { RunRecord, WriteOutcome } from './run-record.ts';
import type { PageAnswer, StaleAnswer, StoreClient, Write } from './store-client.ts';
import type { Transport } from './transport.ts';

/** Failures of calls that faults explain; a reply that they do not explain is noted by the transport. */
const EXPLAINED = ['no_leader', 'peer_unreachable', 'overloaded', 'timeout', 'network_error', 'revision_compacted'];
const CALL_TIMEOUT_MS = 12_000;

export class LibraryClient implements StoreClient {
  readonly #clerk: Clerk;
  readonly #record: RunRecord;

  constructor(transport: Transport, record: RunRecord, clerkId: string) {
    this.#record = record;
    const { fetch } = transport;
    this.#clerk = new Clerk({ endpoint: 'http://edge.test', clerkId, fetch, timeoutMs: CALL_TIMEOUT_MS });
  }

  get(key: string): Promise<Output | null> {
    return this.#reading(async () => {
      const result = await this.#clerk.get(key);
      const { storeRevision } = result;
      if (!result.found) return { type: 'missing', storeRevision };
      const { modRevision } = result;
      return { type: 'value', value: this.#record.value(result.text()), modRevision, storeRevision };
    });
  }

  staleGet(key: string): Promise<StaleAnswer | null> {
    return this.#reading(async () => {
      const result = await this.#clerk.get(key, { consistency: 'stale' });
      const { storeRevision } = result;
      if (!result.found) return { peer: null, value: null, modRevision: null, storeRevision };
      return { peer: null, value: this.#record.value(result.text()), modRevision: result.modRevision, storeRevision };
    });
  }

  async *pages(prefix: string, limit: number): AsyncGenerator<PageAnswer | null, void, void> {
    try {
      for await (const { revision, items } of this.#clerk.pages({ prefix, limit })) {
        yield { revision, items: items.map(({ text, ...item }) => ({ ...item, value: this.#record.value(text()) })) };
      }
    } catch (error) {
      if (!(error instanceof ClerkError)) throw error;
      this.#explain(error);
      yield null;
    }
  }

  async write(key: string, input: Write, sent: string): Promise<WriteOutcome> {
    const options = conditionOptions(input.condition ?? null);
    try {
      if (input.type === 'delete') {
        const { deleted, revision } = await this.#clerk.delete(key, options);
        return { type: 'deleted', deleted, revision };
      }
      const call = input.type === 'put' ? this.#clerk.put(key, sent, options) : this.#clerk.append(key, sent, options);
      const { created, revision, version } = await call;
      return { type: 'written', created, revision, version };
    } catch (error) {
      if (error instanceof PreconditionFailedError)
        return { type: 'precondition_failed', modRevision: error.modRevision };
      if (!(error instanceof ClerkError)) throw error;
      if (error.outcome === 'unknown') return 'unknown';
      if (error.code !== 'value_too_large') this.#explain(error);
      return 'nothing';
    }
  }

  async #reading<T>(work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ClerkError)) throw error;
      this.#explain(error);
      return null;
    }
  }

  #explain(error: ClerkError): void {
    if (!EXPLAINED.includes(error.code)) this.#record.unexpectedReply(`the clerk library: ${error.message}`);
  }
}

function conditionOptions(condition: Condition | null): WriteOptions {
  switch (condition?.type) {
    case undefined:
      return {};
    case 'exists':
      return { ifMatch: '*' };
    case 'absent':
      return { ifNoneMatch: '*' };
    case 'match':
      return { ifMatch: condition.revisions };
  }
}
