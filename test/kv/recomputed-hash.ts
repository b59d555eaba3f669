/** The state hash and every counter, computed anew from the tables: what they must always equal. */
import type { Meta } from '../../src/kv/meta.ts';
import type { Pool } from '../../src/kv/sessions.ts';
import { hashOfState, StateSum, sessionHash, supersessionHash, versionHash } from '../../src/kv/state-hash.ts';
import type { Supersession } from '../../src/kv/supersessions.ts';
import { type Version, versionBytes } from '../../src/kv/versions.ts';
import type { Replica } from './replica.ts';

export function recomputedHash(store: Replica): string {
  const [time, revision, compacted] = store.sql.exec(
    'SELECT log_time_ms, revision, compacted_revision FROM kv_meta',
  )[0] as [number, number, number];
  const meta: Meta = {
    logTimeMs: time,
    revision,
    compactedRevision: compacted,
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
  const rows = store.sql.exec(
    'SELECT revision, key, mod_revision, tombstone, time_ms, bytes, rows_hash FROM kv_supersessions WHERE revision > ?',
    meta.compactedRevision,
  );
  for (const row of rows) {
    const [revision, key, modRevision, tombstone, timeMs, bytes, rowsHash] = row as never[];
    const item = { revision, key, modRevision, tombstone: tombstone! === 1, timeMs, bytes, rowsHash };
    meta.sum.add(supersessionHash(item as unknown as Supersession));
    meta.supersessions += 1;
  }
}

function addSessions(store: Replica, meta: Meta): void {
  for (const row of store.sql.exec('SELECT pool, id, last_used_ms, acked, highest, replies FROM kv_sessions')) {
    const [pool, id, lastUsedMs, acked, highest, replies] = row as [Pool, string, number, number, number, Uint8Array];
    meta.sum.add(sessionHash({ pool, id, lastUsedMs, acked, highest }, replies));
    meta.sessions[pool] += 1;
  }
}
