/** `/cluster` and `/healthz`: what the peers say of themselves. Neither wakes a group, nor founds one. */
import type { Member, PeerStatus, PeerView, Reply } from '../peer/protocol.ts';
import { DEFAULT_GROUP } from './founding.ts';
import { failureProblem, Problem, peerName } from './problem.ts';
import { parseQuery } from './query-string.ts';
import type { RouterRequest } from './service.ts';
import type { PeerReport, Survey } from './survey.ts';

/** A leader that is awake, and that no quorum has answered for so long, answers nobody within the contract's 10 s. */
const QUORUM_SILENCE_MS = 10_000;

export async function getCluster(c: RouterRequest): Promise<Response> {
  const { groups } = c.get('service');
  const { group, query } = c.get('target');
  const { peer } = parseQuery(query);
  if (peer === undefined) return Response.json(clusterJson(group, await surveyOf(c)));
  const status = await groups.status(group, peer);
  if (!status.ok) throw failureProblem(status.failure);
  const { member, reply } = status;
  return Response.json(summaryJson(group, reply.view.groupId, [{ member, reply }]));
}

/** The group's survey; throws the problem of a group that does not exist, or cannot be judged. */
export async function surveyOf(c: RouterRequest): Promise<Survey> {
  const { group } = c.get('target');
  const survey = await c.get('service').groups.survey(group);
  if (group === DEFAULT_GROUP) return survey;
  if (survey.existence === 'missing') throw failureProblem({ type: 'no_such_group' });
  if (survey.existence === 'unknown') throw failureProblem({ type: 'no_leader' });
  return survey;
}

function clusterJson(group: string, { groupId, reports }: Survey) {
  return summaryJson(group, groupId, reports);
}

function summaryJson(group: string, groupId: string | null, reports: readonly PeerReport[]) {
  const leader = leaderOf(reports);
  return {
    group,
    groupId,
    leader: peerName(leader),
    term: newestTerm(reports),
    quiesced: isQuiesced(reports, leader),
    peers: reports.map(peerJson),
  };
}

function founded(reports: readonly PeerReport[]): { member: Member; view: PeerView; status: PeerStatus }[] {
  return reports.flatMap(({ member, reply }) =>
    reply === null || reply.view.groupId === null ? [] : [{ member, view: reply.view, status: reply.status }],
  );
}

function newestTerm(reports: readonly PeerReport[]): number {
  return Math.max(0, ...founded(reports).map(({ view }) => view.term));
}

/** Whom the peers of the newest term follow. */
function leaderOf(reports: readonly PeerReport[]): number | null {
  const term = newestTerm(reports);
  const newest = founded(reports).filter(({ view }) => view.term === term);
  return newest.find(({ view }) => view.leader !== null)?.view.leader ?? null;
}

function isQuiesced(reports: readonly PeerReport[], leader: number | null): boolean {
  const peers = founded(reports);
  const led = peers.find(({ member }) => member.id === leader);
  if (led !== undefined) return led.status.quiesced;
  return peers.length > 0 && peers.every(({ status }) => status.quiesced);
}

function peerJson({ member, reply }: PeerReport) {
  const id = String(member.id);
  const { locationHint } = member;
  if (reply === null) return { id, locationHint, reachable: false };
  return { id, role: reply.status.role, locationHint, reachable: true, ...statusJson(reply) };
}

function statusJson({ view, status }: Reply<'status'>) {
  const { commitIndex, lastApplied, firstIndex, lastIndex, snapshotIndex, logBytes, stateHash, lastContactMs } = status;
  return {
    term: view.term,
    commitIndex,
    lastApplied,
    firstIndex,
    lastIndex,
    snapshotIndex,
    logBytes,
    stateHash,
    lastContactMs,
  };
}

/** 200 if the group `default` answers, sleeps in order, or is not founded yet. */
export async function getHealth(c: RouterRequest): Promise<Response> {
  const survey = await c.get('service').groups.survey(DEFAULT_GROUP);
  if (isUnfounded(survey)) return Response.json({ status: 'unfounded' });
  if (!isHealthy(survey)) throw new Problem('no_leader', 'The group default has no leader with a quorum.');
  return Response.json({ status: 'ok' });
}

function isUnfounded({ existence }: Survey): boolean {
  return existence === 'missing' || existence === 'founding';
}

/** Of a founded group: a majority answers, and the leader among it was heard by a quorum lately, or sleeps. */
export function isHealthy({ existence, reports }: Survey): boolean {
  const peers = founded(reports);
  if (existence !== 'founded' || peers.length <= reports.length / 2) return false;
  // Alone, a peer that answers leads as soon as it is asked for anything.
  if (reports.length === 1) return true;
  const leader = leaderOf(reports);
  const led = peers.find(({ member }) => member.id === leader);
  if (led === undefined || led.status.role !== 'leader') return false;
  const silenceMs = led.status.lastContactMs ?? Number.POSITIVE_INFINITY;
  return led.status.quiesced || silenceMs <= QUORUM_SILENCE_MS;
}
