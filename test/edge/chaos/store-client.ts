/** What the lanes ask of a store, and are told. */
import type { Input, Output } from '../../linearizability/history.ts';
import type { ListedItem } from '../../linearizability/listing.ts';
import type { WriteOutcome } from './run-record.ts';

export type Write = Exclude<Input, { type: 'get' }>;

export interface StaleAnswer {
  readonly peer: string | null;
  readonly value: string | null;
  readonly modRevision: number | null;
  readonly storeRevision: number;
}

export interface PageAnswer {
  readonly revision: number;
  readonly items: readonly ListedItem[];
}

/** Reads give null if there is no answer. Values have lost their padding. */
export interface StoreClient {
  get(key: string): Promise<Output | null>;
  staleGet(key: string): Promise<StaleAnswer | null>;
  /** `sent`: the value with its padding. */
  write(key: string, input: Write, sent: string): Promise<WriteOutcome>;
  /** The pages of one listing; null, and nothing more, if one has no answer. */
  pages(prefix: string, limit: number): AsyncGenerator<PageAnswer | null, void, void>;
}
