/** Clients' queries: those that wait for the core to confirm them, and how much of answers memory may hold. */
import type { ClientReply } from './protocol.ts';
import type { StateMachine } from './state-machine.ts';

/** Answers that one turn may produce; the rest is refused as overloaded, so memory stays bounded. */
const ANSWER_BYTES_PER_TURN = 16 * 1024 * 1024;
/** And those of one batch: its reply is one body. */
const ANSWER_BYTES_PER_BATCH = 6 * 1024 * 1024;
/** Keys that a turn's queries look at, deleted ones included: a listing that finds nothing takes its time as well, 4,096 keys some 10 ms. */
const EXAMINED_KEYS_PER_TURN = 65_536;

/** What the answers to one batch amount to. */
export interface AnswerBatch {
  answerBytes: number;
}

export interface WaitingQuery {
  readonly query: unknown;
  readonly batch: AnswerBatch;
  readonly answer: (reply: ClientReply) => void;
}

export class Queries {
  readonly #stateMachine: StateMachine;
  readonly #waiting = new Map<number, WaitingQuery>();
  #nextId = 1;
  #turnBytes = 0;
  #examinedBefore = 0;
  answered = 0;

  constructor(stateMachine: StateMachine) {
    this.#stateMachine = stateMachine;
  }

  beginTurn(): void {
    this.#turnBytes = 0;
    this.#examinedBefore = this.#stateMachine.examinedKeys;
  }

  /** The id under which the core knows it. */
  wait(query: WaitingQuery): number {
    const id = this.#nextId;
    this.#nextId += 1;
    this.#waiting.set(id, query);
    return id;
  }

  take(id: number): WaitingQuery | null {
    const query = this.#waiting.get(id) ?? null;
    this.#waiting.delete(id);
    return query;
  }

  /** From the applied state, now. */
  answer({ query, batch, answer }: WaitingQuery, ageMs: number | null): void {
    const examined = this.#stateMachine.examinedKeys - this.#examinedBefore;
    const turnIsFull = this.#turnBytes > ANSWER_BYTES_PER_TURN || examined > EXAMINED_KEYS_PER_TURN;
    if (turnIsFull || batch.answerBytes > ANSWER_BYTES_PER_BATCH) return answer({ type: 'overloaded' });
    this.answered += 1;
    const result = this.#stateMachine.query(query);
    const bytes = approximateBytes(result);
    this.#turnBytes += bytes;
    batch.answerBytes += bytes;
    answer({ type: 'result', result, ageMs });
  }
}

function approximateBytes(result: unknown): number {
  if (result instanceof Uint8Array) return result.byteLength;
  if (typeof result === 'string') return result.length;
  if (typeof result !== 'object' || result === null) return 8;
  let bytes = 8;
  for (const value of Object.values(result)) bytes += approximateBytes(value);
  return bytes;
}
