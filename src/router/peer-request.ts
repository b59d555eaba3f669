/** One request to one peer, as that peer sees the group (`?peer=`). It follows no hint, and asks nobody else. */
import type { ClientReply, Member, PeerId } from '../peer/protocol.ts';
import type { Budget } from './budget.ts';
import { awaitReady, DEFAULT_GROUP, makeReady } from './founding.ts';
import type { Answered, LeaderAnswer, LeaderRequest } from './leader-request.ts';
import { type Failed, failed } from './outcome.ts';
import { callPeer, QUICK_CALL_MS } from './peer-call.ts';
import type { RouterContext } from './survey.ts';

/** A peer that was just reset comes back within this many tries. */
const MAX_TRIES = 3;

type Ended<T> = Answered<T> | Failed | null;

export interface PeerRequest<T> extends LeaderRequest<T> {
  /** As the client wrote it. */
  readonly peer: string;
  /** Whether only the leader may answer it. */
  readonly leads: boolean;
  readonly writes: boolean;
}

/** Finds the member of that id: the group must exist, and `default` is founded for it if `create`. */
export async function findPeer(
  context: RouterContext,
  group: string,
  peer: string,
  create: boolean,
  budget: Budget,
): Promise<{ readonly ok: true; readonly member: Member } | Failed> {
  const memory = context.directory.of(group);
  const find = (members: readonly Member[]) => members.find(({ id }) => String(id) === peer);
  const known = find(memory.members);
  if (known !== undefined) return { ok: true, member: known };
  const readiness = await awaitReady(context, group, create, budget, MAX_TRIES);
  if (readiness === 'missing' && create === false && group === DEFAULT_GROUP) {
    const member = find(context.firstMembers);
    return member === undefined ? failed('no_such_peer') : { ok: true, member };
  }
  if (readiness === 'missing') return failed('no_such_group');
  if (readiness === 'unavailable' && memory.members.length === 0) {
    const member = find(context.firstMembers);
    return member === undefined ? failed('peer_unreachable') : { ok: true, member };
  }
  const member = find(memory.members);
  return member === undefined ? failed('no_such_peer') : { ok: true, member };
}

export async function askPeer<T>(context: RouterContext, request: PeerRequest<T>): Promise<LeaderAnswer<T>> {
  const { group, peer, budget } = request;
  const target = await findPeer(context, group, peer, group === DEFAULT_GROUP, budget);
  if (!target.ok) return { ...target, uncertain: false };
  return new PeerConversation(context, request, target.member).run();
}

class PeerConversation<T> {
  readonly #context: RouterContext;
  readonly #request: PeerRequest<T>;
  readonly #member: Member;
  /** A write is only sent to a peer that answers: one that is not there is then "nothing was done", for certain. */
  #mayAsk: boolean;
  #lookedUp = false;
  #uncertain = false;
  #overloaded = false;

  constructor(context: RouterContext, request: PeerRequest<T>, member: Member) {
    this.#context = context;
    this.#request = request;
    this.#member = member;
    this.#mayAsk = !request.writes;
  }

  async run(): Promise<LeaderAnswer<T>> {
    const { budget } = this.#request;
    for (let failures = 0; failures < MAX_TRIES && !budget.spent; ) {
      const asks = this.#mayAsk;
      const ended = asks ? await this.#ask() : await this.#check();
      if (ended !== null) return { ...ended, uncertain: this.#uncertain };
      // Having found it alive is no failure.
      if (asks === this.#mayAsk) {
        failures += 1;
        await budget.pause();
      }
    }
    return { ...failed(this.#overloaded ? 'overloaded' : 'peer_unreachable'), uncertain: this.#uncertain };
  }

  async #check(): Promise<Ended<T>> {
    const { group, budget } = this.#request;
    const timeoutMs = budget.takeCall(QUICK_CALL_MS);
    const reply = await callPeer(this.#context.platform, group, this.#member, 'status', {}, timeoutMs);
    if (reply === null) return null;
    if (reply.view.groupId === null) return this.#unfounded();
    this.#mayAsk = true;
    return null;
  }

  async #ask(): Promise<Ended<T>> {
    const { group, budget, writes, request, timeoutMs } = this.#request;
    const { platform, directory } = this.#context;
    const body = { requests: [request()] };
    const reply = await callPeer(platform, group, this.#member, 'client', body, budget.takeCall(timeoutMs));
    if (reply === null) {
      this.#uncertain ||= writes;
      return null;
    }
    if (reply.view.groupId === null) return this.#unfounded();
    directory.of(group).learn(reply.view);
    return this.#handle(reply.replies[0], reply.view.groupId, reply.view.leader);
  }

  #handle(answer: ClientReply | undefined, groupId: string, leader: PeerId | null): Ended<T> {
    const { parse, leads, writes } = this.#request;
    switch (answer?.type) {
      case 'result': {
        const result = parse(answer.result);
        if (result !== null) return { ok: true, result, ageMs: answer.ageMs, groupId };
        break;
      }
      case 'not_leader':
        return this.#doesNotLead(leads ? leader : null);
      case 'refused':
        return failed('not_understood');
      case 'overloaded':
        this.#overloaded = true;
        return null;
      default:
        break;
    }
    this.#uncertain ||= writes;
    return null;
  }

  #doesNotLead(leader: PeerId | null): Failed {
    if (!this.#request.leads) return failed('peer_unreachable');
    return { ok: false, failure: { type: 'not_leader', leader } };
  }

  /** The peer holds nothing: the group is gone, or was never founded, or only this peer was wiped. */
  async #unfounded(): Promise<Ended<T>> {
    const { group, budget } = this.#request;
    if (this.#lookedUp) return this.#doesNotLead(null);
    this.#lookedUp = true;
    const readiness = await makeReady(this.#context, group, group === DEFAULT_GROUP, budget);
    return readiness === 'missing' ? failed('no_such_group') : null;
  }
}
