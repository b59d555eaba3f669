/** Reads a request's body within bounds of size and time. */
import { MAX_VALUE_BYTES } from '../kv/limits.ts';
import { type RouterPlatform, withTimeout } from './platform.ts';
import { invalid, Problem } from './problem.ts';

const BODY_TIMEOUT_MS = 30_000;

/** Throws the problems 413, 408, and 400 for a body that breaks off. Reads no further than the limit. */
export async function readBody(request: Request, platform: RouterPlatform): Promise<Uint8Array<ArrayBuffer>> {
  const declared = request.headers.get('Content-Length');
  if (declared !== null && Number(declared) > MAX_VALUE_BYTES) throw tooLarge();
  const { body } = request;
  if (body === null) return new Uint8Array(0);
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  const whole = readAll(reader);
  const bytes = await withTimeout(platform, BODY_TIMEOUT_MS, whole);
  if (bytes === null) {
    reader.cancel().catch(() => {});
    throw new Problem('request_timeout', `The body took longer than ${BODY_TIMEOUT_MS / 1000} s.`);
  }
  return bytes;
}

async function readAll(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const chunk = await reader.read().catch(() => {
      throw invalid('The body broke off.');
    });
    if (chunk.done) return join(chunks, length);
    length += chunk.value.byteLength;
    if (length > MAX_VALUE_BYTES) {
      reader.cancel().catch(() => {});
      throw tooLarge();
    }
    chunks.push(chunk.value);
  }
}

function join(chunks: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

function tooLarge(): Problem {
  return new Problem('value_too_large', `A body holds at most ${MAX_VALUE_BYTES} bytes.`);
}
