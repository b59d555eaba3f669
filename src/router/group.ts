/**
 * The group client: everything that the router knows about talking to groups. No Hono, no HTTP of clients, no global
 * clock, so the simulator runs it on simulated time. It remembers who led last, and nothing whose loss would matter.
 */
import type { Fault, Member, Reply } from '../peer/protocol.ts';
import { Budget } from './budget.ts';
import { createGroup, DEFAULT_GROUP, deleteGroup } from './founding.ts';
import { GroupDirectory } from './group-memory.ts';
import { type Failed, failed } from './outcome.ts';
import { callPeer, QUICK_CALL_MS } from './peer-call.ts';
import { findPeer } from './peer-request.ts';
import type { RouterPlatform } from './platform.ts';
import { type Read, type ReadOutcome, read } from './read.ts';
import { type Existence, lookUp, membersOfHints, type RouterContext, type Survey, survey } from './survey.ts';
import { type Write, type WriteOutcome, write } from './write.ts';

const PEER_TRIES = 3;
const EXISTENCE_MS = 5000;

export class GroupClient {
  readonly platform: RouterPlatform;
  readonly #context: RouterContext;

  /** `locationHints`: PEERS, one for each peer of a new group. `coalescing`: whether requests share calls. */
  constructor(platform: RouterPlatform, locationHints: readonly string[], coalescing = true) {
    this.platform = platform;
    const firstMembers = membersOfHints(locationHints);
    const directory = new GroupDirectory(platform, firstMembers, coalescing);
    this.#context = { platform, directory, firstMembers };
  }

  /** Each of these resolves within 10 s of its call, whatever happens, and never rejects because of a peer. */
  write(group: string, request: Write): Promise<WriteOutcome> {
    return write(this.#context, group, request, new Budget(this.platform));
  }

  read(group: string, request: Read, budget: Budget = new Budget(this.platform)): Promise<ReadOutcome> {
    return read(this.#context, group, request, budget);
  }

  create(group: string) {
    return createGroup(this.#context, group, new Budget(this.platform));
  }

  delete(group: string) {
    return deleteGroup(this.#context, group, new Budget(this.platform));
  }

  survey(group: string): Promise<Survey> {
    return survey(this.#context, group, new Budget(this.platform));
  }

  /** For a request that has failed otherwise, and may have taken a while already. */
  async existence(group: string): Promise<Existence> {
    return (await lookUp(this.#context, group, new Budget(this.platform, EXISTENCE_MS))).existence;
  }

  /** One member's status; founds nothing. */
  async status(
    group: string,
    peer: string,
  ): Promise<{ readonly ok: true; readonly member: Member; readonly reply: Reply<'status'> } | Failed> {
    const budget = new Budget(this.platform);
    const target = await findPeer(this.#context, group, peer, false, budget);
    if (!target.ok) return target;
    return this.#statusOf(group, target.member, budget);
  }

  async #statusOf(group: string, member: Member, budget: Budget) {
    const reply = await this.#insist(group, member, 'status', {}, budget);
    if (reply === null) return failed('peer_unreachable');
    if (reply.view.groupId === null && group !== DEFAULT_GROUP) {
      const { existence } = await lookUp(this.#context, group, budget);
      if (existence === 'missing') return failed('no_such_group');
    }
    return { ok: true as const, member, reply };
  }

  /** Sets the fault that `makeFault` makes for one member; null: it does not suit the members. */
  async fault(
    group: string,
    peer: string,
    makeFault: (members: readonly Member[], target: Member) => Fault | null,
  ): Promise<{ readonly ok: true } | Failed | 'bad_fault'> {
    const budget = new Budget(this.platform);
    const target = await findPeer(this.#context, group, peer, group === DEFAULT_GROUP, budget);
    if (!target.ok) return target;
    const present = await this.#statusOf(group, target.member, budget);
    if (!present.ok) return present;
    const { members } = this.#context.directory.of(group);
    const fault = makeFault(members.length > 0 ? members : this.#context.firstMembers, target.member);
    if (fault === null) return 'bad_fault';
    const reply = await this.#insist(group, target.member, 'chaos', { fault }, budget);
    return reply === null ? failed('peer_unreachable') : { ok: true };
  }

  async #insist<R extends 'status' | 'chaos'>(
    group: string,
    member: Member,
    route: R,
    request: R extends 'chaos' ? { fault: Fault } : Record<string, never>,
    budget: Budget,
  ): Promise<Reply<R> | null> {
    for (let i = 0; i < PEER_TRIES && !budget.spent; i += 1) {
      if (i > 0) await budget.pause();
      const timeoutMs = budget.takeCall(QUICK_CALL_MS);
      const reply = await callPeer(this.platform, group, member, route, request as never, timeoutMs);
      if (reply !== null) return reply;
    }
    return null;
  }
}
