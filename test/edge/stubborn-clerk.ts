/** A client as the contract wants it: its writes have an identity, and each is repeated until its reply is one that is kept. */
import { clerk } from './contract.ts';
import { type EdgeRuntime, sleep } from './edge-runtime.ts';
import type { Reply } from './raw-http.ts';

/** Longer than a request may take. */
const REPLY_TIMEOUT_MS = 15_000;
const PAUSE_MS = 20;
const MAX_UNRESOLVED = 255;

export interface Write {
  readonly seq: number;
  readonly method: string;
  readonly path: string;
  readonly body: string | Uint8Array;
}

export class StubbornClerk {
  readonly id: string;
  readonly #edge: EdgeRuntime;
  #nextSeq = 1;
  readonly #unresolved = new Set<number>();
  /** Replies that told nothing of the write (503, 504, 429), and connections that broke. */
  repeats = 0;

  constructor(edge: EdgeRuntime, id: string) {
    this.#edge = edge;
    this.id = id;
  }

  /** Gives a write its seq. The first one must be resolved before there is a second. */
  next(method: string, path: string, body: string | Uint8Array): Write {
    if (this.#unresolved.size >= MAX_UNRESOLVED) throw new Error('too much is unresolved');
    if (this.#nextSeq === 2 && this.#unresolved.size > 0) throw new Error('the first write is not resolved yet');
    const seq = this.#nextSeq;
    this.#nextSeq += 1;
    this.#unresolved.add(seq);
    return { seq, method, path, body };
  }

  /** Sends it once. Null: it may or may not have been done (or was not, as yet). */
  async attempt({ seq, method, path, body }: Write): Promise<Reply | null> {
    const acked = Math.min(...this.#unresolved, seq) - 1;
    const options = { headers: clerk(this.id, seq, acked), body, timeoutMs: REPLY_TIMEOUT_MS };
    const reply = await this.#edge.request(method, path, options).catch(() => null);
    if (reply !== null && ![429, 503, 504].includes(reply.status)) {
      this.#unresolved.delete(seq);
      return reply;
    }
    this.repeats += 1;
    return null;
  }

  async insist(write: Write, timeoutMs = 60_000): Promise<Reply> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const reply = await this.attempt(write);
      if (reply !== null) return reply;
      if (performance.now() > deadlineMs) throw new Error(`seq ${write.seq} is still unresolved after ${timeoutMs} ms`);
      await sleep(PAUSE_MS);
    }
  }

  write(method: string, path: string, body: string | Uint8Array): Promise<Reply> {
    return this.insist(this.next(method, path, body));
  }
}

/** Runs `task` for each item, `concurrency` at a time, in their order. */
export async function eachOf<T>(
  items: readonly T[],
  concurrency: number,
  task: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) await task(item);
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}
