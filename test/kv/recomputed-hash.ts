/**
 * The state hash and every counter, computed anew from the tables: what they must always equal. Log time, the revisions and
 * the tail of the queue of supersessions are in no table; of these the summary is believed.
 */
import { decodeMeta, type Meta } from '../../src/kv/meta.ts';
import type { Pool } from '../../src/kv/sessions.ts';
import { chunkHash, hashOfState, StateSum, sessionHash, versionHash } from '../../src/kv/state-hash.ts';
import { chunksAfter } from '../../src/kv/supersessions.ts';
import { type Version, versionBytes } from '../../src/kv/versions.ts';
import type { Replica } from './replica.ts';

export function recomputedHash(store: Replica): string {
  const { logTimeMs, revision, compactedRevision, tail } = decodeMeta(store.machine.summary()!);
  const meta: Meta = {
    logTimeMs,
    revision,
    compactedRevision,
    tail,
    keys: 0,
    liveBytes: 0,
    supersessions: 0,
    historyBytes: 0,
    sessions: [0, 0],
    sum: new StateSum(),
  };
  addVersions(store, meta);
  addSupersessions(store, meta);
  addSessions(store, meta);
  return hashOfState(meta, store.machine.applyVersion);
}

function addVersions(store: Replica, meta: Meta): void {
  const rows = store.sql.exec(
    `SELECT key, mod_revision, create_revision, version, tombstone, digest, length(value) FROM kv_versions
       ORDER BY key, mod_revision`,
  );
  const versions = rows.map((row): Version => {
    const [key, modRevision, createRevision, version, tombstone, digest, valueBytes] = row as never[];
    return {
      key: key!,
      modRevision: modRevision!,
      createRevision: createRevision!,
      version: version!,
      tombstone: tombstone! === 1,
      digest: digest!,
      valueBytes: valueBytes!,
    };
  });
  versions.forEach((version, i) => {
    const next = versions[i + 1];
    const superseded = next !== undefined && Buffer.compare(next.key, version.key) === 0 ? next.modRevision : null;
    const goneAt = version.tombstone ? version.modRevision : superseded;
    if (goneAt !== null && goneAt <= meta.compactedRevision) return;
    meta.sum.add(versionHash(version));
    if (version.tombstone || superseded !== null) {
      meta.historyBytes += versionBytes(version);
    } else {
      meta.keys += 1;
      meta.liveBytes += versionBytes(version);
    }
  });
}

function addSupersessions(store: Replica, meta: Meta): void {
  const chunks = chunksAfter(store.sql, 0, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  for (const chunk of chunks) {
    if (chunk.items.at(-1)!.revision > meta.compactedRevision) meta.sum.add(chunkHash(chunk));
  }
  const items = [...chunks, meta.tail].flatMap((chunk) => chunk.items);
  meta.supersessions = items.filter(({ revision }) => revision > meta.compactedRevision).length;
}

function addSessions(store: Replica, meta: Meta): void {
  for (const row of store.sql.exec('SELECT pool, id, last_used_ms, acked, highest, replies FROM kv_sessions')) {
    const [pool, id, lastUsedMs, acked, highest, replies] = row as [Pool, string, number, number, number, Uint8Array];
    meta.sum.add(sessionHash({ pool, id, lastUsedMs, acked, highest }, replies));
    meta.sessions[pool] += 1;
  }
}
