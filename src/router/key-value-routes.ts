/** `/kv/{key}` and `/kv`: reads, writes and listings of keys. */
import type { Answer, CommandResult, Condition, KeyValue } from '../kv/commands.ts';
import { Budget } from './budget.ts';
import { type Cursor, encodeCursor, type Listing, parseCursor } from './cursor.ts';
import { digest, digestOf } from './digest.ts';
import { entityTag, parseReadCondition, parseWriteCondition } from './entity-tag.ts';
import type { Failed } from './outcome.ts';
import { itemsThatFit, pageJson } from './page-json.ts';
import { failureProblem, invalid, Problem } from './problem.ts';
import { type Parameters, parseQuery } from './query-string.ts';
import type { ReadOutcome } from './read.ts';
import { readBody } from './request-body.ts';
import { keyBytes, type ListParameters, parseClerk, parseConsistency, parseListParameters } from './schemas.ts';
import { keepAlive, type RouterRequest } from './service.ts';
import type { WriteOperation } from './write.ts';

const KEY_METHODS = 'GET, HEAD, PUT, PATCH, DELETE, OPTIONS';
const LISTING_METHODS = 'GET, HEAD, OPTIONS';

/** `segment`: the key of the path; null: the path is `/kv`. */
export function handleKeys(c: RouterRequest, segment: string | null): Promise<Response> {
  const parameters = parseQuery(c.get('target').query);
  const key = chooseKey(segment, parameters);
  const { method } = c.req;
  if (method === 'GET' || method === 'HEAD') {
    return key === null ? listKeys(c, parameters) : getKey(c, key, parameters);
  }
  const op = { PUT: 'put', PATCH: 'append', DELETE: 'delete' }[method];
  if (key === null || op === undefined) {
    const allow = key === null ? LISTING_METHODS : KEY_METHODS;
    throw new Problem('method_not_allowed', `Allowed: ${allow}.`, { Allow: allow });
  }
  return writeKey(c, op as WriteOperation['op'], key, parameters);
}

function chooseKey(segment: string | null, parameters: Parameters): string | null {
  if (segment !== null && parameters.key !== undefined)
    throw invalid('The key is given twice: in the path, and as ?key=.');
  if (parameters.key !== undefined && parameters.prefix !== undefined)
    throw invalid('?key= and ?prefix= exclude each other.');
  const key = segment ?? parameters.key ?? null;
  if (key === '') throw invalid('The key is empty.');
  return key;
}

// ---- reads

/** What every reply to a read says: the store's revision, and of a stale one how old it may be. */
function readHeaders(revision: number, ageMs: number | null, stale: boolean): Record<string, string> {
  const headers: Record<string, string> = { 'Raft-Revision': String(revision) };
  if (stale) headers['Raft-Age-Ms'] = ageMs === null ? 'unknown' : String(Math.round(ageMs));
  return headers;
}

function answerOf(outcome: ReadOutcome): Extract<ReadOutcome, { ok: true }> {
  if (!outcome.ok) throw failureProblem(outcome.failure);
  return outcome;
}

async function getKey(c: RouterRequest, key: string, parameters: Parameters): Promise<Response> {
  const bytes = keyBytes(key);
  const consistency = parseConsistency(parameters);
  const isKnownToReader = parseReadCondition(c.req.raw.headers.get('If-None-Match'));
  const { groups } = c.get('service');
  const { group } = c.get('target');
  const peer = parameters.peer ?? null;
  // Others may ride on its call.
  const outcome = await keepAlive(c, groups.read(group, { query: { type: 'get', key: bytes }, consistency, peer }));
  const { answer, ageMs } = answerOf(outcome);
  const headers = readHeaders(answer.revision, ageMs, consistency === 'stale');
  if (answer.type === 'missing') throw new Problem('key_not_found', 'The key does not exist.', headers);
  if (answer.type !== 'value') throw new Error(`a get was answered with ${answer.type}`);
  return valueResponse(answer.item, headers, isKnownToReader);
}

function valueResponse(
  { value, modRevision }: KeyValue,
  headers: Record<string, string>,
  isKnownToReader: (modRevision: number) => boolean,
): Response {
  headers.ETag = entityTag(modRevision);
  if (isKnownToReader(modRevision)) return new Response(null, { status: 304, headers });
  headers['Content-Type'] = 'application/octet-stream';
  return new Response(value as Uint8Array<ArrayBuffer>, { status: 200, headers });
}

// ---- listings

async function listKeys(c: RouterRequest, parameters: Parameters): Promise<Response> {
  const list = parseListParameters(parameters);
  const consistency = parseConsistency(parameters);
  const { groups, platform } = c.get('service');
  const listing: Listing = { group: c.get('target').group, prefix: list.prefix, encoding: list.encoding };
  let cursor = list.cursor === null ? null : await parseCursor(list.cursor, listing);
  const budget = new Budget(platform);
  const stale = consistency === 'stale';
  // Nothing but deleted keys so far: a page has an item if there is one.
  let soFar: Response | null = null;
  for (;;) {
    const query = { type: 'list' as const, prefix: list.prefix, limit: list.limit, ...startOf(cursor) };
    const outcome = await groups.read(listing.group, { query, consistency, peer: parameters.peer ?? null }, budget);
    // The client goes on from there, where it would begin again otherwise.
    if (!outcome.ok && soFar !== null && nothingWasDone(outcome)) return soFar;
    const { answer, ageMs, groupId } = answerOf(outcome);
    const headers = readHeaders(storeRevision(answer), ageMs, stale);
    if (cursor !== null && cursor.groupId !== groupId)
      throw new Problem('revision_compacted', 'The group was created anew: start the listing again.', headers);
    const page = pageOf(answer, stale, headers);
    const response = await listResponse(list, listing, page, groupId, headers);
    if (page.items.length > 0 || page.nextAfter === null || budget.spent) return response;
    cursor = { revision: page.revision, after: page.nextAfter, groupId };
    soFar = response;
  }
}

function startOf(cursor: Cursor | null): { after: Uint8Array | null; revision: number | null } {
  return { after: cursor?.after ?? null, revision: cursor?.revision ?? null };
}

function nothingWasDone({ failure: { type } }: Failed): boolean {
  return type === 'no_leader' || type === 'peer_unreachable' || type === 'overloaded';
}

type Page = Extract<Answer, { type: 'page' }>;

function storeRevision(answer: Answer): number {
  return answer.type === 'page' ? answer.storeRevision : answer.revision;
}

function pageOf(answer: Answer, stale: boolean, headers: Record<string, string>): Page {
  switch (answer.type) {
    case 'page':
      return answer;
    case 'compacted':
      throw new Problem('revision_compacted', 'The listing is too old: start it again.', headers);
    case 'behind':
      if (stale) throw new Problem('no_leader', "No peer that answers has reached the listing's revision.", headers);
      throw new Problem('invalid_request', 'The cursor belongs to a revision that this group never had.', headers);
    default:
      throw new Error(`a listing was answered with ${answer.type}`);
  }
}

async function listResponse(
  { encoding }: ListParameters,
  listing: Listing,
  page: Page,
  groupId: string,
  headers: Record<string, string>,
): Promise<Response> {
  const items = itemsThatFit(page.items, encoding);
  const last = page.items[items.length - 1];
  const after = items.length < page.items.length ? (last?.key ?? null) : page.nextAfter;
  const cursor = after === null ? null : await encodeCursor({ revision: page.revision, after, groupId }, listing);
  headers['Content-Type'] = 'application/json';
  return new Response(pageJson(items, cursor, page.revision), { headers });
}

// ---- writes

async function writeKey(
  c: RouterRequest,
  op: WriteOperation['op'],
  key: string,
  parameters: Parameters,
): Promise<Response> {
  const bytes = keyBytes(key);
  const { headers } = c.req.raw;
  const condition = parseWriteCondition(headers.get('If-Match'), headers.get('If-None-Match'));
  const clerk = parseClerk(headers);
  const { groups, platform } = c.get('service');
  const value = await readBody(c.req.raw, platform);
  const valueDigest = await digest(value);
  // A seq of the router's own is of one request, ever: whose repeats it sends, it knows without looking.
  const requestDigest = clerk === null ? valueDigest : await requestDigestOf(op, bytes, condition, valueDigest);
  const operation: WriteOperation =
    op === 'delete' ? { op, key: bytes, condition } : { op, key: bytes, condition, value, valueDigest };
  const request = { operation, requestDigest, clerk, peer: parameters.peer ?? null };
  const outcome = await keepAlive(c, groups.write(c.get('target').group, request));
  if (!outcome.ok) throw failureProblem(outcome.failure);
  return writeResponse(outcome.result, clerk !== null);
}

/** What makes two requests "the same": method, decoded key, conditions, body. */
function requestDigestOf(
  op: WriteOperation['op'],
  key: Uint8Array,
  condition: Condition | null,
  valueDigest: Uint8Array,
): Promise<Uint8Array> {
  const conditions =
    condition === null ? null : [condition.type, condition.type === 'match' ? condition.revisions : []];
  return digestOf(op, key, conditions, valueDigest);
}

function writeResponse(result: CommandResult, isClerk: boolean): Response {
  const headers: Record<string, string> = {};
  if (isClerk && 'replayed' in result && result.replayed) headers['Clerk-Replayed'] = 'true';
  switch (result.type) {
    case 'written': {
      const { created, revision, version } = result;
      headers.ETag = entityTag(revision);
      return Response.json({ revision, version }, { status: created ? 201 : 200, headers });
    }
    case 'deleted':
      return Response.json({ revision: result.revision, deleted: result.deleted }, { headers });
    case 'precondition_failed':
      if (result.modRevision !== null) headers.ETag = entityTag(result.modRevision);
      throw new Problem('precondition_failed', 'The key is not in the state that the condition asks for.', headers);
    case 'value_too_large':
      // Not thrown: of the request itself nothing is wrong, and the group has spoken, so it need not be looked for.
      return new Problem(
        'value_too_large',
        'The value would grow past 1,048,576 bytes; nothing was changed.',
        headers,
      ).response();
    case 'storage_full':
      throw new Problem('storage_full', 'The group has reached its storage limit. Deletes pass.', headers);
    case 'session_expired':
      throw new Problem('session_expired', 'Start again with a new Clerk-Id, and Clerk-Seq 1. Nothing was done.');
    case 'seq_reused':
      throw new Problem('seq_reused', 'Another request has this Clerk-Id and Clerk-Seq.');
    case 'seq_acknowledged':
      throw new Problem('seq_acknowledged', 'The reply was acknowledged, or is more than 256 behind the newest.');
    case 'sessions_full':
      throw new Problem('overloaded', 'There is no room for new sessions; nothing was done.');
  }
}
