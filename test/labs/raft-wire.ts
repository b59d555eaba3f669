/**
 * What a message takes on the wire, in bytes: exactly what the production codec (src/peer/message-codec.ts) would make of it,
 * without making it, which would cost more than everything else in these tests. raft-wire.test.ts compares the two on
 * every message of whole runs.
 */
import { encodeEntry } from '../../src/peer/entry-codec.ts';
import type { Reply, Request } from '../../src/raft/messages.ts';
import type { Configuration, Entry } from '../../src/raft/types.ts';

/** Of the length that production draws. */
export const GROUP_ID = '0123456789abcdef0123456789abcdef';
/** What an alarm or a client makes a peer say; 0 to 4 take the same room. */
export const DEPTH = 1;

const entryLengths = new WeakMap<Entry, number>();

/** Bytes of the entry as it lies in a log row, and as it travels. */
export function encodedEntryBytes(entry: Entry): number {
  const known = entryLengths.get(entry);
  if (known !== undefined) return known;
  const bytes = encodeEntry(entry).byteLength;
  entryLengths.set(entry, bytes);
  return bytes;
}

export function encodedConfigurationBytes(configuration: Configuration): number {
  return sizeOf(configuration);
}

/** Of the body of a request: one message in an envelope. */
export function requestBytes(request: Request): number {
  const envelope = { version: 1, groupId: GROUP_ID, from: request.from, depth: DEPTH };
  let bytes = sizeOf(envelope) + sizeOf('messages') + 1;
  bytes += request.type === 'AppendEntries' ? appendEntriesBytes(request) : sizeOf(request);
  return bytes;
}

function appendEntriesBytes(request: Request & { type: 'AppendEntries' }): number {
  const { entries } = request;
  // As if there were none, whose array takes one byte; then the array that there is.
  let bytes = sizeOf({ ...request, entries: null }) - 1 + arrayHeaderBytes(entries.length);
  for (const entry of entries) {
    const length = encodedEntryBytes(entry);
    bytes += 1 + integerBytes(entry.term) + binaryHeaderBytes(length) + length;
  }
  return bytes;
}

/** Of the body of an answer: one reply. */
export function replyBytes(reply: Reply): number {
  return sizeOf({ version: 1, groupId: GROUP_ID }) + sizeOf('replies') + 1 + sizeOf(reply);
}

// ---- MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md)

function sizeOf(value: unknown): number {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? integerBytes(value) : 9;
  if (typeof value === 'string') return textBytes(value);
  if (value === null || typeof value === 'boolean') return 1;
  if (value instanceof Uint8Array) return binaryHeaderBytes(value.byteLength) + value.byteLength;
  if (Array.isArray(value))
    return value.reduce((sum: number, item) => sum + sizeOf(item), arrayHeaderBytes(value.length));
  let bytes = 0;
  let keys = 0;
  for (const key in value as object) {
    bytes += textBytes(key) + sizeOf((value as Record<string, unknown>)[key]);
    keys += 1;
  }
  return arrayHeaderBytes(keys) + bytes;
}

function integerBytes(value: number): number {
  if (value < 0) throw new RangeError('no message has a negative number');
  if (value < 0x80) return 1;
  if (value < 0x100) return 2;
  if (value < 0x1_0000) return 3;
  return value < 0x1_0000_0000 ? 5 : 9;
}

/** Names of fields and ids: ASCII, all of them. */
function textBytes({ length }: string): number {
  return (length < 32 ? 1 : length < 0x100 ? 2 : length < 0x1_0000 ? 3 : 5) + length;
}

function binaryHeaderBytes(length: number): number {
  return length < 0x100 ? 2 : length < 0x1_0000 ? 3 : 5;
}

/** Of a map as well. */
function arrayHeaderBytes(length: number): number {
  return length < 16 ? 1 : length < 0x1_0000 ? 3 : 5;
}
