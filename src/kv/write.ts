/** One write: its condition, its limits, and the version it makes. The session was looked at before. */
import type { Sql } from '../peer/sql.ts';
import type { Command, Condition, DeleteCommand, KeptResult, PutCommand } from './commands.ts';
import { MAX_VALUE_BYTES } from './limits.ts';
import type { Meta } from './meta.ts';
import type { EntryLimits } from './settings.ts';
import { appendedDigest, versionHash } from './state-hash.ts';
import { supersede } from './supersessions.ts';
import { storedValue, tombstoneOf, type Version, versionBytes } from './versions.ts';

/** Puts a new version into its table. */
export type StoreVersion = (version: Version, value: Uint8Array) => void;

/** `current`: the key's live version. */
export function executeWrite(
  sql: Sql,
  meta: Meta,
  limits: EntryLimits,
  command: Command,
  current: Version | null,
  store: StoreVersion,
): KeptResult {
  if (!holds(command.condition, current)) {
    return { type: 'precondition_failed', modRevision: current === null ? null : current.modRevision };
  }
  return command.op === 'delete'
    ? executeDelete(sql, meta, command, current, store)
    : executePut(sql, meta, limits, command, current, store);
}

function holds(condition: Condition | null, current: Version | null): boolean {
  if (condition === null) return true;
  if (condition.type === 'absent') return current === null;
  if (condition.type === 'exists') return current !== null;
  return current !== null && condition.revisions.includes(current.modRevision);
}

function executePut(
  sql: Sql,
  meta: Meta,
  limits: EntryLimits,
  command: PutCommand,
  current: Version | null,
  store: StoreVersion,
): KeptResult {
  const appendedTo = command.op === 'append' ? current : null;
  const valueBytes = command.value.byteLength + (appendedTo?.valueBytes ?? 0);
  if (valueBytes > MAX_VALUE_BYTES) return { type: 'value_too_large' };
  const revision = meta.revision + 1;
  const next: Version = {
    key: command.key,
    modRevision: revision,
    createRevision: current?.createRevision ?? revision,
    version: (current?.version ?? 0) + 1,
    tombstone: false,
    // An append that creates is a put of the same bytes.
    digest: appendedTo === null ? command.valueDigest : appendedDigest(appendedTo.digest, command.valueDigest),
    valueBytes,
  };
  const growth = versionBytes(next) - (current === null ? 0 : versionBytes(current));
  if (growth > 0 && meta.liveBytes + growth > limits.storageLimitBytes) return { type: 'storage_full' };
  store(next, appendedTo === null ? command.value : appended(sql, appendedTo, command));
  meta.revision = revision;
  meta.liveBytes += growth;
  meta.sum.add(versionHash(next));
  if (current === null) meta.keys += 1;
  else supersede(sql, meta, current, next);
  return { type: 'written', created: current === null, revision, version: next.version };
}

function appended(sql: Sql, current: Version, command: PutCommand): Uint8Array {
  const value = new Uint8Array(current.valueBytes + command.value.byteLength);
  value.set(storedValue(sql, current.key, current.modRevision));
  value.set(command.value, current.valueBytes);
  return value;
}

function executeDelete(
  sql: Sql,
  meta: Meta,
  command: DeleteCommand,
  current: Version | null,
  store: StoreVersion,
): KeptResult {
  if (current === null) return { type: 'deleted', revision: meta.revision, deleted: 0 };
  const tombstone = tombstoneOf(command.key, meta.revision + 1);
  store(tombstone, new Uint8Array(0));
  meta.revision = tombstone.modRevision;
  meta.keys -= 1;
  meta.liveBytes -= versionBytes(current);
  meta.sum.add(versionHash(tombstone));
  supersede(sql, meta, current, tombstone);
  return { type: 'deleted', revision: meta.revision, deleted: 1 };
}
