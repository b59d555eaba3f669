/**
 * Installation of a snapshot: pages go into staged tables, their sums into one row; at the end the sums are compared with the
 * header, and the staged tables take the place of the live ones. The live state is untouched until then, and staging
 * survives a restart.
 */

import * as z from 'zod';
import { decode, encode } from '../encoding/message-pack.ts';
import type { Sql } from '../peer/sql.ts';
import { compareKeys, equalBytes } from './key-order.ts';
import type { Meta } from './meta.ts';
import { createStateTables, dropStateTables, STAGED_TABLES, swapStateTables } from './schema.ts';
import { insertSession, lastUseAt } from './sessions.ts';
import {
  decodePage,
  type Page,
  readHeader,
  SECTION,
  type SessionRow,
  type SnapshotHeader,
  type VersionRow,
} from './snapshot-format.ts';
import { chunkHash, StateSum, sessionHash, versionHash } from './state-hash.ts';
import { type EncodedChunk, type Supersession, Tail } from './supersession-chunk.ts';
import { chunkOf, insertChunk } from './supersessions.ts';
import { insertVersion, versionBytes } from './versions.ts';
import { isCount, isDigest, isKeyPrefix } from './well-formed.ts';

const count = z.custom<number>(isCount);

/** How far staging has come: the last row of each section, which the next must follow, and sums over all rows. */
const progressSchema = z.strictObject({
  generation: count,
  section: count,
  lastKey: z.custom<Uint8Array>(isKeyPrefix),
  lastModRevision: count,
  lastSupersession: count,
  lastPool: count,
  lastSessionId: z.string(),
  versions: count,
  tombstones: count,
  versionBytes: count,
  highestModRevision: count,
  supersessions: count,
  deletions: count,
  historyBytes: count,
  itemsEver: count,
  bytesEver: count,
  lastTimeMs: count,
  clerkSessions: count,
  routerSessions: count,
  latestUse: z.tuple([count, count]),
  stateSum: z.custom<Uint8Array>(isDigest),
});
type Progress = z.infer<typeof progressSchema>;

export function beginStaging(sql: Sql, generation: number): void {
  dropStaging(sql);
  createStateTables(sql, STAGED_TABLES, generation);
  sql.exec('INSERT INTO kv_staging (id, progress) VALUES (1, ?)', encode(noProgress(generation)));
}

/** False: malformed, out of order, or nothing was begun; then nothing was staged. */
export function stagePage(sql: Sql, bytes: Uint8Array): boolean {
  const progress = loadProgress(sql);
  const page = decodePage(bytes);
  if (progress === null || page === null || page.section < progress.section) return false;
  const sum = StateSum.from(progress.stateSum);
  if (!addToSums(progress, sum, page)) return false;
  insertRows(sql, page);
  const next: Progress = { ...progress, section: page.section, stateSum: sum.toBytes() };
  sql.exec('UPDATE kv_staging SET progress = ? WHERE id = 1', encode(next));
  return true;
}

/** The new counters, after the tables were swapped; null: refused, staging is dropped. */
export function finishStaging(sql: Sql, header: unknown, applyVersion: number): Meta | null {
  const progress = loadProgress(sql);
  const read = readHeader(header);
  const meta = progress === null || read?.applyVersion !== applyVersion ? null : metaOf(sql, read, progress);
  if (meta === null) {
    dropStaging(sql);
    return null;
  }
  swapStateTables(sql);
  sql.exec('DELETE FROM kv_staging');
  return meta;
}

export function dropStaging(sql: Sql): void {
  dropStateTables(sql, STAGED_TABLES);
  sql.exec('DELETE FROM kv_staging');
}

function loadProgress(sql: Sql): Progress | null {
  const [row] = sql.exec('SELECT progress FROM kv_staging WHERE id = 1');
  if (row === undefined) return null;
  // Sums that leave the safe integers come from pages that no correct peer sends: refused like any malformed one.
  const parsed = progressSchema.safeParse(decode(row[0] as Uint8Array));
  return parsed.success ? parsed.data : null;
}

function noProgress(generation: number): Progress {
  return {
    generation,
    section: SECTION.versions,
    lastKey: new Uint8Array(0),
    lastModRevision: 0,
    lastSupersession: 0,
    lastPool: 0,
    lastSessionId: '',
    versions: 0,
    tombstones: 0,
    versionBytes: 0,
    highestModRevision: 0,
    supersessions: 0,
    deletions: 0,
    historyBytes: 0,
    itemsEver: 0,
    bytesEver: 0,
    lastTimeMs: 0,
    clerkSessions: 0,
    routerSessions: 0,
    latestUse: [0, 0],
    stateSum: new StateSum().toBytes(),
  };
}

/** Null: what was staged is not the state that the header describes. */
function metaOf(sql: Sql, read: SnapshotHeader, progress: Progress): Meta | null {
  const tail = Tail.from(...read.tail);
  if (tail === null || !discountCompacted(sql, progress, read.compactedRevision)) return null;
  const sum = StateSum.from(progress.stateSum);
  if (!countChunk(progress, sum, tail.from(0))) return null;
  if (tail.items.some(({ revision }) => revision <= read.compactedRevision)) return null;
  const meta: Meta = {
    logTimeMs: read.logTimeMs,
    revision: read.revision,
    compactedRevision: read.compactedRevision,
    keys: progress.versions - progress.tombstones - progress.supersessions,
    liveBytes: progress.versionBytes - progress.historyBytes,
    supersessions: progress.supersessions,
    historyBytes: progress.historyBytes,
    sessions: [progress.clerkSessions, progress.routerSessions],
    sum: StateSum.from(progress.stateSum),
    tail,
  };
  const same =
    meta.keys === read.keys &&
    meta.liveBytes === read.liveBytes &&
    meta.supersessions === read.supersessions &&
    meta.historyBytes === read.historyBytes &&
    meta.sessions[0] === read.clerkSessions &&
    meta.sessions[1] === read.routerSessions &&
    equalBytes(sum.toBytes(), read.stateSum);
  return same && isWithin(meta, progress) ? meta : null;
}

/** No row is newer than the state, and nothing compacted is among them. */
function isWithin(meta: Meta, progress: Progress): boolean {
  return (
    meta.compactedRevision <= meta.revision &&
    progress.highestModRevision <= meta.revision &&
    progress.lastSupersession <= meta.revision &&
    progress.tombstones === progress.deletions &&
    progress.lastTimeMs <= meta.logTimeMs &&
    progress.latestUse[0] <= lastUseAt(0, meta.logTimeMs) &&
    progress.latestUse[1] <= lastUseAt(1, meta.logTimeMs)
  );
}

/** Adds a page's rows to the sums; false: they are out of order. `progress` is a copy of the caller's own. */
function addToSums(progress: Progress, sum: StateSum, page: Page): boolean {
  if (page.section === SECTION.versions) return page.rows.every((row) => countVersion(progress, sum, row));
  if (page.section === SECTION.supersessions) return page.rows.every((row) => countChunk(progress, sum, row));
  return page.rows.every((row) => countSession(progress, sum, row));
}

function countVersion(progress: Progress, sum: StateSum, { version }: VersionRow): boolean {
  const order = compareKeys(version.key, progress.lastKey);
  if (order < 0 || (order === 0 && version.modRevision <= progress.lastModRevision)) return false;
  progress.lastKey = version.key;
  progress.lastModRevision = version.modRevision;
  progress.highestModRevision = Math.max(progress.highestModRevision, version.modRevision);
  progress.versions += 1;
  progress.tombstones += version.tombstone ? 1 : 0;
  progress.versionBytes += versionBytes(version);
  sum.add(versionHash(version));
  return true;
}

/** Each chunk follows the one before it; only the first may begin anywhere. The tail counts like a row. */
function countChunk(progress: Progress, sum: StateSum, chunk: EncodedChunk): boolean {
  const { itemsBefore, bytesBefore, items } = chunk;
  const isFirst = progress.itemsEver === 0;
  if (!isFirst && (itemsBefore !== progress.itemsEver || bytesBefore !== progress.bytesEver)) return false;
  progress.itemsEver = itemsBefore;
  progress.bytesEver = bytesBefore;
  for (const item of items) {
    if (item.revision <= progress.lastSupersession || item.timeMs < progress.lastTimeMs) return false;
    progress.lastSupersession = item.revision;
    progress.lastTimeMs = item.timeMs;
    progress.itemsEver += 1;
    progress.bytesEver += item.bytes;
    countSupersession(progress, item, 1);
  }
  sum.add(chunkHash(chunk));
  return true;
}

function countSupersession(progress: Progress, item: Supersession, times: 1 | -1): void {
  progress.supersessions += times;
  progress.deletions += item.tombstone ? times : 0;
  progress.historyBytes += times * item.bytes;
}

/** The first row of the queue may begin with items that are compacted: these do not count. False: all of it is. */
function discountCompacted(sql: Sql, progress: Progress, compactedRevision: number): boolean {
  const [row] = sql.exec(
    `SELECT items_end, bytes_before, hash, items FROM ${STAGED_TABLES.supersessions}
       WHERE items_end > 0 ORDER BY items_end LIMIT 1`,
  );
  if (row === undefined) return true;
  const { items } = chunkOf(row);
  const compacted = items.filter(({ revision }) => revision <= compactedRevision);
  for (const item of compacted) countSupersession(progress, item, -1);
  return compacted.length < items.length;
}

function countSession(progress: Progress, sum: StateSum, { session, replies }: SessionRow): boolean {
  if (session.pool < progress.lastPool) return false;
  if (session.pool === progress.lastPool && session.id <= progress.lastSessionId) return false;
  progress.lastPool = session.pool;
  progress.lastSessionId = session.id;
  progress.latestUse[session.pool] = Math.max(progress.latestUse[session.pool], session.lastUsedMs);
  if (session.pool === 0) progress.clerkSessions += 1;
  else progress.routerSessions += 1;
  sum.add(sessionHash(session, replies));
  return true;
}

function insertRows(sql: Sql, page: Page): void {
  if (page.section === SECTION.versions) {
    for (const { version, value } of page.rows) insertVersion(sql, STAGED_TABLES.versions, version, value);
  } else if (page.section === SECTION.supersessions) {
    for (const chunk of page.rows) insertChunk(sql, STAGED_TABLES.supersessions, chunk, chunkHash(chunk));
  } else {
    for (const { session, replies } of page.rows) {
      insertSession(sql, STAGED_TABLES.sessions, session, replies, sessionHash(session, replies));
    }
  }
}
