/** MessagePack with one encoder for all: a new one for each value would cost a 2 KB buffer that its bytes keep alive. */
import { decode, Encoder } from '@msgpack/msgpack';

/** An encoder keeps the largest buffer that it ever needed: above this it is let go. */
const MAX_KEPT_BYTES = 256 * 1024;

const newEncoder = (): Encoder => new Encoder({ ignoreUndefined: true });
let encoder = newEncoder();

export function encode(value: unknown): Uint8Array<ArrayBuffer> {
  const bytes = encoder.encode(value);
  if (bytes.byteLength > MAX_KEPT_BYTES) encoder = newEncoder();
  return bytes;
}

export { decode };
