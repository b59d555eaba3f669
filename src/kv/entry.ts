/**
 * The bytes of a log entry: a batch of commands and the leader's limits, as MessagePack arrays without field names.
 *
 *   [formatVersion, [storageLimitBytes, historyLimitBytes, clerkSessions, routerSessions], [command, …]]
 *   command: [op, key, condition, pool, id, seq, acked, requestDigest] and, but for a delete, value, valueDigest
 *   condition: nil, true (exists), false (absent), or the revisions to match
 *
 * Decoding is strict: what this code does not know completely, it must not apply.
 */
import { decode, encode } from '../encoding/message-pack.ts';
import type { Command, Condition } from './commands.ts';
import {
  HISTORY_LIMIT_BYTES,
  MAX_CLERK_SESSIONS,
  MAX_CONDITION_REVISIONS,
  MAX_ROUTER_SESSIONS,
  MAX_STORAGE_LIMIT_BYTES,
} from './limits.ts';
import type { EntryLimits } from './settings.ts';
import { isClerkId, isCount, isDigest, isKey, isPositive, isStoredValue } from './well-formed.ts';

export interface Entry {
  readonly limits: EntryLimits;
  readonly commands: readonly Command[];
}

const FORMAT_VERSION = 1;
const OPS = ['put', 'append', 'delete'] as const;
const POOLS = ['clerk', 'router'] as const;
const DELETE_FIELDS = 8;
const PUT_FIELDS = 10;

export function encodeEntry(limits: EntryLimits, commands: readonly Command[]): Uint8Array {
  return encode([
    FORMAT_VERSION,
    [limits.storageLimitBytes, limits.historyLimitBytes, limits.clerkSessions, limits.routerSessions],
    commands.map(commandFields),
  ]);
}

/** Null: not understood. */
export function decodeEntry(data: Uint8Array): Entry | null {
  let fields: unknown;
  try {
    fields = decode(data);
  } catch {
    return null;
  }
  if (!Array.isArray(fields) || fields.length !== 3 || fields[0] !== FORMAT_VERSION) return null;
  const limits = decodeLimits(fields[1]);
  if (limits === null || !Array.isArray(fields[2])) return null;
  const commands: Command[] = [];
  for (const item of fields[2]) {
    const command = decodeCommand(item);
    if (command === null) return null;
    commands.push(command);
  }
  return { limits, commands };
}

function decodeLimits(fields: unknown): EntryLimits | null {
  if (!Array.isArray(fields) || fields.length !== 4 || !fields.every(isPositive)) return null;
  const [storageLimitBytes, historyLimitBytes, clerkSessions, routerSessions] = fields as [
    number,
    number,
    number,
    number,
  ];
  if (storageLimitBytes > MAX_STORAGE_LIMIT_BYTES || historyLimitBytes > HISTORY_LIMIT_BYTES) return null;
  if (clerkSessions > MAX_CLERK_SESSIONS || routerSessions > MAX_ROUTER_SESSIONS) return null;
  return { storageLimitBytes, historyLimitBytes, clerkSessions, routerSessions };
}

function commandFields(command: Command): unknown[] {
  const { session } = command;
  const fields: unknown[] = [
    OPS.indexOf(command.op),
    command.key,
    conditionField(command.condition),
    POOLS.indexOf(session.pool),
    session.id,
    session.seq,
    session.acked,
    session.requestDigest,
  ];
  if (command.op !== 'delete') fields.push(command.value, command.valueDigest);
  return fields;
}

function conditionField(condition: Condition | null): unknown {
  if (condition === null) return null;
  if (condition.type === 'match') return condition.revisions;
  return condition.type === 'exists';
}

function decodeCommand(fields: unknown): Command | null {
  if (!Array.isArray(fields)) return null;
  const [op, key, conditionOf, pool, id, seq, acked, requestDigest, value, valueDigest] = fields;
  const opName = isCount(op) ? OPS[op] : undefined;
  const poolName = isCount(pool) ? POOLS[pool] : undefined;
  const condition = decodeCondition(conditionOf);
  if (opName === undefined || poolName === undefined || condition === undefined) return null;
  if (!isKey(key) || !isClerkId(id) || !isDigest(requestDigest)) return null;
  if (!isPositive(seq) || !isCount(acked) || acked >= seq) return null;
  const base = { key, condition, session: { pool: poolName, id, seq, acked, requestDigest } };
  if (opName === 'delete') return fields.length === DELETE_FIELDS ? { op: opName, ...base } : null;
  if (fields.length !== PUT_FIELDS || !isStoredValue(value) || !isDigest(valueDigest)) return null;
  return { op: opName, ...base, value, valueDigest };
}

/** Undefined: not understood. */
function decodeCondition(field: unknown): Condition | null | undefined {
  if (field === null) return null;
  if (field === true) return { type: 'exists' };
  if (field === false) return { type: 'absent' };
  if (!Array.isArray(field) || field.length > MAX_CONDITION_REVISIONS || !field.every(isCount)) return undefined;
  return { type: 'match', revisions: field };
}
