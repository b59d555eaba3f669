/**
 * Coalescing: concurrent requests of one isolate share calls of the leader's object, which are billed one by one and of which an
 * object takes about a thousand a second.
 *
 *     arrives ─▶ few calls under way ──────────────▶ carries: one call, with all who wait
 *            └─▶ waits ─▶ a call ends: the first ──▶ carries
 *                     ├─▶ the batch is full ───────▶ carries
 *                     ├─▶ waited long enough ──────▶ carries
 *                     └─▶ another carries ─────────▶ passenger, until the reply or its own deadline
 *
 * Whoever carries makes one call, in its own handler, whose end the runtime may bring at any moment: the call is gone then, and so is
 * what would have come after it. Hence nothing here needs anybody to go on. Everyone has a timer of its own (the runtime also
 * takes a request that has none for hung), the end of a call is only a hint to the next one, and what the dead left behind is
 * told by its deadline. What is handed from one request to another is plain data: I/O belongs to the handler that began it.
 *
 * Nobody joins a call that has been sent: a get could read the past.
 */
import type { ClientReply, ClientRequest, Member, PeerView, Reply } from '../peer/protocol.ts';
import { objectName } from '../peer/protocol.ts';
import type { Budget } from './budget.ts';
import { exchange } from './peer-call.ts';
import { type RouterPlatform, withTimeout } from './platform.ts';

/** For so long after a call that others may come back whom it has answered: they would share the next one. */
const HOLD_MS = 8;
const LATELY_MS = 250;
const SHORTEST_PAUSE_MS = 0.1;
/**
 * For each call that is under way, a request waits so long at the most: slow calls (a far leader, one that hangs) hold nobody up, and
 * the more of them there are, the fewer are added.
 */
const WAIT_MS_A_CALL = 10;
/** The object takes no more. */
export const MAX_BATCH_REQUESTS = 1024;
/** Of what is sent, or of the answers that are expected. One entry of the log holds it: what leaves together is committed together. */
export const MAX_BATCH_BYTES = 1024 * 1024;
/** A larger request, or answer, gains nothing by company, and would hold it up. */
export const MAX_SHARED_BYTES = 64 * 1024;

/**
 * Who may share a call: it ends when the last one has its reply. Writes wait for the disks of a quorum, gets for its word, stale
 * gets for nobody, and listings (null) are long.
 */
export type Company = 'writes' | 'gets' | 'staleGets' | null;

/** One try of one request. */
export interface Trip {
  readonly company: Company;
  /** Made when it is sent. */
  readonly request: () => ClientRequest;
  /** About what it adds to a body. */
  readonly bytes: number;
  readonly timeoutMs: number;
}

export type Arrival =
  | { readonly type: 'reply'; readonly view: PeerView; readonly reply: ClientReply }
  /**
   * `sent`: the peer may have done what was asked, and may still do it. `atOnce`: the call broke before its time was over, so the
   * object was reset perhaps, and is there again.
   */
  | { readonly type: 'silence'; readonly sent: boolean; readonly atOnce: boolean };

class Passenger {
  readonly request: () => ClientRequest;
  readonly bytes: number;
  readonly deadlineMs: number;
  sent = false;
  arrival: Arrival | null = null;
  #wake: () => void = () => {};

  constructor({ request, bytes }: Trip, deadlineMs: number) {
    this.request = request;
    this.bytes = bytes;
    this.deadlineMs = deadlineMs;
  }

  /**
   * Until `wake`, or for so long. The timer has a promise of its own: one that another request has resolved goes on a little later, and
   * if the timer fires in between and may resolve nothing, the runtime sees no timer, and takes the request for hung.
   */
  async pause(platform: RouterPlatform, durationMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = platform.handoff?.(resolve) ?? resolve;
    // A rest so small that adding it changes no clock would be waited for again and again, and time would stand still (seed 10341).
    await withTimeout(platform, Math.max(durationMs, SHORTEST_PAUSE_MS), promise);
  }

  /** Called by other requests: it goes on in its own handler, if that is still there. */
  wake(): void {
    this.#wake();
  }

  arrive(arrival: Arrival): void {
    this.arrival = arrival;
    this.wake();
  }
}

/** One try under way. It goes on only while its own request waits for it. */
export class Ride {
  readonly #platform: RouterPlatform;
  readonly #line: Line;
  readonly #passenger: Passenger;
  readonly #depart: () => void;
  /** Until then others may carry it. */
  readonly #impatientMs: number;

  /** `depart`: makes a call, with all who wait. */
  constructor(platform: RouterPlatform, line: Line, passenger: Passenger, impatientMs: number, depart: () => void) {
    this.#platform = platform;
    this.#line = line;
    this.#passenger = passenger;
    this.#impatientMs = impatientMs;
    this.#depart = depart;
  }

  async arrival(): Promise<Arrival> {
    for (;;) {
      const arrival = await this.wait(Number.POSITIVE_INFINITY);
      if (arrival !== null) return arrival;
    }
  }

  /** Null: it has not arrived within `durationMs`, and may be waited for again. */
  async wait(durationMs: number): Promise<Arrival | null> {
    const passenger = this.#passenger;
    const untilMs = this.#platform.now() + durationMs;
    for (;;) {
      if (passenger.arrival !== null) return passenger.arrival;
      const nowMs = this.#platform.now();
      if (nowMs >= passenger.deadlineMs) return { type: 'silence', sent: !this.leave(), atOnce: false };
      if (nowMs >= untilMs) return null;
      const leaveMs = Math.min(this.#impatientMs, this.#line.leaveMs());
      if (!passenger.sent && nowMs >= leaveMs) this.#depart();
      const nextMs = passenger.sent ? passenger.deadlineMs : Math.min(leaveMs, passenger.deadlineMs);
      await passenger.pause(this.#platform, Math.min(nextMs, untilMs) - nowMs);
    }
  }

  /** Nobody waits for it any more. True: it has not been sent, and will not be. */
  leave(): boolean {
    return this.#line.leave(this.#passenger);
  }
}

/** The calls that an isolate makes for clients of one group. */
export class SharedCalls {
  readonly #platform: RouterPlatform;
  readonly #group: string;
  readonly #coalescing: boolean;
  readonly #lines = new Map<string, Line>();

  constructor(platform: RouterPlatform, group: string, coalescing: boolean) {
    this.#platform = platform;
    this.#group = group;
    this.#coalescing = coalescing;
  }

  /** It arrives after `timeoutMs` at the latest, or with the budget. Only calls that this request makes itself are counted. */
  ask(member: Member, trip: Trip, budget: Budget): Ride {
    const line = this.#line(member, trip.company);
    const passenger = new Passenger(trip, this.#platform.now() + budget.timeFor(trip.timeoutMs));
    // With less than a whole try before it, it would cut short the call of others.
    const inHaste = budget.remainingMs < trip.timeoutMs;
    const alone = !this.#coalescing || trip.company === null || inHaste || line.isLarge(passenger);
    return alone ? line.goAlone(passenger, budget) : line.board(passenger, trip.timeoutMs, budget);
  }

  #line(member: Member, company: Company): Line {
    const name = `${company} ${objectName(this.#group, member)}`;
    const known = this.#lines.get(name);
    if (known !== undefined) return known;
    const line = new Line(this.#platform, this.#group, member);
    this.#lines.set(name, line);
    return line;
  }
}

/** The most that one call carried lately. */
class Crowd {
  #most = 0;
  #mostBefore = 0;
  #sinceMs = 0;

  get size(): number {
    return Math.max(this.#most, this.#mostBefore);
  }

  left(carried: number, nowMs: number): void {
    if (nowMs - this.#sinceMs >= LATELY_MS) {
      this.#mostBefore = this.#most;
      this.#most = 0;
      this.#sinceMs = nowMs;
    }
    this.#most = Math.max(this.#most, carried);
  }
}

/** The calls of one kind to one object. */
class Line {
  readonly #platform: RouterPlatform;
  readonly #group: string;
  readonly #member: Member;
  /** Who has not been sent yet, in the order of arrival. */
  readonly #waiting = new Set<Passenger>();
  #waitingBytes = 0;
  /** Deadlines of the calls that others may wait for. */
  readonly #underWay = new Set<{ readonly deadlineMs: number }>();
  readonly #crowd = new Crowd();
  #lastEndedMs = 0;
  /** What an answer is expected to take, of gets; falls slowly. */
  #answerBytes = 0;

  constructor(platform: RouterPlatform, group: string, member: Member) {
    this.#platform = platform;
    this.#group = group;
    this.#member = member;
  }

  isLarge({ bytes }: Passenger): boolean {
    return bytes + this.#answerBytes > MAX_SHARED_BYTES;
  }

  goAlone(passenger: Passenger, budget: Budget): Ride {
    budget.countCall();
    passenger.sent = true;
    this.#call([passenger], passenger.deadlineMs - this.#platform.now());
    return new Ride(this.#platform, this, passenger, passenger.deadlineMs, () => {});
  }

  /** `timeoutMs`: of the call, if this one makes it. */
  board(passenger: Passenger, timeoutMs: number, budget: Budget): Ride {
    const impatientMs = this.#platform.now() + Math.max(HOLD_MS, WAIT_MS_A_CALL * this.#callsUnderWay());
    this.#waiting.add(passenger);
    this.#waitingBytes += passenger.bytes;
    return new Ride(this.#platform, this, passenger, impatientMs, () => {
      budget.countCall();
      this.#carry(timeoutMs);
    });
  }

  /** False: it has been sent. */
  leave(passenger: Passenger): boolean {
    if (this.#waiting.delete(passenger)) this.#waitingBytes -= passenger.bytes;
    return !passenger.sent;
  }

  /** When the next call may set out, as things are. */
  leaveMs(): number {
    if (this.#isFull()) return 0;
    if (this.#callsUnderWay() > 0) return Number.POSITIVE_INFINITY;
    return this.#waiting.size >= this.#crowd.size ? 0 : this.#lastEndedMs + HOLD_MS;
  }

  /** Of carriers that vanished nobody says that their calls have ended. */
  #callsUnderWay(): number {
    const nowMs = this.#platform.now();
    for (const call of this.#underWay) if (call.deadlineMs <= nowMs) this.#underWay.delete(call);
    return this.#underWay.size;
  }

  #isFull(): boolean {
    const { size } = this.#waiting;
    return this.#waitingBytes + size * this.#answerBytes >= MAX_BATCH_BYTES || size >= MAX_BATCH_REQUESTS;
  }

  /** One call, with all who wait; whoever makes it is among them. */
  #carry(timeoutMs: number): void {
    const nowMs = this.#platform.now();
    // Whose deadline has passed is gone: sent now, a write could come after its session has ended.
    const batch = this.#takeWaiting().filter(({ deadlineMs }) => deadlineMs > nowMs);
    for (const passenger of batch) passenger.sent = true;
    this.#crowd.left(batch.length, nowMs);
    const call = { deadlineMs: nowMs + timeoutMs };
    this.#underWay.add(call);
    this.#call(batch, timeoutMs).then((answered) => {
      this.#underWay.delete(call);
      this.#lastEndedMs = this.#platform.now();
      if (answered) this.#callNext();
      else this.#dismiss(this.#platform.now() < call.deadlineMs);
    });
  }

  #takeWaiting(): Passenger[] {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#waitingBytes = 0;
    return waiting;
  }

  /** The first who waits may carry. If it vanished, the next one's patience ends soon. */
  #callNext(): void {
    const [next] = this.#waiting;
    next?.wake();
  }

  /** Whoever waits for an object that failed others looks for the leader anew, and nothing was done. */
  #dismiss(atOnce: boolean): void {
    for (const passenger of this.#takeWaiting()) passenger.arrive({ type: 'silence', sent: false, atOnce });
  }

  /** Never rejects. False: no usable reply. */
  async #call(batch: readonly Passenger[], timeoutMs: number): Promise<boolean> {
    const deadlineMs = this.#platform.now() + timeoutMs;
    const body = { requests: batch.map(({ request }) => request()) };
    const exchanged = await exchange(this.#platform, this.#group, this.#member, 'client', body, timeoutMs);
    if (exchanged === null || exchanged.reply.replies.length !== batch.length) {
      const atOnce = this.#platform.now() < deadlineMs;
      for (const passenger of batch) passenger.arrive({ type: 'silence', sent: true, atOnce });
      return false;
    }
    const { reply, bytes } = exchanged;
    this.#expectAnswers(reply, bytes);
    batch.forEach((passenger, i) => {
      passenger.arrive({ type: 'reply', view: reply.view, reply: reply.replies[i] as ClientReply });
    });
    return true;
  }

  #expectAnswers({ replies }: Reply<'client'>, bytes: number): void {
    const results = replies.filter(({ type }) => type === 'result').length;
    this.#answerBytes = Math.max(results === 0 ? 0 : bytes / results, this.#answerBytes / 2);
  }
}
