/** What counts as a well-formed key, digest, id or number: one definition for commands, entries and snapshots. */
import { MAX_CLERK_ID_CHARACTERS, MAX_KEY_BYTES, MAX_VALUE_BYTES } from './limits.ts';

/** Length of every digest and hash that is stored, in bytes. */
export const DIGEST_BYTES = 16;

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const clerkId = new RegExp(`^[A-Za-z0-9_-]{1,${MAX_CLERK_ID_CHARACTERS}}$`);

export function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array;
}

export function isUtf8(bytes: Uint8Array): boolean {
  try {
    strictUtf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

export function isKey(value: unknown): value is Uint8Array {
  return isBytes(value) && value.byteLength >= 1 && value.byteLength <= MAX_KEY_BYTES && isUtf8(value);
}

export function isKeyPrefix(value: unknown): value is Uint8Array {
  return isBytes(value) && value.byteLength <= MAX_KEY_BYTES && isUtf8(value);
}

export function isStoredValue(value: unknown): value is Uint8Array {
  return isBytes(value) && value.byteLength <= MAX_VALUE_BYTES;
}

export function isDigest(value: unknown): value is Uint8Array {
  return isBytes(value) && value.byteLength === DIGEST_BYTES;
}

export function isClerkId(value: unknown): value is string {
  return typeof value === 'string' && clerkId.test(value);
}

/** A non-negative safe integer: revisions, counters, bytes, milliseconds. */
export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0);
}

/** A count of at least 1: revisions of keys, versions, seqs. */
export function isPositive(value: unknown): value is number {
  return isCount(value) && value >= 1;
}
