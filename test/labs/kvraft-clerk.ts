/**
 * The clerk of the 2025 labs: a Put names the version that it replaces. Here that is a conditional put on the revision which a
 * Get showed with that version. It brings no identity, so a Put that is repeated because its answer did not come is the
 * labs' `ErrMaybe` if the repeat finds another version.
 */
import type { Condition, KeyValue } from '../../src/kv/commands.ts';
import { failed } from '../../src/router/outcome.ts';
import type { Write, WriteOutcome } from '../../src/router/write.ts';
import type { Output } from '../linearizability/history.ts';
import { Clerk, digest16, type History } from './kv-clerk.ts';
import { type Cluster, GROUP } from './kv-cluster.ts';
import { LabFailure } from './lab.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const RETRY_MS = 50;

/** A key as it was seen; version 0: there was none. */
export interface Seen {
  readonly value: string;
  readonly version: number;
  readonly modRevision: number;
}

export const NO_KEY: Seen = { value: '', version: 0, modRevision: 0 };

export type PutAnswer =
  | { readonly type: 'OK'; readonly seen: Seen }
  /** The key is at another version, or there is none: this Put did nothing. */
  | { readonly type: 'ErrVersion' | 'ErrNoKey' }
  /** A repeat found another version: this very Put may have made it. */
  | { readonly type: 'ErrMaybe' };

export interface VersionedClerkOptions {
  /** Of its messages that are lost, see kv-router.ts. */
  readonly toldRate?: number;
  /** How long it waits for the answer to a Put. Default: for as long as its router takes, which repeats it under an identity of its own. */
  readonly patienceMs?: number;
}

export class VersionedClerk extends Clerk {
  readonly #patienceMs: number;
  readonly #known = new Map<string, Seen>();

  constructor(cluster: Cluster, history: History, name: string, options: VersionedClerkOptions = {}) {
    super(cluster, history, name, options.toldRate);
    this.#patienceMs = options.patienceMs ?? Number.POSITIVE_INFINITY;
  }

  /** As it was when this clerk last read or put it. */
  known(key: string): Seen {
    return this.#known.get(key) ?? NO_KEY;
  }

  override async getItem(key: string): Promise<KeyValue | null> {
    const item = await super.getItem(key);
    const { version = 0, modRevision = 0 } = item ?? {};
    this.#known.set(key, { value: item === null ? '' : decoder.decode(item.value), version, modRevision });
    return item;
  }

  async putVersion(key: string, value: string, seen: Seen): Promise<PutAnswer> {
    const call = this.cluster.nowMs;
    const condition: Condition =
      seen.version === 0 ? { type: 'absent' } : { type: 'match', revisions: [seen.modRevision] };
    const input = { type: 'put' as const, value, condition };
    const write = this.#conditional(key, value, condition);
    let maybe = false;
    while (true) {
      const outcome = await this.#try(write);
      if (!outcome.ok) {
        // It cannot be done twice: the first time moves the key past what the condition allows.
        maybe ||= outcome.failure.type === 'outcome_unknown';
        await this.cluster.sleep(RETRY_MS);
        continue;
      }
      const { result } = outcome;
      if (result.type === 'precondition_failed') {
        const { modRevision } = result;
        this.record(key, input, call, maybe ? null : { type: 'precondition_failed', modRevision });
        if (maybe) return { type: 'ErrMaybe' };
        return { type: modRevision === null ? 'ErrNoKey' : 'ErrVersion' };
      }
      if (result.type !== 'written') throw new LabFailure(`${this.name}: a put gave ${result.type}`);
      const { created, revision, version } = result;
      const output: Output = { type: 'written', created, revision, version };
      this.record(key, input, call, output);
      if (version !== seen.version + 1) throw new LabFailure(`version ${seen.version} became ${version}`);
      const now = { value, version, modRevision: revision };
      this.#known.set(key, now);
      return { type: 'OK', seen: now };
    }
  }

  /** One request to its router, which goes on with it when nobody waits any more. */
  #try(write: Write): Promise<WriteOutcome> {
    const outcome = this.router.client.write(GROUP, write);
    if (this.#patienceMs === Number.POSITIVE_INFINITY) return outcome;
    return Promise.race([outcome, this.cluster.sleep(this.#patienceMs).then(() => failed('outcome_unknown'))]);
  }

  /** The labs' `PutAtLeastOnce`: on the version that this clerk knows, and again on a newer one, until it is there. */
  override async put(key: string, value: string): Promise<void> {
    while (true) {
      const answer = await this.putVersion(key, value, this.known(key));
      if (answer.type === 'OK') return;
      await this.getItem(key);
    }
  }

  #conditional(key: string, value: string, condition: Condition): Write {
    const bytes = encoder.encode(value);
    const operation = {
      op: 'put' as const,
      key: encoder.encode(key),
      condition,
      value: bytes,
      valueDigest: digest16(bytes),
    };
    return { operation, requestDigest: digest16(JSON.stringify([key, value, condition])), clerk: null, peer: null };
  }
}
