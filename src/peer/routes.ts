/**
 * The object's routes: from other peers (`raft`, `founding/…`) and from the router (protocol.ts). All are reached through
 * stubs only. A body that does not fit its schema is refused before anything happens.
 */
import { z } from 'zod';
import { memberSchema } from './entry-codec.ts';
import { type AskReply, askSchema, type StoreReply, spreadGroupId, storeSchema } from './founding.ts';
import { decodeEnvelope, encodeAnswer } from './message-codec.ts';
import type { Peer } from './peer.ts';
import { decodeBody, encodeBody, type Fault, objectName } from './protocol.ts';
import { statusOf, viewOf } from './report.ts';

export class RouteError extends Error {
  override readonly name = 'RouteError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const MAX_REQUESTS = 1024;
/** How long the answer to a crash order has to leave. */
const CRASH_DELAY_MS = 10;

const clientSchema = z.object({
  requests: z
    .array(
      z.discriminatedUnion('type', [
        z.object({ type: z.literal('submit'), command: z.unknown() }),
        z.object({ type: z.literal('query'), consistency: z.enum(['linearizable', 'stale']), query: z.unknown() }),
      ]),
    )
    .max(MAX_REQUESTS),
});
const foundSchema = z.object({ members: z.array(memberSchema).min(1).max(7), nonce: z.string().max(64) });
const deleteSchema = z.object({ groupId: z.string().min(1).max(64) });
const milliseconds = z.number().nonnegative().max(3_600_000);
const chaosSchema = z.object({
  fault: z.discriminatedUnion('action', [
    z.object({ action: z.literal('crash') }),
    z.object({ action: z.literal('isolate') }),
    z.object({ action: z.literal('cut'), from: z.int().positive() }),
    z.object({ action: z.literal('drop'), rate: z.number().min(0).max(1) }),
    z.object({ action: z.literal('delay'), minMs: milliseconds, maxMs: milliseconds }),
    z.object({ action: z.literal('heal') }),
  ]),
});

export interface RouteOptions {
  /** Whether the faults of `chaos` may be set. */
  readonly chaos: boolean;
}

/** One request to the object. Throws RouteError (the caller's fault), PeerGone or MessageLost (as if nobody answered). */
export async function handleRoute(
  peer: Peer,
  route: string,
  body: Uint8Array,
  options: RouteOptions,
): Promise<Uint8Array> {
  switch (route) {
    case 'raft':
      return handleRaft(peer, body);
    case 'founding/ask':
      return handleAsk(peer, body);
    case 'founding/store':
      return handleStore(peer, body);
    default:
      return handleRouterRoute(peer, route, body, options);
  }
}

function parse<T>(schema: z.ZodType<T>, body: Uint8Array): T {
  try {
    return schema.parse(decodeBody(body));
  } catch {
    throw new RouteError(400, 'malformed body');
  }
}

// ---- from other peers

async function handleRaft(peer: Peer, body: Uint8Array): Promise<Uint8Array> {
  const envelope = decodeEnvelope(body);
  if (envelope === null) throw new RouteError(400, 'malformed message');
  return peer.calls.faults.incoming(envelope.from, async () => {
    peer.beginEvent(envelope.depth);
    const { identity } = peer;
    if (identity === null) return encodeAnswer(null, []);
    if (envelope.groupId !== identity.groupId) throw new RouteError(409, 'another group');
    if (envelope.messages.some((message) => message.to !== identity.id)) throw new RouteError(409, 'another peer');
    const answer = encodeAnswer(identity.groupId, peer.receive(envelope.messages));
    peer.calls.countAnswered(body.byteLength, answer.byteLength);
    return answer;
  });
}

async function handleAsk(peer: Peer, body: Uint8Array): Promise<Uint8Array> {
  const { depth, from } = parse(askSchema, body);
  return peer.calls.faults.incoming(from, async () => {
    peer.beginEvent(depth);
    const hasLog = peer.raft !== null && peer.raft.log.lastIndex > 0;
    return encodeBody({ nonce: peer.nonce, groupId: peer.identity?.groupId ?? null, hasLog } satisfies AskReply);
  });
}

async function handleStore(peer: Peer, body: Uint8Array): Promise<Uint8Array> {
  const { depth, from, groupId, nonce, id } = parse(storeSchema, body);
  return peer.calls.faults.incoming(from, async () => {
    peer.beginEvent(depth);
    if (peer.identity === null && nonce === peer.nonce) peer.join({ groupId, id }, null);
    return encodeBody({ stored: peer.identity?.groupId === groupId } satisfies StoreReply);
  });
}

// ---- from the router

async function handleRouterRoute(
  peer: Peer,
  route: string,
  body: Uint8Array,
  options: RouteOptions,
): Promise<Uint8Array> {
  peer.beginEvent(0);
  switch (route) {
    case 'client': {
      const { requests } = parse(clientSchema, body);
      peer.counters.clientCalls += 1;
      peer.counters.clientRequests += requests.length;
      const replies = await peer.submit(requests);
      return reply(peer, { replies });
    }
    case 'stand':
      peer.stand();
      return reply(peer, {});
    case 'status':
      peer.lookAtClock();
      return reply(peer, { status: statusOf(peer) });
    case 'found':
      return reply(peer, { complete: await found(peer, parse(foundSchema, body)) });
    case 'delete':
      return reply(peer, { deleted: await deleteAll(peer, parse(deleteSchema, body).groupId) });
    case 'chaos':
      if (!options.chaos) throw new RouteError(404, 'no such route');
      inject(peer, parse(chaosSchema, body).fault);
      return reply(peer, {});
    default:
      throw new RouteError(404, 'no such route');
  }
}

function reply(peer: Peer, rest: Record<string, unknown>): Uint8Array {
  return encodeBody({ view: viewOf(peer), ...rest });
}

async function found(peer: Peer, { members, nonce }: z.infer<typeof foundSchema>): Promise<boolean> {
  const [first] = members;
  const inOrder = members.every(({ id, slot, incarnation }, i) => id === i + 1 && slot === id && incarnation === 1);
  if (first === undefined || !inOrder || members.length % 2 === 0)
    throw new RouteError(400, 'not the members of a new group');
  if (peer.platform.objectName !== objectName(peer.group, first)) throw new RouteError(409, 'slot 1 founds a group');
  if (peer.raft !== null && peer.raft.log.lastIndex > 0) return true;
  if (peer.identity === null) {
    // A duplicate that comes late, after a deletion perhaps, founds nothing.
    if (nonce !== peer.nonce) return false;
    peer.join({ groupId: peer.platform.randomId(), id: first.id }, members);
  }
  // What was stored counts, not what this request says: another one may have come first, with other members.
  const stored = peer.storage.foundingMembers();
  if (stored === null || peer.identity === null) return false;
  await peer.platform.sync();
  const spread = await spreadGroupId(peer.identity.groupId, stored.slice(1), {
    from: first.id,
    call: (member, route, body) =>
      mayGive(peer) ? peer.calls.call(peer.group, member, route, body(peer.calls.depth)) : null,
  });
  if (spread) await peer.found(stored);
  return spread;
}

/** Once entry 1 is written, nobody is given the groupId any more: a member that lost everything since must stay out. */
function mayGive(peer: Peer): boolean {
  return peer.calls.budget > 0 && peer.raft?.log.lastIndex === 0;
}

async function deleteAll(peer: Peer, groupId: string): Promise<boolean> {
  if (peer.identity === null) {
    // A founding that broke off may still have a request on its way here.
    peer.renewNonce();
    return true;
  }
  if (peer.identity.groupId !== groupId) return false;
  peer.close();
  try {
    await peer.platform.deleteAll();
  } finally {
    // Whether it is gone or not, this instance must be.
    peer.platform.setTimer(0, () => peer.platform.abort('deleted'));
  }
  return true;
}

function inject(peer: Peer, fault: Fault): void {
  if (fault.action === 'crash') {
    peer.platform.setTimer(CRASH_DELAY_MS, () => peer.platform.abort('crash ordered by /chaos'));
    return;
  }
  if (fault.action === 'delay' && fault.minMs > fault.maxMs) throw new RouteError(400, 'minMs is more than maxMs');
  peer.turn(() => peer.calls.faults.set(fault));
}
