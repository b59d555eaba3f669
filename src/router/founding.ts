/** Groups come into being here, and go. Every step may be repeated: a request that was lost costs nothing. */
import { type Member, objectName } from '../peer/protocol.ts';
import type { Budget } from './budget.ts';
import { type Failed, failed } from './outcome.ts';
import { callPeer, QUICK_CALL_MS } from './peer-call.ts';
import { lookUp, type PeerReport, type RouterContext, survey } from './survey.ts';

/** The one group that its first request founds. */
export const DEFAULT_GROUP = 'default';

/** Peer 1 asks every other, twice. */
const FOUND_CALL_MS = 3000;
/** Deleting gigabytes takes a while. */
const DELETE_CALL_MS = 5000;

export type Readiness =
  /** The group is founded, and the memory knows its members. */
  | 'ready'
  | 'missing'
  /** Not now; worth another try. */
  | 'unavailable';

/**
 * Looks the group up once, goes on with a founding that is under way, and founds a missing group if `create`. Founding
 * needs the word of every peer that it is unfounded: a wiped peer 1 must not found a second group beside the first.
 */
export async function makeReady(
  context: RouterContext,
  group: string,
  create: boolean,
  budget: Budget,
): Promise<Readiness> {
  const { existence, complete } = await lookUp(context, group, budget);
  switch (existence) {
    case 'founded':
      return 'ready';
    case 'founding':
      return (await found(context, group, budget)) ? 'ready' : 'unavailable';
    case 'missing':
      if (!create) return 'missing';
      return complete && (await found(context, group, budget)) ? 'ready' : 'unavailable';
    default:
      return 'unavailable';
  }
}

async function found(context: RouterContext, group: string, budget: Budget): Promise<boolean> {
  const [first] = context.firstMembers;
  if (first === undefined || budget.spent) return false;
  // Founding quotes what the present instance says: a duplicate that comes late founds nothing.
  const asked = await callPeer(context.platform, group, first, 'status', {}, budget.takeCall(QUICK_CALL_MS));
  if (asked === null || budget.spent) return false;
  const request = { members: [...context.firstMembers], nonce: asked.view.nonce };
  const reply = await callPeer(context.platform, group, first, 'found', request, budget.takeCall(FOUND_CALL_MS));
  if (reply?.complete !== true) return false;
  const memory = context.directory.of(group);
  memory.learn(reply.view);
  return memory.members.length > 0;
}

/** Tries `makeReady` until it succeeds, the group is known to be missing, or the tries or the budget end. */
export async function awaitReady(
  context: RouterContext,
  group: string,
  create: boolean,
  budget: Budget,
  maxTries: number,
): Promise<Readiness> {
  for (let i = 0; i < maxTries && !budget.spent; i += 1) {
    if (i > 0) await budget.pause();
    const readiness = await makeReady(context, group, create, budget);
    if (readiness !== 'unavailable') return readiness;
  }
  return 'unavailable';
}

/** Founds the group unless it is there. `created`: this request found it missing or unfinished. */
export async function createGroup(
  context: RouterContext,
  group: string,
  budget: Budget,
): Promise<{ readonly ok: true; readonly created: boolean; readonly groupId: string | null } | Failed> {
  let created = false;
  while (!budget.spent) {
    const { existence } = await lookUp(context, group, budget);
    if (existence === 'founded') return { ok: true, created, groupId: context.directory.of(group).groupId };
    if (existence === 'missing' || existence === 'founding') {
      created = true;
      const readiness = await makeReady(context, group, true, budget);
      if (readiness === 'ready') return { ok: true, created, groupId: context.directory.of(group).groupId };
    }
    await budget.pause();
  }
  return failed('peer_unreachable');
}

/**
 * Deletes every object of the group, each by the groupId that was first read from it: whatever is founded anew meanwhile
 * is left alone. Members that PEERS does not name go first, and peer 1 last: as long as any is left, a repeated request
 * still finds it.
 */
export async function deleteGroup(
  context: RouterContext,
  group: string,
  budget: Budget,
): Promise<{ readonly ok: true; readonly deleted: boolean } | Failed> {
  const condemned = new Map<string, string>();
  const targets = new Map<string, Member>();
  while (!budget.spent) {
    const { reports, others } = await survey(context, group, budget, [...targets.values()]);
    const left: PeerReport[] = [];
    for (const report of [...reports, ...others]) {
      const name = objectName(group, report.member);
      targets.set(name, report.member);
      const groupId = report.reply?.view.groupId ?? null;
      if (groupId !== null && !condemned.has(name)) condemned.set(name, groupId);
      if (report.reply === null || (groupId !== null && groupId === condemned.get(name))) left.push(report);
    }
    if (left.length === 0) {
      await forgetFounding(context, group, [...targets.values()], [...condemned.values()], budget);
      context.directory.of(group).forget();
      return { ok: true, deleted: condemned.size > 0 };
    }
    await deleteInOrder(context, group, left, budget);
    await budget.pause();
  }
  return failed('peer_unreachable');
}

/**
 * A founding that broke off may still have requests on their way to objects that it never reached: told once more, they
 * take no groupId of it.
 */
async function forgetFounding(
  { platform }: RouterContext,
  group: string,
  targets: readonly Member[],
  [groupId]: readonly string[],
  budget: Budget,
): Promise<void> {
  if (groupId === undefined) return;
  const tell = (member: Member) =>
    callPeer(platform, group, member, 'delete', { groupId }, budget.takeCall(QUICK_CALL_MS));
  await Promise.all(targets.map(tell));
}

async function deleteInOrder(
  context: RouterContext,
  group: string,
  left: readonly PeerReport[],
  budget: Budget,
): Promise<void> {
  const named = new Set(context.firstMembers.map((member) => objectName(group, member)));
  const phase = ({ member }: PeerReport) => {
    if (!named.has(objectName(group, member))) return 0;
    return member.slot === 1 ? 2 : 1;
  };
  for (const current of [0, 1, 2]) {
    const reports = left.filter((report) => phase(report) === current);
    const deleted = await Promise.all(reports.map((report) => deletePeer(context, group, report, budget)));
    if (!deleted.every(Boolean)) return;
  }
}

async function deletePeer(
  { platform }: RouterContext,
  group: string,
  { member, reply }: PeerReport,
  budget: Budget,
): Promise<boolean> {
  const groupId = reply?.view.groupId ?? null;
  if (groupId === null || budget.spent) return false;
  const answer = await callPeer(platform, group, member, 'delete', { groupId }, budget.takeCall(DELETE_CALL_MS));
  return answer?.deleted === true;
}
