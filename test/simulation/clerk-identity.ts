/** A clerk's identity in the simulation: its sequence numbers, and how its session is opened where sessions may go. */
import { createHash } from 'node:crypto';
import { decodeBody, encodeBody } from '../../src/peer/protocol.ts';
import type { SimObject, World } from './world.ts';

/** The contract: never a seq more than this above the lowest unresolved one. */
const MAX_AHEAD = 255;
const OPENING_TIMEOUT_MS = 1000;

export class Clerk {
  readonly id: string;
  readonly #unresolved = new Set<number>();
  #seq = 0;
  #begun = false;
  /** Its seq 1 has a reply that is kept. */
  established = false;
  /** Seq 1 is on its way. */
  opening = false;

  constructor(id: string) {
    this.id = id;
  }

  /** The next seq. */
  take(): number {
    this.#seq += 1;
    this.#unresolved.add(this.#seq);
    return this.#seq;
  }

  resolve(seq: number): void {
    this.#unresolved.delete(seq);
    this.established = true;
  }

  /** Seq 1 was used up by opening the session. */
  opened(): void {
    this.resolve(this.take());
  }

  /** Every seq up to this one is resolved. */
  get acked(): number {
    return Math.min(...this.#unresolved) - 1;
  }

  /** True for the first that asks, who is to take seq 1; the others ask before it has done so, too (seed 6122). */
  begin(): boolean {
    const first = !this.#begun;
    this.#begun = true;
    return first;
  }

  /** What was never resolved is too far behind: only a new identity may go on. */
  get exhausted(): boolean {
    return this.#seq - Math.min(this.#seq, ...this.#unresolved) >= MAX_AHEAD - 32;
  }
}

/**
 * Opens a session by a seq 1 that changes nothing, sent once and straight to the leader: no copy of it may come so late that the
 * session has gone meanwhile, since it would be opened again, and a repeat of a later seq applied again (the contract
 * asks the same of clerks, by the clock). False: nobody knows.
 */
export async function openSession(world: World, from: string, group: string, id: string): Promise<boolean> {
  const leads = (object: SimObject): boolean => object.instance?.peer?.raft?.role === 'leader';
  const leader = [...world.objects.values()].find((object) => object.name.startsWith(`${group}/`) && leads(object));
  if (leader === undefined) return false;
  const requestDigest = new Uint8Array(createHash('sha256').update(id).digest().subarray(0, 16));
  const session = { pool: 'clerk', id, seq: 1, acked: 0, requestDigest };
  const command = { op: 'delete', key: new TextEncoder().encode('no such key'), condition: null, session };
  const body = encodeBody({ requests: [{ type: 'submit', command }] });
  const answered = world.request(from, leader.name, 'client', body).then(isKept, () => false);
  return Promise.race([answered, world.scheduler.sleep(OPENING_TIMEOUT_MS).then(() => false)]);
}

function isKept(answer: Uint8Array): boolean {
  const { replies } = decodeBody(answer) as { replies: { type: string; result?: { type: string } }[] };
  return replies[0]?.result?.type === 'deleted';
}
