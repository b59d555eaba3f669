/**
 * Real peers' messages to attack with: a simulated group lives through elections, a partition, a crash and the installation of a
 * snapshot, and every call of a peer by a peer is kept, with what was answered.
 */
import { Calls } from '../../src/peer/calls.ts';
import { decodeBody, objectName } from '../../src/peer/protocol.ts';
import { SimGroup } from '../simulation/sim-group.ts';
import type { Loose } from './bend.ts';

export interface Recorded {
  /** The object that was called. */
  readonly to: string;
  readonly route: string;
  readonly body: Uint8Array;
  /** Null: none came. */
  answer: Uint8Array | null;
}

export interface Run {
  /** As it is at the end: whole, healed, at rest. */
  readonly group: SimGroup;
  readonly groupId: string;
  readonly messages: readonly Recorded[];
}

/** So few entries stay in the log that a peer which misses some needs a snapshot. */
const LIMITS = { tailEntries: 8, tailBytes: 50_000 };

/** Keeps every call from its making until `stop`: one at a time, since it is put in front of all peers. */
export class Recorder {
  readonly messages: Recorded[] = [];
  readonly #call = Calls.prototype.call;

  constructor() {
    const { messages } = this;
    const call = this.#call;
    Calls.prototype.call = function recorded(group, member, route, body) {
      const kept: Recorded = { to: objectName(group, member), route, body: body.slice(), answer: null };
      messages.push(kept);
      const answered = call.call(this, group, member, route, body);
      answered.then(
        (answer) => {
          kept.answer = answer.slice();
        },
        () => {},
      );
      return answered;
    };
  }

  stop(): void {
    Calls.prototype.call = this.#call;
  }
}

/** The caller closes the group. */
export async function recordRun(worldSeed: number): Promise<Run> {
  const recorder = new Recorder();
  try {
    const group = await live(worldSeed);
    const groupId = group.object(1).instance?.peer.identity?.groupId ?? '';
    return { group, groupId, messages: recorder.messages };
  } finally {
    recorder.stop();
  }
}

async function live(seed: number): Promise<SimGroup> {
  const group = new SimGroup({ seed, limits: LIMITS });
  const write = async (count: number, prefix: string): Promise<void> => {
    for (let i = 0; i < count; i += 1) await group.put(`${prefix}${i}`, `${prefix} ${i}`);
  };
  await write(6, 'a');
  group.isolate(3);
  await write(40, 'b');
  group.heal();
  await group.pass(5000, () => group.equal([1, 2, 3]));
  group.world.crash(group.object(group.leader() ?? 1));
  await write(6, 'c');
  const leader = group.leader() ?? 1;
  group.isolate(leader);
  await group.pass(3000);
  await write(4, 'd');
  group.heal();
  await group.pass(10_000, () => group.equal([1, 2, 3]));
  await group.pass(1000);
  return group;
}

/** `raft` bodies by the type of their message, and the founding's by their route. */
export function kindOf({ route, body }: Recorded): string {
  if (route !== 'raft') return route;
  const [message] = (decodeBody(body) as Loose).messages;
  if (message.type === 'RequestVote') return message.preVote ? 'PreVote' : 'RequestVote';
  if (message.type === 'AppendEntries' && message.entries.length === 0) return 'heartbeat';
  return message.type;
}

export const KINDS = [
  'PreVote',
  'RequestVote',
  'AppendEntries',
  'heartbeat',
  'InstallSnapshot',
  'founding/ask',
  'founding/store',
];
