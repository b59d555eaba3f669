/**
 * Looks at all peers through `/cluster` all the while: equal states at equal indices, one leader a term, and nothing that is
 * on a peer's disk ever goes back.
 */
import { type ClusterJson, type EdgeRuntime, type PeerJson, sleep } from '../edge-runtime.ts';
import type { Finding } from './run-record.ts';

const LOOK_EVERY_MS = 400;
/** Hashes that are remembered; the oldest go first. */
const MAX_HASHES = 20_000;
const MAX_VIOLATIONS = 20;

export class PeerWatch {
  readonly #edge: EdgeRuntime;
  readonly #now: () => number;
  /** By applied index. */
  readonly #hashes = new Map<number, { readonly hash: string; readonly peer: string }>();
  readonly #leaders = new Map<number, string>();
  readonly #latest = new Map<string, PeerJson>();
  readonly #behind = new Set<string>();
  readonly violations: Finding[] = [];
  looks = 0;
  /** Hashes that were held against another peer's at the same index. */
  comparisons = 0;
  /** Times that a peer needed what is no longer in its leader's log: only a snapshot helps it. */
  leftBehind = 0;
  highestTerm = 0;
  #stopped = false;
  #running: Promise<void> | null = null;

  constructor(edge: EdgeRuntime, now: () => number) {
    this.#edge = edge;
    this.#now = now;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const cluster = await this.#edge.cluster().catch(() => null);
      if (cluster !== null) this.look(cluster);
      await sleep(LOOK_EVERY_MS);
    }
  }

  look({ peers }: ClusterJson): void {
    this.looks += 1;
    const founded = peers.filter((peer) => peer.reachable && peer.role !== 'unfounded');
    for (const peer of founded) {
      this.#compare(peer);
      this.#oneLeader(peer);
      this.#forward(peer);
    }
    const leader = founded.find((peer) => peer.role === 'leader');
    if (leader !== undefined) for (const peer of founded) this.#countBehind(peer, leader);
  }

  #compare({ id, lastApplied, stateHash }: PeerJson): void {
    const known = this.#hashes.get(lastApplied);
    if (known === undefined) {
      this.#hashes.set(lastApplied, { hash: stateHash, peer: id });
      if (this.#hashes.size > MAX_HASHES) this.#hashes.delete(this.#hashes.keys().next().value ?? 0);
      return;
    }
    if (known.peer !== id) this.comparisons += 1;
    if (known.hash === stateHash) return;
    this.#violation(`at index ${lastApplied} peer ${known.peer} had state ${known.hash}, peer ${id} has ${stateHash}`);
  }

  #oneLeader({ id, role, term }: PeerJson): void {
    this.highestTerm = Math.max(this.highestTerm, term);
    if (role !== 'leader') return;
    const known = this.#leaders.get(term) ?? id;
    this.#leaders.set(term, known);
    if (known !== id) this.#violation(`term ${term} is led by peer ${known} and by peer ${id}`);
  }

  #forward(peer: PeerJson): void {
    const before = this.#latest.get(peer.id);
    this.#latest.set(peer.id, peer);
    if (before === undefined) return;
    for (const name of ['term', 'lastApplied', 'snapshotIndex'] as const) {
      if (peer[name] < before[name])
        this.#violation(`peer ${peer.id}: ${name} went from ${before[name]} back to ${peer[name]}`);
    }
  }

  #countBehind({ id, lastIndex }: PeerJson, leader: PeerJson): void {
    if (lastIndex + 1 >= leader.firstIndex) this.#behind.delete(id);
    else if (!this.#behind.has(id)) {
      this.#behind.add(id);
      this.leftBehind += 1;
    }
  }

  #violation(message: string): void {
    if (this.violations.length < MAX_VIOLATIONS) this.violations.push({ message, key: null, atMs: this.#now() });
  }
}
