/** The Worker's variables that concern the state machine. They act only through entries: the leader writes them in. */
import {
  DEFAULT_STORAGE_LIMIT_BYTES,
  HISTORY_LIMIT_BYTES,
  MAX_CLERK_SESSIONS,
  MAX_ROUTER_SESSIONS,
  MAX_STORAGE_LIMIT_BYTES,
  MAX_WAITING_SUPERSESSIONS,
} from './limits.ts';

/** The limits that an entry carries, so that `apply` depends on nothing local. */
export interface EntryLimits {
  /** Live bytes past which growth is refused. */
  readonly storageLimitBytes: number;
  /** History bytes past which compaction no longer waits for the age. */
  readonly historyLimitBytes: number;
  readonly clerkSessions: number;
  readonly routerSessions: number;
}

export type Settings = Readonly<Record<string, string | undefined>>;

/** For tests, `WAITING_SUPERSESSIONS`: those whose rows may wait to be taken over. Acts on this peer alone. */
export function maxWaitingSupersessions(settings: Settings): number {
  const max = MAX_WAITING_SUPERSESSIONS;
  return integerSetting(settings, 'WAITING_SUPERSESSIONS', max, max, 0);
}

/**
 * `STORAGE_LIMIT_BYTES`; for tests also `HISTORY_LIMIT_BYTES` and `SESSION_LIMIT` (of each pool, where it is lower than
 * the pool's own). Empty or missing: the default. Throws RangeError on anything else that is no integer in range.
 */
export function entryLimits(settings: Settings): EntryLimits {
  const sessions = integerSetting(settings, 'SESSION_LIMIT', MAX_CLERK_SESSIONS, MAX_CLERK_SESSIONS);
  return {
    storageLimitBytes: integerSetting(
      settings,
      'STORAGE_LIMIT_BYTES',
      DEFAULT_STORAGE_LIMIT_BYTES,
      MAX_STORAGE_LIMIT_BYTES,
    ),
    historyLimitBytes: integerSetting(settings, 'HISTORY_LIMIT_BYTES', HISTORY_LIMIT_BYTES, HISTORY_LIMIT_BYTES),
    clerkSessions: sessions,
    routerSessions: Math.min(sessions, MAX_ROUTER_SESSIONS),
  };
}

function integerSetting(settings: Settings, name: string, byDefault: number, max: number, min = 1): number {
  const text = settings[name];
  if (text === undefined || text === '') return byDefault;
  const value = Number(text);
  if (!/^[0-9]{1,16}$/.test(text) || value < min || value > max) {
    throw new RangeError(`${name} must be an integer from ${min} to ${max}, not ${JSON.stringify(text)}`);
  }
  return value;
}
