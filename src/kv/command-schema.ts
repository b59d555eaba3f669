/**
 * What may be proposed and asked: strict, so that what reaches the log is well-formed and within every limit. By hand, since
 * every write passes here, and a schema library took more time for it than all else that a leader does with a command.
 */
import type { Command, Query } from './commands.ts';
import { MAX_CONDITION_REVISIONS, MAX_PAGE_ITEMS } from './limits.ts';
import { isClerkId, isCount, isDigest, isKey, isKeyPrefix, isPositive, isStoredValue } from './well-formed.ts';

const DELETE_FIELDS = ['op', 'key', 'condition', 'session'];
const PUT_FIELDS = [...DELETE_FIELDS, 'value', 'valueDigest'];
const SESSION_FIELDS = ['pool', 'id', 'seq', 'acked', 'requestDigest'];

export function isCommand(value: unknown): value is Command {
  const { op } = (value ?? {}) as { op?: unknown };
  if (op === 'delete') return isRecord(value, DELETE_FIELDS) && isBase(value);
  if (op !== 'put' && op !== 'append') return false;
  return isRecord(value, PUT_FIELDS) && isBase(value) && isStoredValue(value.value) && isDigest(value.valueDigest);
}

function isBase({ key, condition, session }: Record<string, unknown>): boolean {
  return isKey(key) && (condition === null || isCondition(condition)) && isSession(session);
}

function isCondition(value: unknown): boolean {
  const { type } = (value ?? {}) as { type?: unknown };
  if (type === 'exists' || type === 'absent') return isRecord(value, ['type']);
  if (type !== 'match' || !isRecord(value, ['type', 'revisions'])) return false;
  const { revisions } = value;
  return Array.isArray(revisions) && revisions.length <= MAX_CONDITION_REVISIONS && revisions.every(isCount);
}

function isSession(value: unknown): boolean {
  if (!isRecord(value, SESSION_FIELDS)) return false;
  const { pool, id, seq, acked, requestDigest } = value;
  if ((pool !== 'clerk' && pool !== 'router') || !isClerkId(id) || !isDigest(requestDigest)) return false;
  return isPositive(seq) && isCount(acked) && acked < seq;
}

export function isQuery(value: unknown): value is Query {
  const { type } = (value ?? {}) as { type?: unknown };
  if (type === 'get') return isRecord(value, ['type', 'key']) && isKey(value.key);
  if (type !== 'list' || !isRecord(value, ['type', 'prefix', 'after', 'limit', 'revision'])) return false;
  const { prefix, after, limit, revision } = value;
  if (!isKeyPrefix(prefix) || (after !== null && !isKey(after))) return false;
  return isPositive(limit) && limit <= MAX_PAGE_ITEMS && (revision === null || isCount(revision));
}

/** A record of exactly these fields. */
function isRecord(value: unknown, fields: readonly string[]): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== fields.length) return false;
  return fields.every((field) => Object.hasOwn(value, field));
}
