/**
 * The labs' network: calls between servers, each with one reply. Reliable: a small latency. Unreliable: requests take
 * 0 to 26 ms, a tenth of them and a tenth of the replies are lost. Long reordering: two thirds of the replies take 200 to
 * 2,200 ms. Here a lost message looks like silence until the caller's own timeout; the course's network tells the caller
 * at once. A call that finds nobody fails after 0 to 7 s, or at that timeout.
 */
import type { Reply, Request } from '../../src/raft/messages.ts';
import type { PeerId } from '../../src/raft/types.ts';
import type { Random } from '../simulation/random.ts';
import type { EventQueue } from './raft-events.ts';
import type { RaftServer } from './raft-server.ts';
import { replyBytes, requestBytes } from './raft-wire.ts';

const MIN_LATENCY_MS = 0.1;
const MAX_LATENCY_MS = 1;
const MAX_UNRELIABLE_DELAY_MS = 26;
const LOSS_RATE = 0.1;
const LATE_REPLY_RATE = 2 / 3;
const MAX_NOBODY_MS = 6999;

export class RaftNetwork {
  reliable = true;
  longReordering = false;
  /** Requests that left a server, and their bytes with those of the replies. */
  requests = 0;
  bytes = 0;
  /** Requests that arrived, by server: the labs' rpcCount. */
  readonly received = new Map<PeerId, number>();
  /** InstallSnapshot requests among them. */
  chunks = 0;
  onMessage: ((message: Request | Reply) => void) | null = null;
  readonly #events: EventQueue;
  readonly #random: Random;
  readonly #servers: ReadonlyMap<PeerId, RaftServer>;
  readonly #callTimeoutMs: number;
  /** Directed pairs, `from * 64 + to`. */
  readonly #cut = new Set<number>();

  constructor(events: EventQueue, random: Random, servers: ReadonlyMap<PeerId, RaftServer>, callTimeoutMs: number) {
    this.#events = events;
    this.#random = random;
    this.#servers = servers;
    this.#callTimeoutMs = callTimeoutMs;
  }

  /** Nothing passes from one to the other; the way back stays open. */
  cutOneWay(from: PeerId, to: PeerId): void {
    this.#cut.add(from * 64 + to);
  }

  healCuts(): void {
    this.#cut.clear();
  }

  #passes(from: RaftServer, to: RaftServer): boolean {
    return from.connected && to.connected && to.up && !this.#cut.has(from.id * 64 + to.id);
  }

  call(from: RaftServer, request: Request): void {
    const to = this.#servers.get(request.to)!;
    const asker = from.instance;
    this.requests += 1;
    this.bytes += requestBytes(request);
    this.onMessage?.(request);
    const nobody = !this.#passes(from, to);
    const timeoutMs = nobody ? Math.min(this.#random.int(0, MAX_NOBODY_MS), this.#callTimeoutMs) : this.#callTimeoutMs;
    const failure = this.#events.after(timeoutMs, () => {
      failure.run = null;
      if (from.instance === asker) from.input({ type: 'callFailed', to: to.id, seq: request.seq });
    });
    if (nobody || this.#loses()) return;
    const delayMs = this.reliable ? this.#latencyMs() : this.#random.int(0, MAX_UNRELIABLE_DELAY_MS);
    this.#events.after(delayMs, () => {
      if (!this.#passes(from, to)) return;
      this.received.set(to.id, this.receivedBy(to.id) + 1);
      if (request.type === 'InstallSnapshot') this.chunks += 1;
      to.receive(request, (reply) => {
        this.bytes += replyBytes(reply);
        this.onMessage?.(reply);
        if (this.#loses()) return;
        this.#events.after(this.#replyDelayMs(), () => {
          if (failure.run === null || from.instance !== asker || !this.#passes(to, from)) return;
          failure.run = null;
          from.input({ type: 'reply', message: reply });
        });
      });
    });
  }

  receivedBy(id: PeerId): number {
    return this.received.get(id) ?? 0;
  }

  get receivedByAll(): number {
    let sum = 0;
    for (const count of this.received.values()) sum += count;
    return sum;
  }

  #loses(): boolean {
    return !this.reliable && this.#random.chance(LOSS_RATE);
  }

  #latencyMs(): number {
    return this.#random.between(MIN_LATENCY_MS, MAX_LATENCY_MS);
  }

  #replyDelayMs(): number {
    if (!this.longReordering || !this.#random.chance(LATE_REPLY_RATE)) return this.#latencyMs();
    return 200 + this.#random.int(0, this.#random.int(0, 2000));
  }
}
