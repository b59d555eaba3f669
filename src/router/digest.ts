/** Digests: SHA-256, its first 16 bytes. */
import { encode } from '../encoding/message-pack.ts';

const DIGEST_BYTES = 16;

export async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)).slice(0, DIGEST_BYTES);
}

/** Of several values that MessagePack tells apart. */
export function digestOf(...parts: unknown[]): Promise<Uint8Array> {
  return digest(encode(parts));
}
