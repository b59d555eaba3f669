/** Reads a request's body within bounds of size and time. */
import { MAX_VALUE_BYTES } from '../kv/limits.ts';
import { type RouterPlatform, withTimeout } from './platform.ts';
import { invalid, Problem } from './problem.ts';

const BODY_TIMEOUT_MS = 30_000;
/**
 * What is too large is read on for a while, and dropped: a connection that is closed while the client still sends is
 * reset, and the client sees that instead of the 413.
 */
const MAX_DISCARDED_BYTES = 16 * 1024 * 1024;
const DISCARD_TIMEOUT_MS = 2000;

/** Throws the problems 413, 408, and 400 for a body that breaks off. Holds no more than the limit in memory. */
export async function readBody(request: Request, platform: RouterPlatform): Promise<Uint8Array<ArrayBuffer>> {
  const declaredBytes = Number(request.headers.get('Content-Length') ?? 0);
  const tooLarge = declaredBytes > MAX_VALUE_BYTES;
  if (request.body === null) {
    if (tooLarge) throw valueTooLarge();
    return new Uint8Array(0);
  }
  if (!tooLarge && request.headers.has('Content-Length')) return readWhole(request, platform);
  const reader = (request.body as ReadableStream<Uint8Array>).getReader();
  const bytes = tooLarge ? null : await withTimeout(platform, BODY_TIMEOUT_MS, readAll(reader));
  if (bytes instanceof Uint8Array) return bytes;
  const isOverdue = bytes === null && !tooLarge;
  if (!isOverdue && declaredBytes <= MAX_VALUE_BYTES + MAX_DISCARDED_BYTES) {
    await withTimeout(platform, DISCARD_TIMEOUT_MS, discard(reader));
  }
  reader.cancel().catch(() => {});
  if (isOverdue) throw overdue();
  throw valueTooLarge();
}

/** A body that says how long it is: HTTP sees to it that it is no longer. At once it costs less than chunk by chunk. */
async function readWhole(request: Request, platform: RouterPlatform): Promise<Uint8Array<ArrayBuffer>> {
  const reading = request.arrayBuffer().catch(() => {
    throw invalid('The body broke off.');
  });
  const buffer = await withTimeout(platform, BODY_TIMEOUT_MS, reading);
  if (buffer === null) throw overdue();
  if (buffer.byteLength > MAX_VALUE_BYTES) throw valueTooLarge();
  return new Uint8Array(buffer);
}

function overdue(): Problem {
  return new Problem('request_timeout', `The body took longer than ${BODY_TIMEOUT_MS / 1000} s.`);
}

function valueTooLarge(): Problem {
  return new Problem('value_too_large', `A body holds at most ${MAX_VALUE_BYTES} bytes.`);
}

async function readAll(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<Uint8Array<ArrayBuffer> | 'too_large'> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const chunk = await reader.read().catch(() => {
      throw invalid('The body broke off.');
    });
    if (chunk.done) return join(chunks, length);
    length += chunk.value.byteLength;
    if (length > MAX_VALUE_BYTES) return 'too_large';
    chunks.push(chunk.value);
  }
}

/** Never throws: a client that is gone needs no answer. */
async function discard(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  try {
    for (let length = 0; length <= MAX_DISCARDED_BYTES; ) {
      const chunk = await reader.read();
      if (chunk.done) return;
      length += chunk.value.byteLength;
    }
  } catch {
    // The answer is the same.
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
