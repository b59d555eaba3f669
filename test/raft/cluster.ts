/**
 * A few hosts and the messages between them, moved by hand: nothing is delivered and no time passes unless a test says
 * so. A call that gets no answer fails at its sender after the election timeout, as in src/peer.
 */
import type { Reply, Request } from '../../src/raft/messages.ts';
import type { PeerId } from '../../src/raft/types.ts';
import {
  CoreHost,
  type Disk,
  diskWith,
  ELECTION_TIMEOUT_MS,
  type HostSettings,
  isReply,
  type Sent,
  type Watcher,
} from './core-host.ts';

interface Call {
  readonly from: PeerId;
  readonly to: PeerId;
  readonly seq: number;
  readonly asker: number;
  readonly sentMs: number;
}

export interface ClusterOptions {
  readonly peers?: number;
  /** Defaults to entry 1 alone, everywhere. */
  readonly disks?: readonly Disk[];
  readonly host?: (id: PeerId) => Omit<HostSettings, 'id'>;
  readonly callTimeoutMs?: number;
}

export class Cluster {
  readonly hosts = new Map<PeerId, CoreHost>();
  readonly callTimeoutMs: number;
  nowMs = 0;
  /** Sent and not yet delivered, oldest first. */
  inTransit: (Sent & { readonly sentMs: number })[] = [];
  /** One way, for `deliver` and all that uses it. */
  latencyMs = 0;
  /** Everything that was ever delivered, in order. */
  readonly delivered: (Request | Reply)[] = [];
  onDelivery: ((message: Request | Reply) => void) | null = null;
  onSent: ((host: CoreHost, message: Request | Reply) => void) | null = null;
  readonly #down = new Set<PeerId>();
  readonly #cut = new Set<string>();
  #calls: Call[] = [];

  constructor(options: ClusterOptions = {}) {
    const peers = options.peers ?? options.disks?.length ?? 3;
    this.callTimeoutMs = options.callTimeoutMs ?? ELECTION_TIMEOUT_MS / 2;
    for (let id = 1; id <= peers; id += 1) {
      // Different and fixed, so that peer 1 is the first to run out of patience.
      const spread = { random: () => (id - 1) / peers };
      const disk = options.disks?.[id - 1] ?? diskWith(peers, [1]);
      this.hosts.set(id, new CoreHost({ ...spread, ...options.host?.(id), id }, disk));
    }
  }

  host(id: PeerId): CoreHost {
    const host = this.hosts.get(id);
    if (host === undefined) throw new Error(`no peer ${id}`);
    return host;
  }

  watch(watcher: Watcher): void {
    for (const host of this.hosts.values()) host.watcher = watcher;
  }

  get leader(): CoreHost | null {
    let newest: CoreHost | null = null;
    for (const host of this.hosts.values()) {
      if (host.raft.role !== 'leader' || this.#down.has(host.id)) continue;
      if (newest === null || host.raft.currentTerm > newest.raft.currentTerm) newest = host;
    }
    return newest;
  }

  // ---- what tests do

  /** Peer `id` stands, and everything is delivered; it must win. */
  elect(id: PeerId): CoreHost {
    const host = this.host(id);
    host.stand();
    this.settle();
    if (host.raft.role !== 'leader') throw new Error(`peer ${id} was not elected, it is a ${host.raft.role}`);
    return host;
  }

  /** Proposes at the leader and delivers everything. */
  commit(...texts: string[]): void {
    for (const text of texts) this.leader?.propose(text);
    this.settle();
  }

  crash(id: PeerId): void {
    this.#down.add(id);
    this.host(id).restart();
  }

  /** The object's next instance; its first event is a look at the clock. */
  start(id: PeerId): void {
    this.#down.delete(id);
    this.host(id).nowMs = this.nowMs;
    this.host(id).restart();
    this.host(id).tick();
    this.collect();
  }

  /** Loses everything between the two, both ways, from now on. */
  cut(a: PeerId, b: PeerId): void {
    this.#cut.add(`${a}>${b}`).add(`${b}>${a}`);
  }

  cutOneWay(from: PeerId, to: PeerId): void {
    this.#cut.add(`${from}>${to}`);
  }

  isolate(id: PeerId): void {
    for (const other of this.hosts.keys()) if (other !== id) this.cut(id, other);
  }

  heal(): void {
    this.#cut.clear();
  }

  // ---- messages

  /** Takes what hosts have sent since; every method that delivers does so by itself. */
  collect(): void {
    for (const host of this.hosts.values()) {
      for (const sent of host.sent.splice(0)) {
        const { from, to, seq } = sent.message;
        if (!isReply(sent.message)) this.#calls.push({ from, to, seq, asker: sent.asker, sentMs: this.nowMs });
        this.onSent?.(host, sent.message);
        this.inTransit.push({ ...sent, sentMs: this.nowMs });
      }
    }
  }

  /** Removes and returns messages that are under way: dropped, unless `inject` puts them back. */
  take(which: (message: Request | Reply) => boolean): Sent[] {
    this.collect();
    const taken = this.inTransit.filter(({ message }) => which(message));
    this.inTransit = this.inTransit.filter(({ message }) => !which(message));
    return taken;
  }

  /** Delivers a packet now; given twice, it is a duplicate. */
  inject({ message, asker }: Sent): void {
    this.collect();
    const host = this.host(message.to);
    if (this.#down.has(message.to) || this.#cut.has(`${message.from}>${message.to}`)) return;
    if (isReply(message) && host.instance !== asker) return;
    host.nowMs = this.nowMs;
    this.delivered.push(message);
    this.onDelivery?.(message);
    if (isReply(message)) {
      const { from, to, seq } = message;
      this.#calls = this.#calls.filter((call) => !(call.from === to && call.to === from && call.seq === seq));
      host.input({ type: 'reply', message });
    } else {
      host.receive(message, asker);
    }
    this.collect();
  }

  /** Delivers what is under way and matches, once each, in order; not what it leads to. Returns how many there were. */
  deliver(which: (message: Request | Reply) => boolean = () => true): number {
    this.collect();
    const arrived = new Set(
      this.inTransit.filter(({ sentMs }) => sentMs + this.latencyMs <= this.nowMs).map(({ message }) => message),
    );
    const packets = this.take((message) => arrived.has(message) && which(message));
    for (const packet of packets) this.inject(packet);
    return packets.length;
  }

  /** Delivers until nothing is under way. Deadlines that are due now (a budget that ran out) count. */
  settle(which: (message: Request | Reply) => boolean = () => true): void {
    for (let round = 0; round < 10_000; round += 1) {
      const due = this.#tickDue();
      if (this.deliver(which) === 0 && !due) return;
    }
    throw new Error('messages never end');
  }

  #tickDue(): boolean {
    let any = false;
    for (const host of this.hosts.values()) {
      if (this.#down.has(host.id) || host.deadlineMs === null || host.deadlineMs > this.nowMs) continue;
      host.nowMs = this.nowMs;
      host.tick();
      any = true;
    }
    this.collect();
    return any;
  }

  // ---- time

  /** Moves the clock; messages are delivered at once and deadlines kept, unless `settle` is false. */
  advance(ms: number, options: { settle?: boolean; stepMs?: number } = {}): void {
    const stepMs = options.stepMs ?? 10;
    const endMs = this.nowMs + ms;
    while (this.nowMs < endMs) {
      this.nowMs = Math.min(endMs, this.nowMs + stepMs);
      for (const host of this.hosts.values()) host.nowMs = this.nowMs;
      this.#failOverdueCalls();
      if (options.settle === false) this.#tickDue();
      else this.settle();
    }
  }

  #failOverdueCalls(): void {
    const overdue = this.#calls.filter((call) => call.sentMs + this.callTimeoutMs <= this.nowMs);
    if (overdue.length === 0) return;
    this.#calls = this.#calls.filter((call) => call.sentMs + this.callTimeoutMs > this.nowMs);
    for (const call of overdue) this.#fail(call);
    this.collect();
  }

  #fail({ from, to, seq, asker }: Call): void {
    const host = this.host(from);
    if (host.instance !== asker || this.#down.has(from)) return;
    host.input({ type: 'callFailed', to, seq });
  }

  /** Calls that match fail now, as when an object cannot be reached; what is under way of them is lost. */
  failCalls(which: (call: Call) => boolean): void {
    this.collect();
    const failed = this.#calls.filter(which);
    this.#calls = this.#calls.filter((call) => !which(call));
    for (const call of failed) {
      this.inTransit = this.inTransit.filter(
        ({ message }) => !(message.seq === call.seq && (message.from === call.from || message.to === call.from)),
      );
      this.#fail(call);
    }
    this.collect();
  }
}
