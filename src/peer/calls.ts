/**
 * Calls to other objects, within what the platform allows: a timeout on each, a bounded number for each event, and a
 * bounded depth. A peer's calls are counted by the platform on its most recent incoming event, so that is where the
 * budget comes from.
 */
import type { Member } from '../raft/types.ts';
import { Faults } from './faults.ts';
import type { Platform } from './platform.ts';
import { objectName } from './protocol.ts';

/**
 * Calls that one incoming event may lead to. The free plan allows 50, and the platform begins to count when a request starts, before
 * its body is read: the rest of the event before may fall into it.
 */
const CALLS_PER_EVENT = 24;
/** From this depth on nothing is called: the alarm, which has depth 0, goes on. The platform's limit is about 16. */
const MAX_DEPTH = 4;

export class Calls {
  readonly #platform: Platform;
  readonly #timeoutMs: number;
  readonly faults: Faults;
  /** Of the most recent incoming event: 0 for an alarm or a client, the caller's + 1 for a peer's message. */
  #depth = 0;
  #left = CALLS_PER_EVENT;
  made = 0;
  answered = 0;
  failed = 0;
  /** Of bodies, both ways, of calls made and answered. */
  bytesSent = 0;
  bytesReceived = 0;

  constructor(platform: Platform, timeoutMs: number) {
    this.#platform = platform;
    this.#timeoutMs = timeoutMs;
    this.faults = new Faults(platform);
  }

  beginEvent(depth: number): void {
    this.#depth = depth;
    this.#left = CALLS_PER_EVENT;
  }

  /** A request of another peer came, and is being answered. */
  countAnswered(requestBytes: number, replyBytes: number): void {
    this.answered += 1;
    this.bytesReceived += requestBytes;
    this.bytesSent += replyBytes;
  }

  /** How many calls may be made now. */
  get budget(): number {
    return this.#depth >= MAX_DEPTH ? 0 : this.#left;
  }

  /** What the callee is told. */
  get depth(): number {
    return this.#depth + 1;
  }

  /** Rejects on any failure, and after the timeout at the latest. The caller has looked at the budget. */
  async call(group: string, member: Member, route: string, body: Uint8Array): Promise<Uint8Array> {
    this.#left -= 1;
    this.made += 1;
    this.bytesSent += body.byteLength;
    try {
      const reply = await this.#withTimeout(() =>
        this.faults.outgoing(member.id, () =>
          this.#platform.call(objectName(group, member), member.locationHint, route, body, this.#timeoutMs),
        ),
      );
      this.bytesReceived += reply.byteLength;
      return reply;
    } catch (error) {
      this.failed += 1;
      throw error;
    }
  }

  /** A fault may delay for longer than the call may take, and a lost message looks like silence, not like an error. */
  #withTimeout<T>(run: () => Promise<T>): Promise<T> {
    if (!this.faults.active) return run();
    return new Promise<T>((resolve, reject) => {
      const cancel = this.#platform.setTimer(this.#timeoutMs, () => reject(new Error('timeout')));
      const settle = (value: T): void => {
        cancel();
        resolve(value);
      };
      // A failure is left to the timer: only a real network would know better.
      run().then(settle, () => {});
    });
  }
}
