/**
 * What a turn sends to other peers. A request is filled in (entries, a snapshot's page) when the core asks for it, since the log may
 * change later in the turn, and leaves at the turn's end, after all of its writes.
 */
import { invariant } from '../raft/invariant.ts';
import type { Reply, Request } from '../raft/messages.ts';
import type { Member, PeerId } from '../raft/types.ts';
import { decodeAnswer, encodeEnvelope, type OutgoingRequest } from './message-codec.ts';
import type { Peer } from './peer.ts';

const SNAPSHOT_PAGE_BYTES = 1_000_000;

interface OutgoingCall {
  readonly to: Member;
  readonly request: OutgoingRequest;
}

export class Outbox {
  readonly #peer: Peer;
  #calls: OutgoingCall[] = [];
  /** Of the open cut: goes with each of its pages. */
  cutHeader: unknown = null;

  constructor(peer: Peer) {
    this.#peer = peer;
  }

  get size(): number {
    return this.#calls.length;
  }

  clear(): void {
    this.#calls = [];
  }

  add(message: Request): void {
    this.#calls.push({ to: this.#member(message.to), request: this.#filledIn(message) });
  }

  #filledIn(message: Request): OutgoingRequest {
    const { storage, stateMachine } = this.#peer;
    if (message.type === 'AppendEntries') {
      return { message, stored: storage.entries(message.prevLogIndex + 1, message.lastIndex) };
    }
    if (message.type !== 'InstallSnapshot') return { message };
    const { page: data, next } = stateMachine.snapshotPage(message.cursor, SNAPSHOT_PAGE_BYTES);
    const page = { applyVersion: stateMachine.applyVersion, data, next, header: this.cutHeader };
    return { message: { ...message, page } };
  }

  #member(id: PeerId): Member {
    const member = this.#peer.raft?.configuration?.voters.find((voter) => voter.id === id);
    invariant(member !== undefined, 'only members are called');
    return member;
  }

  /** Each call's answer, or its failure, is an input of a later turn. */
  send(): void {
    const calls = this.#calls;
    this.#calls = [];
    for (const call of calls) this.#send(call);
  }

  #send({ to, request }: OutgoingCall): void {
    const { identity, calls, group } = this.#peer;
    invariant(identity !== null, 'only a member calls');
    const envelope = { groupId: identity.groupId, from: identity.id, depth: calls.depth };
    const { seq, type } = request.message;
    calls.call(group, to, 'raft', encodeEnvelope(envelope, [request])).then(
      (body) => this.#onAnswer(to.id, `${type}Reply`, seq, body),
      () => this.#peer.onCallFailed(to.id, seq),
    );
  }

  #onAnswer(from: PeerId, type: Reply['type'], seq: number, body: Uint8Array): void {
    const { identity } = this.#peer;
    const answer = decodeAnswer(body);
    const reply = answer?.replies[0];
    const valid = answer?.groupId === identity?.groupId && reply?.from === from && reply.to === identity?.id;
    if (!valid || reply?.type !== type || reply.seq !== seq) this.#peer.onCallFailed(from, seq);
    else this.#peer.onReply(reply);
  }
}
