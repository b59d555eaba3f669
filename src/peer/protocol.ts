/**
 * What the router and the objects say to each other: `POST https://peer/<route>`, MessagePack both ways, status 200.
 * Only a stub reaches these routes; the router forwards no path of a client's.
 */
import { decode, encode } from '../encoding/message-pack.ts';
import type { Member, PeerId } from '../raft/types.ts';

export type { Member, PeerId };

/** Object names carry slot and incarnation, so that a replaced peer is another object. */
export function objectName(group: string, member: Pick<Member, 'slot' | 'incarnation'>): string {
  return `${group}/${member.slot}.${member.incarnation}`;
}

/** Comes with every reply. `groupId` null: the object is unfounded, and the rest is empty. */
export interface PeerView {
  readonly groupId: string | null;
  /** Made by this instance, in memory: a request to found quotes it. */
  readonly nonce: string;
  /** The peer has the groupId, but the group's founding is not complete as far as this peer knows. */
  readonly founding: boolean;
  readonly id: PeerId | null;
  readonly term: number;
  /** Whom this peer follows (itself, if it leads); null: it knows of none. */
  readonly leader: PeerId | null;
  /** The members in the newest configuration that this peer has; empty before it has one. */
  readonly members: readonly Member[];
}

export type ClientRequest =
  | { readonly type: 'submit'; readonly command: unknown }
  | { readonly type: 'query'; readonly consistency: 'linearizable' | 'stale'; readonly query: unknown };

export type ClientReply =
  /** ageMs (queries only): since this peer last heard from the leader (leader: since a quorum last answered it); null: never. */
  | { readonly type: 'result'; readonly result: unknown; readonly ageMs: number | null }
  /**
   * Nothing was done: this peer does not lead, or lost its leadership before it did anything. True of the call because the platform
   * never runs one twice (https://developers.cloudflare.com/durable-objects/best-practices/automatic-retries/).
   */
  | { readonly type: 'not_leader' }
  /** Nothing was done: too much is under way. */
  | { readonly type: 'overloaded' }
  /** The command may or may not be applied: leadership was lost after it had been written. */
  | { readonly type: 'unknown' }
  /** Nothing was done: the command or query is not understood by this version. */
  | { readonly type: 'refused' };

export interface PeerStatus {
  readonly role: 'leader' | 'follower' | 'candidate' | 'unfounded';
  readonly commitIndex: number;
  readonly lastApplied: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly snapshotIndex: number;
  readonly logBytes: number;
  readonly stateHash: string;
  /** As `ageMs` above; on a leader that is awake its election and its wake-up count as answers. */
  readonly lastContactMs: number | null;
  readonly quiesced: boolean;
  /** Prometheus samples: name without prefix, value. */
  readonly metrics: Record<string, number>;
}

/** Faults for tests, each kind replacing itself; only behind CHAOS. */
export type Fault =
  | { readonly action: 'crash' }
  | { readonly action: 'isolate' }
  | { readonly action: 'cut'; readonly from: PeerId }
  | { readonly action: 'drop'; readonly rate: number }
  | { readonly action: 'delay'; readonly minMs: number; readonly maxMs: number }
  | { readonly action: 'heal' };

/** Routes for the router: body and reply of each. Every reply is `Reply<T>`. */
export interface RouterRoutes {
  /** A batch; replies in the order of the requests, when all of them have theirs. */
  client: { request: { requests: ClientRequest[] }; reply: { replies: ClientReply[] } };
  /** "The leader does not answer: stand for election as soon as the rules allow." Idempotent. */
  stand: { request: object; reply: object };
  status: { request: object; reply: { status: PeerStatus } };
  /** Only to slot 1: found a group of these members, or go on with a founding that is under way (of the members stored
   * then). Replies when it is complete, or with `complete: false` when another peer could not be reached or refused. */
  found: { request: { members: Member[]; nonce: string }; reply: { complete: boolean } };
  /** Deletes everything if the object holds this groupId; an object without one is fine too. */
  delete: { request: { groupId: string }; reply: { deleted: boolean } };
  chaos: { request: { fault: Fault }; reply: object };
}
export type RouterRoute = keyof RouterRoutes;

export type Reply<R extends RouterRoute> = { readonly view: PeerView } & RouterRoutes[R]['reply'];

/** Largest body of a batch or message, in bytes. A batch of the router must stay below. */
export const MAX_BODY_BYTES = 8 * 1024 * 1024;

export function encodeBody(body: unknown): Uint8Array<ArrayBuffer> {
  return encode(body);
}

/** Throws RangeError or DecodeError on anything that is not one whole MessagePack value within the limit. */
export function decodeBody(bytes: Uint8Array): unknown {
  if (bytes.byteLength > MAX_BODY_BYTES) throw new RangeError(`body of ${bytes.byteLength} bytes`);
  return decode(bytes);
}
