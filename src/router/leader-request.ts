/** One request to whoever leads the group: found, followed, repeated, until an answer or the end of the budget. */
import type { ClientReply, ClientRequest, Member, PeerView } from '../peer/protocol.ts';
import type { Budget } from './budget.ts';
import type { Arrival, Ride, Trip } from './coalescing.ts';
import { DEFAULT_GROUP, makeReady } from './founding.ts';
import type { GroupMemory } from './group-memory.ts';
import { LeaderSearch } from './leader-search.ts';
import { type Failed, failed } from './outcome.ts';
import { callPeer, QUICK_CALL_MS } from './peer-call.ts';
import type { RouterContext } from './survey.ts';

/** Between two requests to stand, in one isolate; what comes sooner only asks whom a peer follows. */
const STAND_EVERY_MS = 100;
/** A leader that has not answered for so long may be cut off from its followers: they are asked as well, and it is waited for. */
const PATIENCE_MS = 200;
const WATCH_EVERY_MS = 20;
/** In one try; a peer that is asked once stands when it may. */
const STANDS_MEANWHILE = 2;
const MAX_OVERLOADED_TRIES = 3;
/** A peer without data in a group that exists is not worth looking the group up again and again. */
const MAX_LOOKUPS = 4;

export interface LeaderRequest<T> extends Trip {
  readonly group: string;
  /** Made anew for each try: what it acknowledges may have grown. */
  readonly request: () => ClientRequest;
  /** Of one try. */
  readonly timeoutMs: number;
  /** Null: not a result that this version knows. */
  readonly parse: (result: unknown) => T | null;
  readonly budget: Budget;
}

/** `uncertain`: an earlier try of this request may have been applied, or may be yet. */
export type LeaderAnswer<T> = (Answered<T> | Failed) & { readonly uncertain: boolean };

export interface Answered<T> {
  readonly ok: true;
  readonly result: T;
  readonly ageMs: number | null;
  /** Of the group that answered. */
  readonly groupId: string;
}

export function askLeader<T>(context: RouterContext, request: LeaderRequest<T>): Promise<LeaderAnswer<T>> {
  return new LeaderConversation(context, request).run();
}

type Ended<T> = LeaderAnswer<T> | null;

class LeaderConversation<T> {
  readonly #context: RouterContext;
  readonly #request: LeaderRequest<T>;
  readonly #memory: GroupMemory;
  readonly #search: LeaderSearch;
  /** The newest term that this conversation knows of. */
  #term: number;
  #uncertain = false;
  #overloaded = 0;
  #lookups = 0;

  constructor(context: RouterContext, request: LeaderRequest<T>) {
    this.#context = context;
    this.#request = request;
    this.#memory = context.directory.of(request.group);
    this.#search = new LeaderSearch(this.#memory);
    this.#term = this.#memory.term;
  }

  async run(): Promise<LeaderAnswer<T>> {
    const { budget } = this.#request;
    while (!budget.spent) {
      const step = this.#search.next() ?? this.#firstStep();
      if (step === null) return this.#fail('no_leader');
      if (step.type === 'probe' && this.#search.probes > 1) await budget.pause();
      if (budget.spent) break;
      const ended = step.type === 'probe' ? await this.#probe(step.member) : await this.#ask(step.member);
      if (ended !== null) return ended;
    }
    return this.#fail(this.#overloaded > 0 ? 'overloaded' : 'no_leader');
  }

  /** Nothing is known of the group: peer 1 is asked as if it led. */
  #firstStep() {
    const [first] = this.#context.firstMembers;
    return first === undefined ? null : { type: 'ask' as const, member: first };
  }

  #fail(type: 'no_leader' | 'overloaded' | 'no_such_group' | 'not_understood'): LeaderAnswer<T> {
    return { ...failed(type), uncertain: this.#uncertain };
  }

  async #ask(member: Member): Promise<Ended<T>> {
    const { term } = this.#memory;
    const ride = this.#memory.calls.ask(member, this.#request, this.#request.budget);
    const arrival = (await ride.wait(PATIENCE_MS)) ?? (await this.#waitAndWatch(member, term, ride));
    if (arrival === null) {
      // Another leads by now. What this one was asked it may have done, or may do yet: it is repeated under the same seq.
      this.#uncertain ||= !ride.leave();
      this.#search.refused(member.id);
      return null;
    }
    if (arrival.type === 'silence') {
      this.#uncertain ||= arrival.sent;
      return this.#failed(member, arrival.atOnce);
    }
    const { view, reply } = arrival;
    if (view.groupId === null) return this.#unfounded(member);
    this.#learn(member, view);
    if (!view.founding || reply.type !== 'not_leader') return this.#handle(member, view.groupId, reply);
    this.#search.refused(member.id);
    return this.#lookUp();
  }

  /**
   * Meanwhile the others are asked to stand, which they do only if they do not hear from it either. `term`: the newest that was known
   * when it was asked. Null: another leads now.
   */
  async #waitAndWatch(member: Member, term: number, ride: Ride): Promise<Arrival | null> {
    const memory = this.#memory;
    const { platform } = this.#context;
    const { budget } = this.#request;
    const others = memory.members.filter(({ id }) => id !== member.id).slice(0, STANDS_MEANWHILE);
    for (;;) {
      if (memory.term > term && memory.leader !== null && memory.leader !== member.id) return null;
      const mayAsk = !budget.spent && platform.now() - memory.stoodAtMs >= STAND_EVERY_MS;
      const other = mayAsk ? others.shift() : undefined;
      if (other !== undefined) this.#askToStand(other);
      const arrival = await ride.wait(WATCH_EVERY_MS);
      if (arrival !== null) return arrival;
    }
  }

  /** What it answers is learned whenever it comes, also by those who wait for the same leader. */
  async #askToStand(other: Member): Promise<void> {
    const { platform } = this.#context;
    const { group, budget } = this.#request;
    this.#memory.stoodAtMs = platform.now();
    const reply = await callPeer(platform, group, other, 'stand', {}, budget.takeCall(QUICK_CALL_MS));
    if (reply !== null) this.#memory.learn(reply.view);
  }

  async #handle(member: Member, groupId: string, answer: ClientReply): Promise<Ended<T>> {
    switch (answer.type) {
      case 'result': {
        const result = this.#request.parse(answer.result);
        if (result === null) break;
        this.#memory.leads(member.id);
        return { ok: true, result, ageMs: answer.ageMs, groupId, uncertain: this.#uncertain };
      }
      case 'not_leader':
        this.#search.refused(member.id);
        return null;
      case 'overloaded':
        this.#overloaded += 1;
        if (this.#overloaded >= MAX_OVERLOADED_TRIES && !this.#uncertain) return this.#fail('overloaded');
        await this.#request.budget.pause();
        return null;
      case 'refused':
        return this.#fail('not_understood');
      default:
        break;
    }
    // Leadership was lost after the entry was written, or the reply is not one that this version knows.
    this.#uncertain = true;
    this.#search.refused(member.id);
    this.#memory.doesNotLead(member.id);
    return null;
  }

  /** Asks the peer to stand, and learns whom it follows. */
  async #probe(member: Member): Promise<Ended<T>> {
    const { platform } = this.#context;
    const { group, budget } = this.#request;
    const stand = platform.now() - this.#memory.stoodAtMs >= STAND_EVERY_MS;
    if (stand) this.#memory.stoodAtMs = platform.now();
    const route = stand ? 'stand' : 'status';
    const reply = await callPeer(platform, group, member, route, {}, budget.takeCall(QUICK_CALL_MS));
    if (reply === null) {
      // Nobody stands, as far as is known: the next one is asked to.
      this.#memory.stoodAtMs = Number.NEGATIVE_INFINITY;
      return null;
    }
    if (reply.view.groupId === null) return this.#unfounded(member);
    this.#learn(member, reply.view);
    return reply.view.founding ? this.#lookUp() : null;
  }

  #learn(member: Member, view: PeerView): void {
    this.#memory.learn(view);
    if (this.#memory.term > this.#term) {
      // News, once a term: whoever was elected in it is worth a quick search, however long this one took so far.
      this.#term = this.#memory.term;
      this.#request.budget.restartPauses();
    }
    this.#search.heard(member.id, view);
    if (view.leader !== member.id) this.#memory.doesNotLead(member.id);
  }

  /** `atOnce`: the call broke before its time was over, so the object was reset perhaps, and is there again. */
  async #failed(member: Member, atOnce: boolean): Promise<Ended<T>> {
    if (atOnce) this.#search.refused(member.id);
    else this.#search.silent(member.id);
    this.#memory.doesNotLead(member.id);
    // Without members there is nobody else to ask.
    return this.#memory.members.length === 0 ? this.#lookUp() : null;
  }

  /** It holds nothing: it was wiped, or the group is gone, or never was. */
  async #unfounded(member: Member): Promise<Ended<T>> {
    this.#search.silent(member.id);
    this.#memory.doesNotLead(member.id);
    return this.#lookUp();
  }

  async #lookUp(): Promise<Ended<T>> {
    const { group, budget } = this.#request;
    if (budget.spent || (this.#lookups >= MAX_LOOKUPS && this.#memory.members.length > 0)) return null;
    this.#lookups += 1;
    const readiness = await makeReady(this.#context, group, group === DEFAULT_GROUP, budget);
    if (readiness === 'missing') return this.#fail('no_such_group');
    if (readiness === 'unavailable') await budget.pause();
    return null;
  }
}
