/**
 * Objects that speak the peers' side of protocol.ts without Raft: one store for each group stands for what its quorum has
 * agreed on, and the members only know who leads. Faults are up to the test.
 */
import type { Command, Query } from '../../src/kv/commands.ts';
import { createKeyValueStore } from '../../src/kv/key-value-store.ts';
import {
  type ClientReply,
  type ClientRequest,
  decodeBody,
  encodeBody,
  type Fault,
  type Member,
  objectName,
  type PeerId,
  type PeerStatus,
  type PeerView,
} from '../../src/peer/protocol.ts';
import type { StateMachine } from '../../src/peer/state-machine.ts';
import { NodeSql } from '../simulation/node-sql.ts';

export interface FakeGroup {
  readonly groupId: string;
  readonly store: StateMachine;
  members: Member[];
  term: number;
  leader: PeerId | null;
  index: number;
  founding: boolean;
}

export interface Call {
  readonly object: string;
  readonly locationHint: string;
  readonly route: string;
  readonly request: Record<string, unknown>;
}

/** What becomes of a call. `late`: it is executed, and its reply never arrives. */
export type Fate = 'pass' | 'reject' | 'hang' | 'late' | { readonly replies: ClientReply[] };

const EMPTY_VIEW: PeerView = {
  groupId: null,
  nonce: 'nonce',
  founding: false,
  id: null,
  term: 0,
  leader: null,
  members: [],
};

export function members(...hints: string[]): Member[] {
  return hints.map((locationHint, i) => ({ id: i + 1, slot: i + 1, incarnation: 1, locationHint }));
}

export class FakePeers {
  readonly calls: Call[] = [];
  readonly faults: { object: string; fault: Fault }[] = [];
  /** What each object holds: the group it belongs to. */
  readonly objects = new Map<string, FakeGroup>();
  fate: (call: Call) => Fate = () => 'pass';
  /** Seen by every write before it is applied. */
  onCommand: (command: Command, group: FakeGroup) => void = () => {};
  elapsedMs = 0;
  /** Answers past so many bytes in one call are refused as overloaded. */
  answerBytesPerBatch = Number.POSITIVE_INFINITY;
  #groups = 0;

  /** A group as it is once founded, with its first member leading. */
  found(name: string, groupMembers: Member[]): FakeGroup {
    this.#groups += 1;
    const store = createKeyValueStore(new NodeSql(), {});
    store.createTables();
    store.restore(null);
    const groupId = `group-${this.#groups}`;
    const group: FakeGroup = { groupId, store, members: groupMembers, term: 1, leader: 1, index: 0, founding: false };
    for (const member of groupMembers) this.objects.set(objectName(name, member), group);
    return group;
  }

  down(...objects: string[]): void {
    this.fate = (call) => (objects.includes(call.object) ? 'reject' : 'pass');
  }

  silent(...objects: string[]): void {
    this.fate = (call) => (objects.includes(call.object) ? 'hang' : 'pass');
  }

  callsOf(route: string): Call[] {
    return this.calls.filter((call) => call.route === route);
  }

  /** The one way in: what a stub's `fetch` does. */
  async call(object: string, locationHint: string, route: string, body: Uint8Array): Promise<Uint8Array> {
    const request = decodeBody(body) as Record<string, unknown>;
    const call = { object, locationHint, route, request };
    this.calls.push(call);
    const fate = this.fate(call);
    if (fate === 'reject') throw new Error('unreachable');
    if (fate === 'hang') return new Promise(() => {});
    if (typeof fate === 'object') return encodeBody({ view: this.view(object), ...fate });
    const reply = encodeBody(this.#handle(call));
    return fate === 'late' ? new Promise(() => {}) : reply;
  }

  view(object: string): PeerView {
    const group = this.objects.get(object);
    if (group === undefined) return EMPTY_VIEW;
    const { groupId, founding, term, leader } = group;
    const first = object.endsWith('/1.1');
    if (founding)
      return { groupId, nonce: 'nonce', founding, id: first ? 1 : null, term: 0, leader: null, members: [] };
    return { groupId, nonce: 'nonce', founding, id: this.#id(object, group), term, leader, members: group.members };
  }

  #id(object: string, group: FakeGroup): PeerId | null {
    const name = object.slice(0, object.lastIndexOf('/'));
    return group.members.find((member) => objectName(name, member) === object)?.id ?? null;
  }

  #handle({ object, route, request }: Call): Record<string, unknown> {
    switch (route) {
      case 'client': {
        let bytes = 0;
        const replies = (request.requests as ClientRequest[]).map((one): ClientReply => {
          if (bytes > this.answerBytesPerBatch) return { type: 'overloaded' };
          const reply = this.#client(object, one);
          if (one.type === 'query') bytes += encodeBody(reply).byteLength;
          return reply;
        });
        return { view: this.view(object), replies };
      }
      case 'stand':
        this.#stand(object);
        return { view: this.view(object) };
      case 'status':
        return { view: this.view(object), status: this.#status(object) };
      case 'found':
        return { complete: this.#found(object, request.members as Member[]), view: this.view(object) };
      case 'delete': {
        const group = this.objects.get(object);
        const deleted = group === undefined || group.groupId === request.groupId;
        if (deleted) this.objects.delete(object);
        return { view: EMPTY_VIEW, deleted };
      }
      case 'chaos':
        this.faults.push({ object, fault: request.fault as Fault });
        return { view: this.view(object) };
      default:
        throw new Error(`no route ${route}`);
    }
  }

  #client(object: string, request: ClientRequest): ClientReply {
    const group = this.objects.get(object);
    if (group === undefined || group.founding) return { type: 'not_leader' };
    const leads = group.leader === this.#id(object, group);
    if (request.type === 'query') {
      if (!group.store.acceptsQuery(request.query)) return { type: 'refused' };
      if (!leads && request.consistency === 'linearizable') return { type: 'not_leader' };
      return { type: 'result', result: group.store.query(request.query as Query), ageMs: leads ? 0 : 7 };
    }
    if (!group.store.accepts(request.command)) return { type: 'refused' };
    if (!leads) return { type: 'not_leader' };
    return { type: 'result', result: this.apply(group, request.command as Command), ageMs: null };
  }

  /** A write of somebody else's, done now. */
  write(name: string, key: string, value: string): void {
    const group = this.objects.get(`${name}/1.1`);
    if (group === undefined) throw new Error(`no group ${name}`);
    const digest = new Uint8Array(16);
    const session = { pool: 'clerk' as const, id: `writer-${group.index}`, seq: 1, acked: 0, requestDigest: digest };
    const encoder = new TextEncoder();
    this.apply(group, {
      op: 'put',
      key: encoder.encode(key),
      value: encoder.encode(value),
      valueDigest: digest,
      condition: null,
      session,
    });
  }

  apply(group: FakeGroup, command: Command): unknown {
    this.onCommand(command, group);
    group.index += 1;
    const data = group.store.encodeEntry([command]);
    const elapsedMs = Math.min(this.elapsedMs, 60_000);
    this.elapsedMs -= elapsedMs;
    return group.store.apply({ index: group.index, term: group.term, elapsedMs, data })[0];
  }

  /** Elected if nobody leads, or the leader does not answer. */
  #stand(object: string): void {
    const group = this.objects.get(object);
    if (group === undefined || group.founding) return;
    const name = object.slice(0, object.lastIndexOf('/'));
    const leader = group.members.find(({ id }) => id === group.leader);
    const probe = {
      object: leader === undefined ? '' : objectName(name, leader),
      locationHint: '',
      route: '',
      request: {},
    };
    if (leader !== undefined && this.objects.get(probe.object) === group && this.fate(probe) === 'pass') return;
    group.leader = this.#id(object, group);
    group.term += 1;
  }

  /** Founds if every member answers and is unfounded; one that does not leaves it half done. */
  #found(object: string, groupMembers: Member[]): boolean {
    const name = object.slice(0, object.lastIndexOf('/'));
    const present = this.objects.get(object);
    if (present !== undefined && !present.founding) return true;
    const wanted = present?.members ?? groupMembers;
    const reachable = wanted.every((member) => {
      const call = { object: objectName(name, member), locationHint: '', route: 'founding', request: {} };
      const holds = this.objects.get(call.object);
      return this.fate(call) === 'pass' && (holds === undefined || holds === present);
    });
    const group = present ?? this.#begin(object, wanted);
    if (!reachable) return false;
    group.founding = false;
    for (const member of wanted) this.objects.set(objectName(name, member), group);
    return true;
  }

  #begin(object: string, groupMembers: Member[]): FakeGroup {
    const group = this.found('', groupMembers);
    for (const member of groupMembers) this.objects.delete(objectName('', member));
    group.founding = true;
    this.objects.set(object, group);
    return group;
  }

  #status(object: string): PeerStatus {
    const group = this.objects.get(object);
    const founded = group !== undefined && !group.founding;
    const leads = founded && group.leader === this.#id(object, group);
    const index = group?.index ?? 0;
    return {
      role: !founded ? (group === undefined ? 'unfounded' : 'follower') : leads ? 'leader' : 'follower',
      commitIndex: index,
      lastApplied: index,
      firstIndex: 1,
      lastIndex: index,
      snapshotIndex: 0,
      logBytes: 0,
      stateHash: founded ? group.store.stateHash() : '',
      lastContactMs: founded ? 3 : null,
      quiesced: false,
      metrics: founded ? { elections_total: 1, ...group.store.gauges() } : {},
    };
  }
}
