/**
 * Clients as users write them: they put, append, get and delete through a router (the production group client), some
 * under a clerk's identity, repeating what has no answer. What they did and saw is the history that is checked.
 */
import { createHash } from 'node:crypto';
import type { Condition, Query } from '../../src/kv/commands.ts';
import type { GroupClient } from '../../src/router/group.ts';
import type { ReadOutcome } from '../../src/router/read.ts';
import type { Write, WriteOutcome } from '../../src/router/write.ts';
import type { Input, Operation, Output } from '../linearizability/history.ts';
import type { Listing } from '../linearizability/listing.ts';
import { Clerk, openSession } from './clerk-identity.ts';
import { readListing } from './listings.ts';
import type { Random } from './random.ts';
import { SimRouter } from './sim-router.ts';
import type { World } from './world.ts';

export { type Listing, SimRouter };

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const CLIENT_TIMEOUT_MS = 12_000;
const MAX_TRIES = 4;
/** Requests of one client under way at once; the checker's work grows with them. */
const MAX_UNDER_WAY = 24;

const digest16 = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash('sha256').update(bytes).digest().subarray(0, 16));

/**
 * `nothing`: it is certain that nothing was done, and nothing was told. `refused`: the same, by an answer that is kept. Null:
 * nobody knows whether it was done.
 */
type Ended<T> = T | 'nothing' | 'refused' | null;

export interface Workload {
  readonly group: string;
  /** Their ids: some requests name the peer that must answer (`?peer=`). */
  readonly peers: readonly string[];
  readonly keys: readonly string[];
  /** This share of all operations goes to the first key. */
  readonly hotShare: number;
  readonly maxThinkMs: number;
  /** Sessions may be gone at any time: clerks open them first, come back late, and bring new ones. */
  readonly sessionsExpire: boolean;
}

export class SimClient {
  readonly #world: World;
  readonly #random: Random;
  readonly #routers: readonly SimRouter[];
  readonly #workload: Workload;
  readonly #name: string;
  /** Null: its writes bring no identity. */
  #clerk: Clerk | null;
  #clerks = 0;
  #written = 0;
  #underWay = 0;
  readonly #bursts = new Set<Promise<void>>();
  readonly history: Mutable<Operation>[] = [];
  readonly listings: Listing[] = [];
  stopped = false;
  /** Operations that were answered, and the writes among them. */
  completed = 0;
  writes = 0;
  /** Writes that the store refused because it is full, and sessions that were found gone. */
  readonly told = { storageFull: 0, sessionExpired: 0 };
  /** A request of its clerk that was answered, but not the one that opened the session. */
  #answered: Write | null = null;

  constructor(world: World, name: string, routers: readonly SimRouter[], workload: Workload, isClerk: boolean) {
    this.#world = world;
    this.#name = name;
    this.#random = world.stream(name);
    this.#routers = routers;
    this.#workload = workload;
    this.#clerk = isClerk ? this.#newClerk() : null;
  }

  async run(): Promise<void> {
    while (!this.stopped) {
      if (this.#random.chance(0.05)) await this.#list();
      else await this.#one();
      await this.#world.scheduler.sleep(this.#random.between(0, this.#workload.maxThinkMs));
      if (this.#workload.sessionsExpire && this.#random.chance(0.2)) await this.#leave();
    }
    await Promise.all(this.#bursts);
  }

  /** Long enough for a session to go; or the identity is forgotten, and its session stays behind. */
  async #leave(): Promise<void> {
    if (this.#random.chance(0.5) && this.#clerk !== null) this.#clerk = this.#newClerk();
    else await this.#world.scheduler.sleep(this.#random.between(1500, 6000));
    await this.#repeatOld();
  }

  /** A process that was asleep repeats what was done long ago: its session has gone, or still knows the reply. */
  async #repeatOld(): Promise<void> {
    const write = this.#answered;
    if (write === null) return;
    const outcome = await this.#patient<WriteOutcome>((router) => router.write(this.#workload.group, write));
    if (outcome === null || !outcome.ok) return;
    const { result } = outcome;
    if (result.type === 'storage_full') this.#noteFull(write.operation.op);
    if (result.type === 'session_expired') this.told.sessionExpired += 1;
    else if ('replayed' in result && !result.replayed) this.#world.fail(`${this.#name}: an old request was done again`);
  }

  /** So many requests at once. A clerk may do so once it has a session. */
  burst(count: number): void {
    if (this.stopped || (this.#clerk !== null && !this.#clerk.established)) return;
    for (let i = 0; i < count && this.#underWay < MAX_UNDER_WAY; i += 1) {
      const one = this.#one().finally(() => this.#bursts.delete(one));
      one.catch((error) => this.#world.fail(String(error)));
      this.#bursts.add(one);
    }
  }

  async #one(): Promise<void> {
    const key = this.#drawKey();
    const operation: Mutable<Operation> = {
      clientId: this.#name,
      key,
      input: this.#draw(key),
      call: this.#world.scheduler.nowMs,
      return: null,
      output: null,
    };
    this.history.push(operation);
    this.#underWay += 1;
    const output = operation.input.type === 'get' ? await this.#get(key) : await this.#write(operation);
    this.#underWay -= 1;
    if (output === 'nothing' || output === 'refused') this.history.splice(this.history.indexOf(operation), 1);
    if (output === null || output === 'nothing') return;
    this.completed += 1;
    if (operation.input.type !== 'get') this.writes += 1;
    if (output === 'refused') return;
    operation.output = output;
    operation.return = this.#world.scheduler.nowMs;
  }

  #drawKey(): string {
    const { keys, hotShare } = this.#workload;
    return this.#random.chance(hotShare) ? keys[0]! : this.#random.pick(keys);
  }

  #draw(key: string): Input {
    const kind = this.#random.pick(['get', 'get', 'put', 'append', 'append', 'delete'] as const);
    if (kind === 'get') return { type: 'get' };
    const condition = this.#drawCondition(key);
    if (kind === 'delete') return { type: 'delete', condition };
    this.#written += 1;
    return { type: kind, value: `${this.#name}.${this.#written};`, condition };
  }

  #drawCondition(key: string): Condition | null {
    if (this.#random.chance(0.7)) return null;
    const seen = this.history.findLast((past) => past.key === key && past.output !== null)?.output ?? null;
    const revision = seen === null ? null : revisionIn(seen);
    return this.#random.pick<Condition>([
      { type: 'exists' },
      { type: 'absent' },
      { type: 'match', revisions: revision === null ? [] : [revision] },
    ]);
  }

  /** Null if the router vanished: nothing comes back from it, so the client's own patience ends. */
  async #patient<T>(work: (router: GroupClient) => Promise<T>): Promise<T | null> {
    const router = this.#random.pick(this.#routers);
    let cancel = (): void => {};
    const impatience = new Promise<null>((resolve) => {
      cancel = this.#world.scheduler.after(CLIENT_TIMEOUT_MS, () => resolve(null));
    });
    const result = await Promise.race([work(router.client), impatience]);
    cancel();
    return result;
  }

  /** A get without an answer says nothing. */
  async #get(key: string): Promise<Ended<Output>> {
    const query: Query = { type: 'get', key: encoder.encode(key) };
    // A leader that was deposed and does not know it is asked too, though no router would go there any more.
    const peer = this.#random.chance(0.3) ? this.#random.pick(this.#workload.peers) : null;
    const outcome = await this.#patient<ReadOutcome>((router) =>
      router.read(this.#workload.group, { query, consistency: 'linearizable', peer }),
    );
    if (outcome === null || !outcome.ok) return 'nothing';
    const { answer } = outcome;
    if (answer.type === 'missing') return { type: 'missing', storeRevision: answer.revision };
    if (answer.type !== 'value') throw new Error(`a get was answered by a ${answer.type}`);
    const { value, modRevision, version } = answer.item;
    return { type: 'value', value: decoder.decode(value), modRevision, version, storeRevision: answer.revision };
  }

  // ---- writes

  #newClerk(): Clerk {
    this.#clerks += 1;
    return new Clerk(this.#clerks === 1 ? this.#name : `${this.#name}-${this.#clerks}`);
  }

  /** The clerk of the next write. Null: there is no room for its session, or nobody leads. */
  async #ready(): Promise<Clerk | null> {
    if (this.#clerk?.exhausted === true) this.#clerk = this.#newClerk();
    const clerk = this.#clerk;
    if (clerk === null || clerk.established) return clerk;
    // Nothing may follow seq 1 until it has its reply.
    if (!this.#workload.sessionsExpire) return clerk.begin() ? clerk : null;
    if (clerk.opening) return null;
    clerk.opening = true;
    if (await openSession(this.#world, this.#name, this.#workload.group, clerk.id)) clerk.opened();
    // Whoever repeated it later might open the session a second time, when it has gone.
    else if (this.#clerk === clerk) this.#clerk = this.#newClerk();
    return clerk.established ? clerk : null;
  }

  async #write(operation: Operation): Promise<Ended<Output>> {
    const clerk = await this.#ready();
    if (clerk === null && this.#clerk !== null) return 'nothing';
    const seq = clerk?.take() ?? 0;
    let uncertain = false;
    for (let i = 0; i < MAX_TRIES || seq === 1; i += 1) {
      const outcome = await this.#patient<WriteOutcome>((router) =>
        router.write(this.#workload.group, this.#request(operation, clerk, seq)),
      );
      const ended = outcome === null ? null : this.#toOutput(outcome, operation.input.type);
      if (ended === 'expired') {
        if (this.#clerk === clerk) this.#clerk = this.#newClerk();
        return uncertain ? null : 'nothing';
      }
      if (ended !== null && ended !== 'nothing') {
        if (seq > 1) this.#answered = this.#request(operation, clerk, seq);
        clerk?.resolve(seq);
        return ended;
      }
      if (ended === null) uncertain = true;
      // Without an identity, a repeat would be another write.
      if (clerk === null) break;
      // Nothing may follow seq 1 until it has its reply.
      if (this.stopped && i >= MAX_TRIES) break;
      const longestMs = this.#workload.sessionsExpire ? 4000 : 200;
      await this.#world.scheduler.sleep(this.#random.between(1, longestMs));
    }
    return uncertain ? null : 'nothing';
  }

  #request({ key: keyText, input }: Operation, by: Clerk | null, seq: number): Write {
    const key = encoder.encode(keyText);
    const clerk = by === null ? null : { id: by.id, seq, acked: by.acked };
    const requestDigest = digest16(encoder.encode(JSON.stringify([keyText, input])));
    if (input.type === 'get') throw new Error('a get is no write');
    const condition = input.condition ?? null;
    if (input.type === 'delete')
      return { operation: { op: 'delete', key, condition }, requestDigest, clerk, peer: null };
    const value = encoder.encode(input.value);
    const operation = { op: input.type, key, condition, value, valueDigest: digest16(value) };
    return { operation, requestDigest, clerk, peer: null };
  }

  #toOutput(outcome: WriteOutcome, input: Input['type']): Ended<Output> | 'expired' {
    if (!outcome.ok) return outcome.failure.type === 'outcome_unknown' ? null : 'nothing';
    const { result } = outcome;
    switch (result.type) {
      case 'written':
        return { type: 'written', created: result.created, revision: result.revision, version: result.version };
      case 'deleted':
        return { type: 'deleted', revision: result.revision, deleted: result.deleted === 1 };
      case 'precondition_failed':
        return { type: 'precondition_failed', modRevision: result.modRevision };
      case 'sessions_full':
        return 'nothing';
      case 'storage_full':
        this.#noteFull(input);
        return 'refused';
      case 'value_too_large':
        return 'refused';
      case 'session_expired':
        this.told.sessionExpired += 1;
        if (this.#workload.sessionsExpire) return 'expired';
        break;
    }
    throw new Error(`a clerk that keeps the rules was told ${result.type}`);
  }

  /** Every peer serves deletes when the store is full: otherwise nobody could ever make room. */
  #noteFull(input: Input['type']): void {
    if (input === 'delete') this.#world.fail(`${this.#name}: a delete was refused because the store is full`);
    this.told.storageFull += 1;
  }

  // ---- listings

  async #list(): Promise<void> {
    const { scheduler } = this.#world;
    const listing = await readListing({
      clientId: this.#name,
      random: this.#random,
      keys: this.#workload.keys,
      now: () => scheduler.nowMs,
      sleep: (ms) => scheduler.sleep(ms),
      ask: async (query) => {
        const outcome = await this.#patient<ReadOutcome>((router) =>
          router.read(this.#workload.group, { query, consistency: 'linearizable', peer: null }),
        );
        return outcome?.ok ? outcome.answer : null;
      },
    });
    if (listing !== null) this.listings.push(listing);
  }
}

function revisionIn(output: Output): number | null {
  if (output.type === 'value' || output.type === 'precondition_failed') return output.modRevision ?? null;
  return output.type === 'missing' ? null : (output.revision ?? null);
}
