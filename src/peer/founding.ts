/**
 * Founding a group. Slot 1 draws a groupId, stores it with the members, and has every
 * member store it; only when all have it is entry 1 written. A request to store quotes a nonce that the asked instance
 * made in memory, so that a duplicate that comes late, after a deletion perhaps, founds nothing.
 */
import { z } from 'zod';
import type { Member } from '../raft/types.ts';
import { decodeBody, encodeBody } from './protocol.ts';

export const askSchema = z.object({ depth: z.int().nonnegative(), from: z.int().positive() });
export const storeSchema = z.object({
  depth: z.int().nonnegative(),
  from: z.int().positive(),
  groupId: z.string().min(1).max(64),
  nonce: z.string().max(64),
  id: z.int().positive(),
});

const askReplySchema = z.object({
  nonce: z.string().max(64),
  groupId: z.string().max(64).nullable(),
  hasLog: z.boolean(),
});
const storeReplySchema = z.object({ stored: z.boolean() });

export type Ask = z.infer<typeof askSchema>;
export type Store = z.infer<typeof storeSchema>;
export type AskReply = z.infer<typeof askReplySchema>;
export type StoreReply = z.infer<typeof storeReplySchema>;

export interface FoundingCalls {
  readonly from: number;
  /** Null: no more calls for this event; the founding goes on with the next request. */
  call(member: Member, route: string, body: (depth: number) => Uint8Array): Promise<Uint8Array> | null;
}

/** Whether every one of `members` now holds the groupId. Never throws: a member that cannot be reached has not. */
export async function spreadGroupId(
  groupId: string,
  members: readonly Member[],
  calls: FoundingCalls,
): Promise<boolean> {
  const stored = await Promise.all(members.map((member) => giveGroupId(groupId, member, calls).catch(() => false)));
  return stored.every(Boolean);
}

async function giveGroupId(groupId: string, member: Member, calls: FoundingCalls): Promise<boolean> {
  const { from } = calls;
  const asked = await calls.call(member, 'founding/ask', (depth) => encodeBody({ depth, from } satisfies Ask));
  if (asked === null) return false;
  const state = askReplySchema.parse(decodeBody(asked));
  if (state.groupId !== null) return state.groupId === groupId;
  if (state.hasLog) return false;
  const answered = await calls.call(member, 'founding/store', (depth) =>
    encodeBody({ depth, from, groupId, nonce: state.nonce, id: member.id } satisfies Store),
  );
  return answered !== null && storeReplySchema.parse(decodeBody(answered)).stored;
}
