/**
 * Messages between peers as bytes, and back with every field checked: what is malformed is refused before it touches
 * anything. Unknown fields are ignored (a rolling deploy mixes versions); an unknown `version` is not.
 */
import { z } from 'zod';
import type { AppendEntries, Reply, Request } from '../raft/messages.ts';
import type { Entry } from '../raft/types.ts';
import { configurationSchema, decodeEntry } from './entry-codec.ts';
import { decodeBody, encodeBody } from './protocol.ts';

const MESSAGE_VERSION = 1;
const MAX_MESSAGES = 16;
const MAX_VOTERS = 16;
const MAX_ENTRIES = 4096;
const MAX_ENTRY_BYTES = 1_950_000;
const MAX_CURSOR_BYTES = 4096;

const index = z.int().nonnegative();
const id = z.int().positive();
const bytes = z.instanceof(Uint8Array);
const cursor = bytes.refine(({ byteLength }) => byteLength <= MAX_CURSOR_BYTES);
/** A row holds 2 MB. */
const entryData = bytes.refine(({ byteLength }) => byteLength <= MAX_ENTRY_BYTES);
const address = { term: index, from: id, to: id, seq: index };

const requestSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('RequestVote'),
    ...address,
    preVote: z.boolean(),
    lastLogIndex: index,
    lastLogTerm: index,
    unanswered: z.array(id).max(MAX_VOTERS),
  }),
  z.object({
    type: z.literal('AppendEntries'),
    ...address,
    prevLogIndex: index,
    prevLogTerm: index,
    lastIndex: index,
    leaderCommit: index,
    quiesceRound: index,
    quiesce: z.boolean(),
    entries: z.array(z.tuple([id, entryData])).max(MAX_ENTRIES),
  }),
  z.object({
    type: z.literal('InstallSnapshot'),
    ...address,
    cutId: z.string().min(1).max(64),
    lastIncludedIndex: id,
    lastIncludedTerm: id,
    configuration: configurationSchema,
    chunk: index,
    cursor: cursor.nullable(),
    page: z.object({ applyVersion: id, data: bytes, next: cursor.nullable(), header: z.unknown() }),
  }),
]);

const replySchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('RequestVoteReply'),
    ...address,
    preVote: z.boolean(),
    voteGranted: z.boolean(),
    retryAfterMs: z.number().nonnegative().nullable(),
  }),
  z.object({
    type: z.literal('AppendEntriesReply'),
    ...address,
    success: z.boolean(),
    applyVersion: id,
    matchIndex: index,
    conflictIndex: index,
    conflictTerm: index,
    quiesced: z.boolean(),
  }),
  z.object({
    type: z.literal('InstallSnapshotReply'),
    ...address,
    cutId: z.string().max(64),
    outcome: z.enum(['staged', 'installed', 'refused']),
    chunk: index,
    cursor: cursor.nullable(),
  }),
]);

/** `depth`: how many calls between objects led to this one. */
const envelopeSchema = z.object({
  version: z.literal(MESSAGE_VERSION),
  groupId: z.string().min(1).max(64),
  from: id,
  depth: index.max(1000),
  messages: z.array(requestSchema).min(1).max(MAX_MESSAGES),
});

const answerSchema = z.object({
  version: z.literal(MESSAGE_VERSION),
  /** Null: the asked object belongs to no group. */
  groupId: z.string().max(64).nullable(),
  replies: z.array(replySchema).max(MAX_MESSAGES),
});

export interface Envelope {
  readonly groupId: string;
  readonly from: number;
  readonly depth: number;
  readonly messages: readonly Request[];
}

/** A log row ready to be sent: with its bytes as they are stored, so that nothing is encoded again. */
export interface StoredEntry {
  readonly entry: Entry;
  readonly data: Uint8Array;
}

export type OutgoingRequest =
  | { readonly message: Exclude<Request, AppendEntries> }
  | { readonly message: AppendEntries; readonly stored: readonly StoredEntry[] };

export function encodeEnvelope(envelope: Omit<Envelope, 'messages'>, requests: readonly OutgoingRequest[]): Uint8Array {
  const messages = requests.map((request) =>
    'stored' in request
      ? { ...request.message, entries: request.stored.map(({ entry, data }) => [entry.term, data]) }
      : request.message,
  );
  return encodeBody({ version: MESSAGE_VERSION, ...envelope, messages });
}

/** Null: malformed, or of a version that is not understood. */
export function decodeEnvelope(body: Uint8Array): Envelope | null {
  const parsed = parse(envelopeSchema, body);
  if (parsed === null) return null;
  const messages: Request[] = [];
  for (const message of parsed.messages) {
    if (message.from !== parsed.from) return null;
    if (message.type === 'InstallSnapshot' && message.lastIncludedTerm > message.term) return null;
    if (message.type !== 'AppendEntries') {
      messages.push(message);
      continue;
    }
    const entries = decodeEntries(message.prevLogIndex, message.prevLogTerm, message.term, message.entries);
    if (entries === null || message.lastIndex !== message.prevLogIndex + entries.length) return null;
    messages.push({ ...message, entries });
  }
  return { ...parsed, messages };
}

/** Terms never decrease along a log, and no entry is newer than the leader's term. */
function decodeEntries(
  prevIndex: number,
  prevTerm: number,
  term: number,
  rows: [number, Uint8Array][],
): Entry[] | null {
  let lastTerm = prevTerm;
  const entries: Entry[] = [];
  for (const [entryTerm, data] of rows) {
    if (entryTerm < lastTerm || entryTerm > term) return null;
    lastTerm = entryTerm;
    entries.push(decodeEntry(prevIndex + 1 + entries.length, entryTerm, data));
  }
  return entries;
}

export function encodeAnswer(groupId: string | null, replies: readonly Reply[]): Uint8Array {
  return encodeBody({ version: MESSAGE_VERSION, groupId, replies });
}

export function decodeAnswer(body: Uint8Array): { groupId: string | null; replies: Reply[] } | null {
  return parse(answerSchema, body);
}

function parse<T>(schema: z.ZodType<T>, body: Uint8Array): T | null {
  try {
    const parsed = schema.safeParse(decodeBody(body));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
