/**
 * MessagePack, with one encoder for all (a new one for each value would cost a 2 KB buffer that its bytes keep alive), and
 * with a decoder that looks before it allocates.
 */
import { decode as decodeUnchecked, Encoder } from '@msgpack/msgpack';
import { holdsWhatItClaims } from './claims.ts';

/** An encoder keeps the largest buffer that it ever needed: above this it is let go. */
const MAX_KEPT_BYTES = 256 * 1024;

const newEncoder = (): Encoder => new Encoder({ ignoreUndefined: true });
let encoder = newEncoder();

export function encode(value: unknown): Uint8Array<ArrayBuffer> {
  const bytes = encoder.encode(value);
  if (bytes.byteLength > MAX_KEPT_BYTES) encoder = newEncoder();
  return bytes;
}

/** Throws RangeError or DecodeError on anything that is not one whole value. */
export function decode(bytes: Uint8Array): unknown {
  if (!holdsWhatItClaims(bytes)) throw new RangeError('a value that claims to hold more than it does, or too deep');
  return decodeUnchecked(bytes);
}
