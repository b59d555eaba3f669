/** Clerks that never rest: each lane does one operation after the other, drawn from the seed, and notes what it saw. */
import type { Condition, Output } from '../../linearizability/history.ts';
import type { ListedPage, Listing } from '../../linearizability/listing.ts';
import { Random } from '../../simulation/random.ts';
import { sleep } from '../edge-runtime.ts';
import type { KeySpace } from './key-space.ts';
import { LibraryClient } from './library-client.ts';
import { piece } from './pieces.ts';
import { PlainClient } from './plain-client.ts';
import type { OperationType, RunRecord } from './run-record.ts';
import type { StoreClient, Write } from './store-client.ts';
import type { Transport } from './transport.ts';

/** Clerks with an identity of their own. */
const CLERKS = 10;
/** Lanes that share one more identity, so that several of its requests are under way together. */
const SHARED_LANES = 6;
/** Clients without identity. */
const PLAIN_CLIENTS = 8;
const LANES = CLERKS + SHARED_LANES + PLAIN_CLIENTS;

const WEIGHTS: readonly (readonly [OperationType, number])[] = [
  ['get', 28],
  ['put', 16],
  ['append', 28],
  ['delete', 5],
  ['conditional', 14],
  ['list', 2],
  ['stale get', 7],
];
const TOTAL_WEIGHT = WEIGHTS.reduce((sum, [, weight]) => sum + weight, 0);

/** Shares of puts that are large and huge: compaction and snapshots need bytes, on a slow machine too. */
const LARGE = 0.15;
const LARGE_BYTES = [1000, 60_000] as const;
const HUGE = 0.04;
const HUGE_BYTES = [200_000, 700_000] as const;
const MAX_PAGE_ITEMS = 8;
/** After a failure: the lane tries something else soon, and does not spin while the runtime is down. */
const PAUSE_MS = 50;
/** Revisions that a lane remembers for its conditions. */
const MAX_REMEMBERED = 64;

export interface WorkloadOptions {
  readonly seed: number;
  readonly peers: readonly string[];
  /** Of all lanes together, if the store is fast enough. */
  readonly operationsPerSecond: number;
}

export class Workload {
  readonly #lanes: Lane[];
  readonly #running: Promise<unknown>;

  constructor(options: WorkloadOptions, transport: Transport, record: RunRecord, keys: KeySpace) {
    const { seed, peers, operationsPerSecond } = options;
    const shared = new LibraryClient(transport, record, `chaos-${seed}-shared`);
    const intervalMs = (LANES * 1000) / operationsPerSecond;
    this.#lanes = Array.from({ length: LANES }, (_, i) => {
      const random = new Random(seed * 1000 + i);
      if (i < CLERKS) {
        return new Lane(
          `c${i}`,
          new LibraryClient(transport, record, `chaos-${seed}-${i}`),
          random,
          record,
          keys,
          intervalMs,
        );
      }
      if (i < CLERKS + SHARED_LANES) return new Lane(`s${i}`, shared, random, record, keys, intervalMs);
      return new Lane(`p${i}`, new PlainClient(transport, record, random, peers), random, record, keys, intervalMs);
    });
    this.#running = Promise.all(this.#lanes.map((lane) => lane.run()));
  }

  /** Lets every lane finish what it is at. Rejects if one of them has failed. */
  async stop(): Promise<void> {
    for (const lane of this.#lanes) lane.stopped = true;
    await this.#running;
  }

  /** Rejects as soon as a lane fails; never resolves before `stop`. */
  get failure(): Promise<unknown> {
    return this.#running;
  }
}

class Lane {
  readonly #name: string;
  readonly #client: StoreClient;
  readonly #random: Random;
  readonly #record: RunRecord;
  readonly #keys: KeySpace;
  readonly #intervalMs: number;
  /** Latest modRevision that this lane saw, by key. */
  readonly #seen = new Map<string, number>();
  #written = 0;
  stopped = false;

  constructor(
    name: string,
    client: StoreClient,
    random: Random,
    record: RunRecord,
    keys: KeySpace,
    intervalMs: number,
  ) {
    this.#name = name;
    this.#client = client;
    this.#random = random;
    this.#record = record;
    this.#keys = keys;
    this.#intervalMs = intervalMs;
  }

  async run(): Promise<void> {
    await sleep(this.#random.between(0, this.#intervalMs));
    while (!this.stopped) {
      const startMs = performance.now();
      const type = this.#draw();
      const outcome = await this.#one(type);
      this.#record.count(type, outcome);
      const restMs = this.#intervalMs - (performance.now() - startMs);
      await sleep(Math.max(restMs, outcome === 'ok' ? 0 : PAUSE_MS));
    }
  }

  #draw(): OperationType {
    let dice = this.#random.float() * TOTAL_WEIGHT;
    for (const [type, weight] of WEIGHTS) {
      dice -= weight;
      if (dice < 0) return type;
    }
    return 'get';
  }

  #one(type: OperationType): Promise<'ok' | 'failed' | 'unknown'> {
    switch (type) {
      case 'get':
        return this.#get();
      case 'stale get':
        return this.#staleGet();
      case 'list':
        return this.#list();
      case 'put':
        return this.#write(this.#keys.mixed(this.#random), 'put', null);
      case 'append':
        // Half of them where nothing else happens, and every one can be counted.
        return this.#random.chance(0.5)
          ? this.#write(this.#keys.appended(this.#random), 'append', null)
          : this.#write(this.#keys.mixed(this.#random), 'append', null);
      case 'delete':
        return this.#write(this.#keys.mixed(this.#random), 'delete', null);
      case 'conditional':
        return this.#conditional();
    }
  }

  async #get(): Promise<'ok' | 'failed'> {
    const key = this.#keys.any(this.#random);
    const call = this.#record.now();
    const output = await this.#client.get(key);
    if (output === null) return 'failed';
    this.#record.read(this.#name, key, call, output);
    this.#remember(key, output);
    return 'ok';
  }

  async #staleGet(): Promise<'ok' | 'failed'> {
    const key = this.#keys.any(this.#random);
    const call = this.#record.now();
    const answer = await this.#client.staleGet(key);
    if (answer === null) return 'failed';
    this.#record.staleReads.push({ clientId: this.#name, key, call, return: this.#record.now(), ...answer });
    return 'ok';
  }

  async #list(): Promise<'ok' | 'failed'> {
    const prefix = this.#keys.prefix(this.#random);
    const listing = await readListing(this.#client, this.#record, prefix, this.#random.int(1, MAX_PAGE_ITEMS));
    if (listing === null) return 'failed';
    this.#record.listings.push({ clientId: this.#name, ...listing });
    return listing.complete === true ? 'ok' : 'failed';
  }

  #conditional(): Promise<'ok' | 'failed' | 'unknown'> {
    const remembered = [...this.#seen.keys()];
    const known = remembered.length > 0 && this.#random.chance(0.7);
    const key = known ? this.#random.pick(remembered) : this.#keys.mixed(this.#random);
    const revision = this.#seen.get(key);
    const conditions: Condition[] = [{ type: 'exists' }, { type: 'absent' }];
    if (revision !== undefined) conditions.push({ type: 'match', revisions: [revision] });
    const condition = conditions.at(known ? -1 : this.#random.int(0, conditions.length - 1)) ?? null;
    return this.#write(key, this.#random.pick(['put', 'put', 'put', 'append', 'delete'] as const), condition);
  }

  async #write(
    key: string,
    type: 'put' | 'append' | 'delete',
    condition: Condition | null,
  ): Promise<'ok' | 'failed' | 'unknown'> {
    this.#written += 1;
    const { text, sent } = piece(this.#name, this.#written, type === 'put' ? this.#paddingBytes() : 0);
    const input: Write = type === 'delete' ? { type, condition } : { type, value: text, condition };
    const call = this.#record.now();
    const outcome = await this.#client.write(key, input, sent);
    this.#record.write(this.#name, key, input, call, outcome);
    if (outcome === 'nothing') return 'failed';
    if (outcome === 'unknown') return 'unknown';
    this.#remember(key, outcome);
    return 'ok';
  }

  #paddingBytes(): number {
    const dice = this.#random.float();
    if (dice < HUGE) return this.#random.int(...HUGE_BYTES);
    return dice < HUGE + LARGE ? this.#random.int(...LARGE_BYTES) : 0;
  }

  /** Only of keys that everything happens to: conditional writes to the others would spoil the count of appends. */
  #remember(key: string, output: Output): void {
    if (this.#keys.isAppended(key)) return;
    const revision = modRevisionOf(output);
    this.#seen.delete(key);
    if (revision === null) return;
    this.#seen.set(key, revision);
    if (this.#seen.size <= MAX_REMEMBERED) return;
    for (const oldest of this.#seen.keys()) {
      this.#seen.delete(oldest);
      return;
    }
  }
}

/** All pages, or those that came; null: there were none. */
export async function readListing(
  client: StoreClient,
  record: RunRecord,
  prefix: string,
  limit: number,
): Promise<Listing | null> {
  const pages: ListedPage[] = [];
  const callMs = record.now();
  let pageCallMs = callMs;
  let complete = true;
  for await (const page of client.pages(prefix, limit)) {
    const returnMs = record.now();
    if (page === null) complete = false;
    else pages.push({ callMs: pageCallMs, returnMs, ...page });
    pageCallMs = returnMs;
  }
  const first = pages[0];
  if (first === undefined) return null;
  const items = pages.flatMap((page) => page.items);
  return { prefix, callMs, returnMs: record.now(), revision: first.revision, items, complete, pages };
}

function modRevisionOf(output: Output): number | null {
  if (output.type === 'value' || output.type === 'precondition_failed') return output.modRevision ?? null;
  return output.type === 'written' ? (output.revision ?? null) : null;
}
