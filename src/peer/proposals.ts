/**
 * Clients' commands on the leader: first in a queue, then in an entry of the log, then applied. What arrives while a flush is
 * under way waits, and becomes one entry, one row and one message to each follower (group commit).
 */
import type { ClientReply } from './protocol.ts';
import type { StateMachine } from './state-machine.ts';

/** A row holds 2 MB at most, with the entry's envelope. */
const ENTRY_BYTES = 1_900_000;
/** Each may be of another session, and all of these are in memory while the entry is applied: some 60 kB with 256 replies. */
const ENTRY_COMMANDS = 512;
/** An entry is applied in one turn, whose writes are one commit. One command may exceed it. */
const ENTRY_WRITTEN_BYTES = 128 * 1024 * 1024;
const QUEUE_BYTES = 16 * 1024 * 1024;
const QUEUE_COMMANDS = 10_000;

interface Waiting {
  readonly command: unknown;
  readonly bytes: number;
  readonly answer: (reply: ClientReply) => void;
}

export class Proposals {
  readonly #stateMachine: StateMachine;
  #queue: Waiting[] = [];
  #queueBytes = 0;
  /** Entries that this leader appended, and who waits for their results. */
  readonly #appended = new Map<number, { term: number; waiting: readonly Waiting[] }>();

  constructor(stateMachine: StateMachine) {
    this.#stateMachine = stateMachine;
  }

  get queued(): number {
    return this.#queue.length;
  }

  enqueue(command: unknown, answer: (reply: ClientReply) => void): void {
    const bytes = this.#stateMachine.commandBytes(command);
    if (bytes > ENTRY_BYTES) return answer({ type: 'refused' });
    if (this.#queue.length >= QUEUE_COMMANDS || this.#queueBytes + bytes > QUEUE_BYTES)
      return answer({ type: 'overloaded' });
    this.#queue.push({ command, bytes, answer });
    this.#queueBytes += bytes;
  }

  /** The front of the queue, as much as one entry holds; null if nothing waits. It stays queued until `appended`. */
  nextBatch(): { data: Uint8Array; count: number } | null {
    let bytes = 0;
    let writtenBytes = 0;
    let count = 0;
    for (const waiting of this.#queue) {
      bytes += waiting.bytes;
      writtenBytes += this.#stateMachine.maxWrittenBytes(waiting.command);
      const isFull = bytes > ENTRY_BYTES || writtenBytes > ENTRY_WRITTEN_BYTES || count >= ENTRY_COMMANDS;
      if (count > 0 && isFull) break;
      count += 1;
    }
    if (count === 0) return null;
    const commands = this.#queue.slice(0, count).map((waiting) => waiting.command);
    return { data: this.#stateMachine.encodeEntry(commands), count };
  }

  /** The batch is in the log. */
  appended(index: number, term: number, count: number): void {
    const waiting = this.#queue.splice(0, count);
    for (const { bytes } of waiting) this.#queueBytes -= bytes;
    this.#appended.set(index, { term, waiting });
  }

  applied(index: number, term: number, results: readonly unknown[]): void {
    const entry = this.#appended.get(index);
    if (entry === undefined) return;
    this.#appended.delete(index);
    entry.waiting.forEach((waiting, i) => {
      // Another leader's entry at this index: ours is gone, but who knows whether it comes back; the clerk asks again.
      waiting.answer(entry.term === term ? { type: 'result', result: results[i], ageMs: null } : { type: 'unknown' });
    });
  }

  /** Leadership is lost: nothing was done of what is queued, and nobody knows of what is appended. */
  abandon(): void {
    for (const { waiting } of this.#appended.values()) for (const { answer } of waiting) answer({ type: 'unknown' });
    this.#appended.clear();
    for (const { answer } of this.#queue) answer({ type: 'not_leader' });
    this.#queue = [];
    this.#queueBytes = 0;
  }
}
