/**
 * Who is there? Asks the objects of PEERS (and the members they name) for their status, which wakes nobody, and judges
 * whether the group exists. PEERS only says where to look: once a group is
 * founded its own configuration rules.
 */
import { type Member, objectName, type PeerView, type Reply } from '../peer/protocol.ts';
import type { Budget } from './budget.ts';
import type { GroupDirectory } from './group-memory.ts';
import { callPeer, QUICK_CALL_MS } from './peer-call.ts';
import type { RouterPlatform } from './platform.ts';

/** What every part of the group client works with. */
export interface RouterContext {
  readonly platform: RouterPlatform;
  readonly directory: GroupDirectory;
  /** PEERS as the members of a new group. */
  readonly firstMembers: readonly Member[];
}

export function membersOfHints(locationHints: readonly string[]): Member[] {
  return locationHints.map((locationHint, i) => ({ id: i + 1, slot: i + 1, incarnation: 1, locationHint }));
}

export interface PeerReport {
  readonly member: Member;
  /** Null: unreachable. */
  readonly reply: Reply<'status'> | null;
}

export type Existence =
  | 'founded'
  /** Peer 1 has a groupId, and not yet a configuration: its founding is under way, or broke off. */
  | 'founding'
  /** Others have a groupId and no configuration, and peer 1 does not say so too: nobody can go on with it now. */
  | 'stranded'
  /** Peer 1 is unfounded, and so is every other that could be reached. */
  | 'missing'
  /** Peer 1 cannot be reached, and nobody else knows of the group. */
  | 'unknown';

export interface Survey {
  readonly existence: Existence;
  /** Everybody who was asked has answered. */
  readonly complete: boolean;
  readonly groupId: string | null;
  readonly members: readonly Member[];
  /** One for each of `members`. */
  readonly reports: readonly PeerReport[];
  /** Objects that were asked and are no members. */
  readonly others: readonly PeerReport[];
}

function ask(context: RouterContext, group: string, member: Member, timeoutMs: number): Promise<PeerReport> {
  return callPeer(context.platform, group, member, 'status', {}, timeoutMs).then((reply) => ({ member, reply }));
}

function view(report: PeerReport | undefined): PeerView | null {
  return report?.reply?.view ?? null;
}

/** The view with the newest configuration. */
function newest(reports: readonly PeerReport[]): PeerView | null {
  let best: PeerView | null = null;
  for (const report of reports) {
    const candidate = view(report);
    if (candidate === null || candidate.groupId === null || candidate.members.length === 0) continue;
    if (best === null || candidate.term > best.term) best = candidate;
  }
  return best;
}

function isFirst({ slot, incarnation }: Member): boolean {
  return slot === 1 && incarnation === 1;
}

function judge(reports: readonly PeerReport[]): Existence {
  if (newest(reports) !== null) return 'founded';
  const first = view(reports.find(({ member }) => isFirst(member)));
  if (first !== null && first.groupId !== null) return 'founding';
  if (reports.some((report) => (view(report)?.groupId ?? null) !== null)) return 'stranded';
  return first === null ? 'unknown' : 'missing';
}

/** By object; what is remembered counts too, since PEERS may have been edited. */
function union(group: string, first: readonly Member[], remembered: readonly Member[]): Member[] {
  const members = new Map<string, Member>();
  for (const member of [...first, ...remembered]) members.set(objectName(group, member), member);
  return [...members.values()];
}

/** Whether the group exists, as soon as that is certain; the memory learns of it. */
export async function lookUp(
  context: RouterContext,
  group: string,
  budget: Budget,
): Promise<{ existence: Existence; complete: boolean }> {
  const memory = context.directory.of(group);
  const reports: PeerReport[] = [];
  const { promise: founded, resolve } = Promise.withResolvers<void>();
  const calls = union(group, context.firstMembers, memory.members).map(async (member) => {
    const report = await ask(context, group, member, budget.takeCall(QUICK_CALL_MS));
    reports.push(report);
    if (judge([report]) === 'founded') resolve();
  });
  await Promise.race([founded, Promise.all(calls)]);
  const existence = judge(reports);
  const best = newest(reports);
  if (best !== null) memory.learn(best);
  else if (existence === 'missing') memory.forget();
  return { existence, complete: reports.every(({ reply }) => reply !== null) };
}

/** Everybody's status; `extra` are asked too. */
export async function survey(
  context: RouterContext,
  group: string,
  budget: Budget,
  extra: readonly Member[] = [],
): Promise<Survey> {
  const memory = context.directory.of(group);
  const remembered = [...memory.members, ...extra];
  const reports = new Map<string, PeerReport>();
  const askAll = async (members: readonly Member[]) => {
    const unasked = members.filter((member) => !reports.has(objectName(group, member)));
    const asked = await Promise.all(
      unasked.map((member) => ask(context, group, member, budget.takeCall(QUICK_CALL_MS))),
    );
    for (const report of asked) reports.set(objectName(group, report.member), report);
  };
  await askAll(union(group, context.firstMembers, remembered));
  await askAll(newest([...reports.values()])?.members ?? []);
  const all = [...reports.values()];
  const best = newest(all);
  if (best !== null) memory.learn(best);
  const existence = judge(all);
  const members =
    best?.members ?? (existence === 'unknown' && remembered.length > 0 ? remembered : context.firstMembers);
  const names = new Set(members.map((member) => objectName(group, member)));
  return {
    existence,
    complete: all.every(({ reply }) => reply !== null),
    groupId: best?.groupId ?? all.map(view).find((seen) => (seen?.groupId ?? null) !== null)?.groupId ?? null,
    members,
    reports: members.map((member) => ({ member, reply: reports.get(objectName(group, member))?.reply ?? null })),
    others: all.filter(({ member }) => !names.has(objectName(group, member))),
  };
}
