/** Limits of the key-value store, from the HTTP contract. Bytes, milliseconds of log time, counts. */
export const MAX_KEY_BYTES = 1024;
export const MAX_VALUE_BYTES = 1_048_576;
export const MAX_PAGE_ITEMS = 1000;
export const MAX_PAGE_BYTES = 1_048_576;
/** Revisions in one If-Match list. */
export const MAX_CONDITION_REVISIONS = 64;
export const MAX_CLERK_ID_CHARACTERS = 64;

/** Replies kept for each session: the promise of the contract ("more than 256 behind the highest"). */
export const SESSION_WINDOW = 256;
export const MAX_CLERK_SESSIONS = 65_536;
export const MAX_ROUTER_SESSIONS = 4096;
/** A clerk's session used within this is never evicted. */
export const CLERK_SESSION_PROTECTED_MS = 10 * 60_000;
export const ROUTER_SESSION_PROTECTED_MS = 60_000;
/** A session unused for this long expires. */
export const SESSION_EXPIRY_MS = 60 * 60_000;
export const MAX_EXPIRIES_PER_ENTRY = 16;

/**
 * How long a superseded version stays readable by listings. The contract promises 60 s of wall time; a leader's clock
 * that jumps can add up to 60 s to log time in one entry, hence twice that.
 */
export const HISTORY_MIN_AGE_MS = 120_000;
/** Past this, compaction no longer waits for the age. */
export const HISTORY_LIMIT_BYTES = 512 * 1024 * 1024;
export const DEFAULT_STORAGE_LIMIT_BYTES = 4_000_000_000;
