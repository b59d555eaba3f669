/** The clerks' way to the runtime, wherever it listens after its last restart; every reply is held against the contract. */
import type { ClerkFetch } from '../../../src/clerk/index.ts';
import type { EdgeRuntime } from '../edge-runtime.ts';
import type { Reply, RequestOptions } from '../raw-http.ts';
import type { RunRecord } from './run-record.ts';

/** The contract says 10 s after the body's last byte; the rest is for a machine that is busy with other things. */
export const REPLY_TIMEOUT_MS = 30_000;

/** What may answer requests on keys that follow the contract, faults or not. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  GET: ['200', '404 key_not_found', '409 not_leader', '410 revision_compacted', '429 overloaded'],
  PUT: ['200', '201', '412 precondition_failed', '429 overloaded', '504 outcome_unknown'],
  PATCH: ['200', '201', '412 precondition_failed', '413 value_too_large', '429 overloaded', '504 outcome_unknown'],
  DELETE: ['200', '412 precondition_failed', '429 overloaded', '504 outcome_unknown'],
};
const ALLOWED_ALWAYS = ['503 no_leader', '503 peer_unreachable'];

/** There was nobody to send it to: certainly nothing was done. */
export class NotSent extends Error {
  override readonly name = 'NotSent';
}

export function wasNotSent(error: unknown): boolean {
  return error instanceof NotSent || (error as { code?: string }).code === 'ECONNREFUSED';
}

export class Transport {
  readonly #edge: EdgeRuntime;
  readonly #record: RunRecord;
  /** Rises when the runtime is killed: requests under way get no reply then. */
  #life = 0;
  #down = false;
  /** Requests whose connection broke under them. */
  broken = 0;

  constructor(edge: EdgeRuntime, record: RunRecord) {
    this.#edge = edge;
    this.#record = record;
  }

  /** The runtime is about to be killed. */
  goesDown(): void {
    this.#life += 1;
    this.#down = true;
  }

  isUp(): void {
    this.#down = false;
  }

  /** Rejects if there is no whole reply. */
  async send(method: string, path: string, options: RequestOptions = {}): Promise<Reply> {
    const life = this.#life;
    const startMs = performance.now();
    if (this.#down) throw new NotSent('the runtime does not run');
    try {
      const reply = await this.#edge.request(method, path, { timeoutMs: REPLY_TIMEOUT_MS, ...options });
      this.#judge(method, path, options, reply);
      return reply;
    } catch (error) {
      this.broken += 1;
      const waitedMs = performance.now() - startMs;
      // Nobody but a kill may break a connection.
      if (life === this.#life && !this.#down) {
        this.#record.unexpectedReply(`${method} ${path}: no reply after ${Math.round(waitedMs)} ms: ${String(error)}`);
      }
      throw error;
    } finally {
      if (life === this.#life) {
        this.#record.slowestReplyMs = Math.max(this.#record.slowestReplyMs, performance.now() - startMs);
      }
    }
  }

  /** As the clerk library wants it. Its own timeouts end its waiting; the request goes on, as it may. */
  readonly fetch: ClerkFetch = async (url, { method, headers, body }) => {
    const { pathname, search } = new URL(url);
    const reply = await this.send(method, pathname + search, { headers, ...(body === null ? {} : { body }) });
    return {
      status: reply.status,
      headers: { get: (name) => reply.headers[name.toLowerCase()] ?? null },
      arrayBuffer: async () => new Uint8Array(reply.body).buffer,
    };
  };

  #judge(method: string, path: string, { headers = {} }: RequestOptions, reply: Reply): void {
    const { outcome } = reply;
    if (ALLOWED[method]?.includes(outcome) || ALLOWED_ALWAYS.includes(outcome)) return;
    const identity = headers['Clerk-Id'] === undefined ? '' : ` (${headers['Clerk-Id']} ${headers['Clerk-Seq']})`;
    this.#record.unexpectedReply(`${method} ${path}${identity}: ${outcome} ${reply.text.slice(0, 300)}`);
  }
}
