/** The Worker's variables, checked once: whatever is not understood is refused with a clear error, never guessed at. */
import { DEFAULT_STORAGE_LIMIT_BYTES, MAX_STORAGE_LIMIT_BYTES } from '../kv/limits.ts';
import type { Env } from './env.ts';

export interface Settings {
  /** Location hints; the place in this list, from 1, is the slot of a new group's peer. */
  readonly peers: readonly string[];
  readonly heartbeatMs: number;
  readonly electionTimeoutMs: number;
  /** A group that nobody uses for so long goes to sleep; 0: never. */
  readonly quiesceAfterMs: number;
  readonly storageLimitBytes: number;
  /** `*`, one origin, or null: no browser of another origin may call. */
  readonly corsOrigin: string | null;
  readonly apiToken: string | null;
  /** Without a token: whether everything is open (else everything is closed). */
  readonly open: boolean;
  readonly chaos: boolean;
  /** Whether concurrent requests share calls of the leader's object. */
  readonly coalescing: boolean;
}

/** https://developers.cloudflare.com/durable-objects/reference/data-location/ */
export const LOCATION_HINTS: readonly string[] = ['wnam', 'enam', 'weur', 'eeur', 'apac', 'oc', 'sam', 'afr', 'me'];
export const GROUP_SIZES: readonly number[] = [1, 3, 5, 7];

const DEFAULT_HEARTBEAT_MS = 125;
const DEFAULT_ELECTION_TIMEOUT_MS = 1000;
const DEFAULT_QUIESCE_AFTER_MS = 10_000;
const MAX_QUIESCE_AFTER_MS = 86_400_000;
const MIN_HEARTBEAT_MS = 10;
const MAX_HEARTBEAT_MS = 60_000;
const MAX_ELECTION_TIMEOUT_MS = 600_000;
/** A voter refuses pre-votes for this many heartbeats after it heard from a leader; the election timeout is longer. */
const STICKY_HEARTBEATS = 3;
const MAX_TOKEN_CHARACTERS = 4096;

export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

/** Throws SettingsError, whose message names the variable and says what it may be; it never shows a secret. */
export function parseSettings(env: Omit<Env, 'PEER'>): Settings {
  const heartbeatMs = integer(env, 'HEARTBEAT_MS', DEFAULT_HEARTBEAT_MS, MIN_HEARTBEAT_MS, MAX_HEARTBEAT_MS);
  const shortestElectionMs = heartbeatMs * STICKY_HEARTBEATS + 1;
  const electionTimeoutMs = integer(
    env,
    'ELECTION_TIMEOUT_MS',
    Math.max(DEFAULT_ELECTION_TIMEOUT_MS, shortestElectionMs),
    shortestElectionMs,
    MAX_ELECTION_TIMEOUT_MS,
  );
  return {
    peers: parsePeers(env.PEERS),
    heartbeatMs,
    electionTimeoutMs,
    quiesceAfterMs: integer(env, 'QUIESCE_AFTER_MS', DEFAULT_QUIESCE_AFTER_MS, 0, MAX_QUIESCE_AFTER_MS),
    storageLimitBytes: integer(env, 'STORAGE_LIMIT_BYTES', DEFAULT_STORAGE_LIMIT_BYTES, 1, MAX_STORAGE_LIMIT_BYTES),
    corsOrigin: parseOrigin(env.CORS_ORIGIN),
    apiToken: parseToken(env.API_TOKEN),
    open: env.OPEN === 'on',
    chaos: env.CHAOS === 'on',
    coalescing: parseSwitch(env, 'COALESCING', true),
  };
}

function parsePeers(text: unknown): string[] {
  const hints = typeof text === 'string' ? text.split(',').map((hint) => hint.trim()) : [];
  if (!GROUP_SIZES.includes(hints.length) || !hints.every((hint) => LOCATION_HINTS.includes(hint))) {
    throw new SettingsError(
      `PEERS must be 1, 3, 5 or 7 location hints separated by commas (of ${LOCATION_HINTS.join(' ')}), not ${shown(text)}`,
    );
  }
  return hints;
}

type IntegerVariable = 'HEARTBEAT_MS' | 'ELECTION_TIMEOUT_MS' | 'QUIESCE_AFTER_MS' | 'STORAGE_LIMIT_BYTES';

function integer(env: Omit<Env, 'PEER'>, name: IntegerVariable, byDefault: number, min: number, max: number): number {
  const text: unknown = env[name];
  if (text === undefined || text === '') return byDefault;
  const value = Number(text);
  if (typeof text !== 'string' || !/^[0-9]{1,16}$/.test(text) || value < min || value > max) {
    throw new SettingsError(`${name} must be an integer from ${min} to ${max}, not ${shown(text)}`);
  }
  return value;
}

function parseSwitch(env: Omit<Env, 'PEER'>, name: 'COALESCING', byDefault: boolean): boolean {
  const text: unknown = env[name];
  if (text === undefined || text === '') return byDefault;
  if (text !== 'on' && text !== 'off') throw new SettingsError(`${name} must be on or off, not ${shown(text)}`);
  return text === 'on';
}

function parseOrigin(text: unknown): string | null {
  if (text === undefined || text === '') return null;
  if (text === '*') return text;
  if (typeof text === 'string' && URL.canParse(text) && new URL(text).origin === text) return text;
  throw new SettingsError(`CORS_ORIGIN must be empty, * or one origin such as https://example.com, not ${shown(text)}`);
}

function parseToken(text: unknown): string | null {
  if (text === undefined || text === '') return null;
  if (typeof text === 'string' && text.length <= MAX_TOKEN_CHARACTERS && /^[\x21-\x7e]+$/.test(text)) return text;
  throw new SettingsError(`API_TOKEN must be at most ${MAX_TOKEN_CHARACTERS} visible ASCII characters without spaces`);
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'undefined').slice(0, 200);
}
