/** A served group as the benches of failover, growth and idle see it: keys, faults, and what its peers say of themselves. */
import { Agent, request } from 'node:http';

export interface Answered {
  readonly status: number;
  readonly body: Buffer;
}

export interface PeerLine {
  readonly id: string;
  readonly role: string | null;
  readonly reachable: boolean;
  readonly term: number;
  readonly commitIndex: number;
  readonly lastApplied: number;
  readonly lastIndex: number;
  readonly snapshotIndex: number;
  readonly logBytes: number;
  readonly stateHash: string;
}

export interface ClusterLines {
  readonly leader: string | null;
  readonly term: number;
  readonly peers: readonly PeerLine[];
}

/** What the router promises is 10 s; with this nothing here waits forever. */
const REQUEST_TIMEOUT_MS = 30_000;
/** An idle connection is closed before workerd closes it, after 5 s: a request that crosses that would be lost. */
const IDLE_MS = 2000;
const POLL_MS = 20;

export class BenchGroup {
  readonly #url: URL;
  readonly #agent: Agent;
  #closed = false;

  constructor(url: string, connections: number) {
    this.#url = new URL(url);
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections, timeout: IDLE_MS });
  }

  close(): void {
    this.#closed = true;
    this.#agent.destroy();
  }

  async request(method: string, path: string, body?: Uint8Array | string): Promise<Answered> {
    for (;;) {
      const sent = await this.#send(method, path, body);
      if (sent !== 'stale connection') return sent;
    }
  }

  /** A connection that was kept alive may be closed by the other side just as it is used again: nothing was answered on it. */
  #send(method: string, path: string, body: Uint8Array | string | undefined): Promise<Answered | 'stale connection'> {
    const { promise, resolve, reject } = Promise.withResolvers<Answered | 'stale connection'>();
    const { hostname: host, port } = this.#url;
    const options = { agent: this.#agent, host, port, path, method, timeout: REQUEST_TIMEOUT_MS };
    const outgoing = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
      response.once('error', reject);
    });
    outgoing.once('timeout', () => outgoing.destroy(new Error(`${method} ${path}: no answer`)));
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      // Every request here may be repeated.
      if (outgoing.reusedSocket && error.code === 'ECONNRESET' && !this.#closed) resolve('stale connection');
      else reject(error);
    });
    outgoing.end(body);
    return promise;
  }

  /** Whether the write was acknowledged. A connection that breaks is a write that was not. */
  async put(key: string, value: Uint8Array): Promise<boolean> {
    const answered = await this.request('PUT', `/kv/${key}`, value).catch(() => null);
    return answered !== null && (answered.status === 200 || answered.status === 201);
  }

  async cluster(): Promise<ClusterLines> {
    const { status, body } = await this.request('GET', '/cluster');
    if (status !== 200) throw new Error(`GET /cluster: ${status} ${body}`);
    return JSON.parse(body.toString()) as ClusterLines;
  }

  async chaos(peer: string, fault: Record<string, unknown>): Promise<void> {
    const { status, body } = await this.request('POST', `/chaos/${peer}`, JSON.stringify(fault));
    if (status !== 200) throw new Error(`POST /chaos/${peer}: ${status} ${body}`);
  }

  /** Waits until every peer follows one leader, in one term, and has applied the same. */
  async caughtUp(timeoutMs: number): Promise<ClusterLines> {
    const endMs = performance.now() + timeoutMs;
    while (performance.now() < endMs) {
      const lines = await this.cluster();
      if (isCaughtUp(lines)) return lines;
      await sleep(POLL_MS);
    }
    throw new Error(`the peers have not caught up within ${timeoutMs} ms: ${JSON.stringify(await this.cluster())}`);
  }
}

function isCaughtUp({ leader, peers }: ClusterLines): boolean {
  const [first] = peers;
  if (leader === null || first === undefined) return false;
  return peers.every(
    ({ reachable, role, term, lastApplied, lastIndex, id }) =>
      reachable &&
      role === (id === leader ? 'leader' : 'follower') &&
      term === first.term &&
      lastApplied === first.lastApplied &&
      lastIndex === lastApplied,
  );
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What a command line names, of what there is; anything else ends the program. */
export function chosen<T extends string>(option: string, text: string, all: readonly T[]): T[] {
  const names = text.split(',');
  const known = all.filter((name) => names.includes(name));
  if (known.length === names.length) return known;
  console.error(`--${option} names one or more of ${all.join(', ')}, with commas between them`);
  process.exit(1);
}
