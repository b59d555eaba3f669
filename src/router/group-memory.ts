/**
 * What an isolate remembers of groups: whom it heard of, and who led last. All of it is hearsay, checked by every use;
 * losing it costs a few calls.
 */
import type { Member, PeerId, PeerView } from '../peer/protocol.ts';
import { SharedCalls } from './coalescing.ts';
import { IdentityPool } from './identity.ts';
import type { RouterPlatform } from './platform.ts';

export class GroupMemory {
  readonly group: string;
  readonly identities: IdentityPool;
  /** Of writes that ask one peer only: that peer may be dead, and must not hold up those that ask whoever leads. */
  readonly identitiesForOnePeer: IdentityPool;
  readonly calls: SharedCalls;
  readonly #platform: RouterPlatform;
  readonly #firstMembers: readonly Member[];
  groupId: string | null = null;
  /** The newest configuration heard of; empty: none yet. */
  members: readonly Member[] = [];
  term = 0;
  leader: PeerId | null = null;
  /** The last one that led: whoever is asked to stand comes after it. */
  lastLeader: PeerId | null = null;
  /** When this isolate last asked somebody to stand. */
  stoodAtMs = Number.NEGATIVE_INFINITY;
  /** The peer that answered the last stale read. */
  staleReader: PeerId | null = null;

  constructor(group: string, platform: RouterPlatform, firstMembers: readonly Member[], coalescing: boolean) {
    this.group = group;
    this.identities = new IdentityPool(platform);
    this.identitiesForOnePeer = new IdentityPool(platform);
    this.calls = new SharedCalls(platform, group, coalescing);
    this.#platform = platform;
    this.#firstMembers = firstMembers;
  }

  member(id: PeerId | null): Member | null {
    return this.members.find((member) => member.id === id) ?? null;
  }

  /** Takes in what a peer says with every reply. */
  learn(view: PeerView): void {
    if (view.groupId === null) return;
    if (view.groupId !== this.groupId) {
      this.forget();
      this.groupId = view.groupId;
    }
    if (view.members.length > 0 && (view.term >= this.term || this.members.length === 0)) {
      if (this.members.length === 0) this.#reportDifference(view.members);
      this.members = view.members;
    }
    if (view.term < this.term) return;
    const gone = view.leader === null && (view.term > this.term || view.id === this.leader);
    if (gone) this.leader = null;
    else if (view.leader !== null) this.leads(view.leader);
    this.term = view.term;
  }

  /** PEERS speaks of new groups only. That this group has other members is told, once, and never acted on. */
  #reportDifference(members: readonly Member[]): void {
    const named = (list: readonly Member[]) =>
      list.map(({ slot, locationHint }) => `${slot}:${locationHint}`).join(' ');
    const [configured, actual] = [named(this.#firstMembers), named(members)];
    if (configured === actual) return;
    this.#platform.log({
      level: 'warn',
      event: 'peers_differ_from_configuration',
      group: this.group,
      configured,
      actual,
    });
  }

  leads(id: PeerId): void {
    this.leader = id;
    this.lastLeader = id;
  }

  /** `id` did not answer, or says that it does not lead. */
  doesNotLead(id: PeerId): void {
    if (this.leader === id) this.leader = null;
  }

  /** The group is gone, or is another one now. Identities stay: what is under way under them must end first. */
  forget(): void {
    this.groupId = null;
    this.members = [];
    this.term = 0;
    this.leader = null;
    this.lastLeader = null;
    this.staleReader = null;
  }
}

const MAX_GROUPS = 1024;

/** The groups used last. */
export class GroupDirectory {
  readonly #platform: RouterPlatform;
  readonly #firstMembers: readonly Member[];
  readonly #coalescing: boolean;
  readonly #groups = new Map<string, GroupMemory>();

  /** `firstMembers`: whom PEERS names. `coalescing`: whether requests share calls. */
  constructor(platform: RouterPlatform, firstMembers: readonly Member[], coalescing: boolean) {
    this.#platform = platform;
    this.#firstMembers = firstMembers;
    this.#coalescing = coalescing;
  }

  of(group: string): GroupMemory {
    const memory =
      this.#groups.get(group) ?? new GroupMemory(group, this.#platform, this.#firstMembers, this.#coalescing);
    this.#groups.delete(group);
    this.#groups.set(group, memory);
    const [oldest] = this.#groups.keys();
    if (this.#groups.size > MAX_GROUPS && oldest !== undefined) this.#groups.delete(oldest);
    return memory;
  }
}
