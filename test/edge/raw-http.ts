/** HTTP as it is written, without a client that repairs it: paths go out octet by octet, and so may whole requests. */
import { type Agent, request } from 'node:http';
import { connect } from 'node:net';

export interface RequestOptions {
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Uint8Array;
  /** False: a connection of its own. */
  readonly agent?: Agent | false;
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 30_000;

export class Reply {
  readonly status: number;
  /** Names in lower case; repeated headers are joined by ", ". */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;

  constructor(status: number, headers: Readonly<Record<string, string | undefined>>, body: Buffer) {
    this.status = status;
    this.headers = headers;
    this.body = body;
  }

  get text(): string {
    return this.body.toString('utf8');
  }

  // biome-ignore lint/suspicious/noExplicitAny: what the JSON is, the assertions say.
  get json(): any {
    return JSON.parse(this.text);
  }

  get isProblem(): boolean {
    return this.headers['content-type']?.startsWith('application/problem+json') ?? false;
  }

  /** `<status> <code>`, the code only of problems. */
  get outcome(): string {
    return this.isProblem && this.body.length > 0 ? `${this.status} ${this.json.code}` : String(this.status);
  }
}

/** `path`: sent as it is. Rejects when there is no whole reply within the timeout. */
export function send(origin: URL, method: string, path: string, options: RequestOptions = {}): Promise<Reply> {
  const { headers = {}, body, agent, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const length = body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: origin.hostname,
      port: origin.port,
      method,
      path,
      headers: { ...length, ...(headers as Record<string, string | string[]>) },
      ...(agent === undefined ? {} : { agent }),
    });
    const timer = setTimeout(() => outgoing.destroy(new Error(`no reply within ${timeoutMs} ms`)), timeoutMs);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
    };
    outgoing.on('error', fail);
    outgoing.on('response', (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', fail);
      incoming.on('end', () => {
        clearTimeout(timer);
        const flat = Object.entries(incoming.headers).map(([name, value]) => [name, [value].flat().join(', ')]);
        resolve(new Reply(incoming.statusCode ?? 0, Object.fromEntries(flat), Buffer.concat(chunks)));
      });
    });
    outgoing.end(body);
  });
}

/**
 * Writes `octets` to a new connection, and gives the reply as it came: headers and body, or '' if there was none before the
 * connection was closed, or before `quietMs` of silence.
 */
export function sendOctets(origin: URL, octets: string | Uint8Array, quietMs = 1000): Promise<string> {
  return new Promise((resolve) => {
    let reply = '';
    const socket = connect({ host: origin.hostname, port: Number(origin.port) });
    const finish = (): void => {
      socket.destroy();
      resolve(reply);
    };
    socket.setTimeout(quietMs, finish);
    socket.on('data', (chunk) => {
      reply += chunk.toString('latin1');
      if (isWhole(reply)) finish();
    });
    socket.on('error', finish);
    socket.on('close', finish);
    socket.write(octets);
  });
}

function isWhole(reply: string): boolean {
  const end = reply.indexOf('\r\n\r\n');
  const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(reply.slice(0, end + 2))?.[1];
  return end >= 0 && length !== undefined && reply.length - (end + 4) >= Number(length);
}
