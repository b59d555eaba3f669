/** What peers may reply. Peers of a newer version may add fields, which are ignored; anything else counts as no reply. */
import type { Answer, Command, CommandResult, Query } from '../kv/commands.ts';
import { MAX_PAGE_ITEMS } from '../kv/limits.ts';
import type { Reply, RouterRoute } from '../peer/protocol.ts';
import { z } from './validation.ts';

const count = z.int().nonnegative();
const id = z.int().positive();
const bytes = z.instanceof(Uint8Array);

export const MAX_MEMBERS = 16;

const member = z.object({ id, slot: id, incarnation: id, locationHint: z.string().max(16) });

const view = z.object({
  groupId: z.string().min(1).max(64).nullable(),
  nonce: z.string().max(64),
  founding: z.boolean(),
  id: id.nullable(),
  term: count,
  leader: id.nullable(),
  members: z.array(member).max(MAX_MEMBERS),
});

const ageMs = z.number().nonnegative().nullable();

const clientReply = z.discriminatedUnion('type', [
  z.object({ type: z.literal('result'), result: z.unknown(), ageMs }),
  z.object({ type: z.literal('not_leader') }),
  z.object({ type: z.literal('overloaded') }),
  z.object({ type: z.literal('unknown') }),
  z.object({ type: z.literal('refused') }),
]);

const status = z.object({
  role: z.enum(['leader', 'follower', 'candidate', 'unfounded']),
  commitIndex: count,
  lastApplied: count,
  firstIndex: count,
  lastIndex: count,
  snapshotIndex: count,
  logBytes: count,
  stateHash: z.string().max(128),
  lastContactMs: ageMs,
  quiesced: z.boolean(),
  metrics: z.record(z.string().max(128), z.number()),
});

export const replySchemas: { readonly [R in RouterRoute]: z.ZodType<Reply<R>> } = {
  client: z.object({ view, replies: z.array(clientReply).max(1024) }) as z.ZodType<Reply<'client'>>,
  stand: z.object({ view }),
  status: z.object({ view, status }),
  found: z.object({ view, complete: z.boolean() }),
  delete: z.object({ view, deleted: z.boolean() }),
  chaos: z.object({ view }),
};

const replayed = z.boolean();

const commandResult = z.discriminatedUnion('type', [
  z.object({ type: z.literal('written'), created: z.boolean(), revision: count, version: id, replayed }),
  z.object({ type: z.literal('deleted'), revision: count, deleted: z.union([z.literal(0), z.literal(1)]), replayed }),
  z.object({ type: z.literal('precondition_failed'), modRevision: id.nullable(), replayed }),
  z.object({ type: z.literal('value_too_large'), replayed }),
  z.object({ type: z.literal('storage_full'), replayed }),
  z.object({ type: z.literal('session_expired') }),
  z.object({ type: z.literal('seq_reused') }),
  z.object({ type: z.literal('seq_acknowledged') }),
  z.object({ type: z.literal('sessions_full') }),
]);

const item = z.object({ key: bytes, value: bytes, createRevision: id, modRevision: id, version: id });

const answer = z.discriminatedUnion('type', [
  z.object({ type: z.literal('value'), item, revision: count }),
  z.object({ type: z.literal('missing'), revision: count }),
  z.object({
    type: z.literal('page'),
    items: z.array(item).max(MAX_PAGE_ITEMS),
    more: z.boolean(),
    nextAfter: bytes.nullable(),
    revision: count,
    storeRevision: count,
  }),
  z.object({ type: z.literal('compacted'), revision: count }),
  z.object({ type: z.literal('behind'), revision: count }),
]);

/** Null: not a result that this version knows, or that of another operation. */
export function parseCommandResult(op: Command['op'], value: unknown): CommandResult | null {
  const result = commandResult.safeParse(value).data ?? null;
  const another = op === 'delete' ? 'written' : 'deleted';
  return result?.type === another ? null : result;
}

/** Null: not an answer that this version knows, or that to another question. */
export function parseAnswer(asked: Query['type'], value: unknown): Answer | null {
  const said = answer.safeParse(value).data ?? null;
  const isOfOneKey = said?.type === 'value' || said?.type === 'missing';
  return isOfOneKey === (asked === 'get') ? said : null;
}
