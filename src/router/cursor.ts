/** Where a listing goes on. A cursor is good for one group, prefix and encoding: it carries the group's id, and a digest of the rest. */
import { decode, encode } from '../encoding/message-pack.ts';
import { MAX_KEY_BYTES } from '../kv/limits.ts';
import { fromBase64Url, toBase64Url } from './base64.ts';
import { digestOf } from './digest.ts';
import { invalid } from './problem.ts';
import { z } from './validation.ts';

export interface Cursor {
  /** Of the group that answered: one that was deleted and created anew by the same name has other revisions. */
  readonly groupId: string;
  /** All pages of a listing show the store at this revision. */
  readonly revision: number;
  /** The page holds keys greater than this one. */
  readonly after: Uint8Array;
}

/** What a cursor belongs to. */
export interface Listing {
  readonly group: string;
  readonly prefix: Uint8Array;
  readonly encoding: string;
}

const VERSION = 2;
const MAX_GROUP_ID_CHARACTERS = 64;
/** Version, revision, key, digest and id in MessagePack take at most 150 bytes more than the key. */
export const MAX_CURSOR_CHARACTERS = Math.ceil(((MAX_KEY_BYTES + 150) * 4) / 3);

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const schema = z.tuple([
  z.literal(VERSION),
  z.int().nonnegative(),
  z.instanceof(Uint8Array).refine((key) => key.byteLength >= 1 && key.byteLength <= MAX_KEY_BYTES && isUtf8(key)),
  z.instanceof(Uint8Array),
  z.string().max(MAX_GROUP_ID_CHARACTERS),
]);

function isUtf8(bytes: Uint8Array): boolean {
  try {
    strictUtf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function belonging({ group, prefix, encoding }: Listing): Promise<Uint8Array> {
  return digestOf(group, prefix, encoding);
}

export async function encodeCursor({ revision, after, groupId }: Cursor, listing: Listing): Promise<string> {
  return toBase64Url(encode([VERSION, revision, after, await belonging(listing), groupId]));
}

/** Throws the 400 problem on what `encodeCursor` did not make for this listing. */
export async function parseCursor(text: string, listing: Listing): Promise<Cursor> {
  const bytes = text.length <= MAX_CURSOR_CHARACTERS ? fromBase64Url(text) : null;
  const fields = bytes === null ? null : decodeFields(bytes);
  if (fields === null) throw invalid('The cursor is malformed.');
  const [, revision, after, given, groupId] = fields;
  const expected = await belonging(listing);
  const same = given.length === expected.length && given.every((byte, i) => byte === expected[i]);
  if (!same) throw invalid('The cursor belongs to another listing: group, prefix and encoding must stay the same.');
  return { revision, after, groupId };
}

function decodeFields(bytes: Uint8Array): z.infer<typeof schema> | null {
  try {
    return schema.parse(decode(bytes));
  } catch {
    return null;
  }
}
