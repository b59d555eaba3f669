/** Requests as octets and replies out of them, with no client in between that would repair or refuse anything. */
import { connect } from 'node:net';
import type { HttpInput } from './http-input.ts';
import type { HttpReply } from './reply-rules.ts';

/** Longer than the contract's 10 s: what takes as long is found by who asks. */
const QUIET_MS = 12_000;

export function octetsOf({ method, target, headers, body }: HttpInput): Buffer {
  const lines = [`Host: edge`, 'Connection: close', ...headers.map(([name, value]) => `${name}: ${value}`)];
  if (body !== null) lines.push(`Content-Length: ${body.byteLength}`);
  const head = Buffer.from(`\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  return Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1`), head, body ?? Buffer.alloc(0)]);
}

/**
 * The first reply on a connection of its own. Null: it was closed, or fell silent for `quietMs`, without one. `head`: as to a
 * HEAD, no body follows.
 */
export function exchange(origin: URL, octets: Uint8Array, head = false, quietMs = QUIET_MS): Promise<HttpReply | null> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ host: origin.hostname, port: Number(origin.port) });
    const finish = (): void => {
      socket.destroy();
      resolve(parseReply(text));
    };
    socket.setTimeout(quietMs, finish);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (isWhole(text, head)) finish();
    });
    socket.on('error', finish);
    socket.on('close', finish);
    socket.write(octets);
  });
}

function isWhole(text: string, head: boolean): boolean {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return false;
  if (head || /^HTTP\/1\.1 (204|304)/.test(text)) return true;
  const fields = text.slice(0, end + 2);
  if (/\r\ntransfer-encoding: *chunked\r\n/i.test(fields)) return text.endsWith('\r\n0\r\n\r\n');
  const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(fields)?.[1];
  return length !== undefined && text.length - (end + 4) >= Number(length);
}

function parseReply(text: string): HttpReply | null {
  const end = text.indexOf('\r\n\r\n');
  const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1];
  if (end < 0 || status === undefined) return null;
  const headers = new Map<string, string>();
  for (const line of text.slice(0, end).split('\r\n').slice(1)) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value);
  }
  const rest = text.slice(end + 4);
  const chunked = headers.get('transfer-encoding') === 'chunked';
  const body = Buffer.from(chunked ? joinChunks(rest) : rest, 'latin1');
  return { status: Number(status), header: (name) => headers.get(name.toLowerCase()) ?? null, body };
}

function joinChunks(text: string): string {
  let joined = '';
  for (let at = 0; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    const length = Number.parseInt(text.slice(at, lineEnd), 16);
    if (lineEnd < 0 || !(length > 0)) return joined;
    joined += text.slice(lineEnd + 2, lineEnd + 2 + length);
    at = lineEnd + 2 + length + 2;
  }
}
