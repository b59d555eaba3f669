/** Talks to one object of a simulated group as the router does, for tests below the router. */
import {
  type ClientReply,
  type ClientRequest,
  decodeBody,
  encodeBody,
  type PeerView,
} from '../../src/peer/protocol.ts';
import type { SimGroup } from '../simulation/sim-group.ts';

export const MEMBERS = [1, 2, 3].map((id) => ({ id, slot: id, incarnation: 1, locationHint: 'weur' }));

export async function post(group: SimGroup, slot: number, route: string, body: unknown): Promise<unknown> {
  return decodeBody(await group.until(group.world.request('test', `default/${slot}.1`, route, encodeBody(body))));
}

export async function found(group: SimGroup): Promise<string> {
  const { view: before } = (await post(group, 1, 'status', {})) as { view: PeerView };
  const { view } = (await post(group, 1, 'found', { members: MEMBERS, nonce: before.nonce })) as { view: PeerView };
  await group.pass(5000, () => group.raft(1)?.lastApplied === 1 && group.equal([1, 2, 3]));
  return view.groupId ?? '';
}

export async function ask(group: SimGroup, slot: number, requests: ClientRequest[]): Promise<ClientReply[]> {
  const { replies } = (await post(group, slot, 'client', { requests })) as { replies: ClientReply[] };
  return replies;
}
