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
/** A session's last use is kept rounded up to these, so that the index on it changes rarely and nobody goes too early. */
export const CLERK_LAST_USE_STEP_MS = 60_000;
export const ROUTER_LAST_USE_STEP_MS = 10_000;

/**
 * How long a superseded version stays readable by listings. The contract promises 60 s of wall time; a leader's clock
 * that jumps can add up to 60 s to log time in one entry, hence twice that.
 */
export const HISTORY_MIN_AGE_MS = 120_000;
/** Past this, compaction no longer waits for the age. */
export const HISTORY_LIMIT_BYTES = 512 * 1024 * 1024;
export const DEFAULT_STORAGE_LIMIT_BYTES = 4_000_000_000;
/** An object holds 10 GB: the state, once more while a snapshot of it is being staged, history, sessions and the log. */
export const MAX_STORAGE_LIMIT_BYTES = 4_000_000_000;

/** Supersessions that one entry compacts at most: this many for each of its commands, and so many more. */
export const COMPACTIONS_PER_COMMAND = 2;
export const MAX_IDLE_COMPACTIONS = 16;
/**
 * Compacted versions wait to become the rows of new ones: those of so many supersessions, and so many bytes. What is compacted
 * beyond that is deleted. An idle store keeps what waits.
 */
export const MAX_WAITING_SUPERSESSIONS = 4096;
export const MAX_WAITING_BYTES = 16 * 1024 * 1024;
/** One call of `housekeep` deletes at most so many compacted versions, or about so many bytes of them. */
export const MAX_DELETIONS_PER_HOUSEKEEPING = 64;
export const MAX_DELETED_BYTES_PER_HOUSEKEEPING = 16 * 1024 * 1024;
/** Keys that one listing looks at, dead ones included, before it says "more". */
export const MAX_KEYS_EXAMINED = 4096;
/** Rows that one snapshot page looks at, those outside of the cut included. */
export const MAX_SNAPSHOT_ROWS_EXAMINED = 8192;
/** A snapshot page larger than this is refused (pages are at most 1 MiB, or one row). */
export const MAX_SNAPSHOT_PAGE_BYTES = 4 * 1024 * 1024;
/** Values up to this size are read along with their keys; larger ones only when it is known that they fit. */
export const INLINE_VALUE_BYTES = 1024;
