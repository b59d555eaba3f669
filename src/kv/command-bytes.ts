/** How large a command is, in the log (entry.ts) and when it is applied, without doing either: for batches and entries that hold so much. */
import type { Command } from './commands.ts';
import { MAX_VALUE_BYTES } from './limits.ts';

/**
 * Array header, op and pool 1 byte each; key, id and value headers up to 5; digests 18 each; seq and acked 9 each; condition
 * header 3. The entry's own header (under 48) is included, so that a sum over commands bounds the whole entry.
 */
const FIXED_BYTES = 48 + 1 + 1 + 1 + 3 * 5 + 2 * 18 + 2 * 9 + 3;
const REVISION_BYTES = 9;

/** Upper bound of what `command` adds to an entry. Total: what is no command counts as what can be read of it. */
export function commandBytes(command: unknown): number {
  const { key, value, condition, session } = (command ?? {}) as Partial<Record<string, unknown>>;
  const { revisions } = (condition ?? {}) as { revisions?: unknown };
  const { id } = (session ?? {}) as { id?: unknown };
  return (
    FIXED_BYTES +
    (key instanceof Uint8Array ? key.byteLength : 0) +
    (value instanceof Uint8Array ? value.byteLength : 0) +
    (typeof id === 'string' ? id.length : 0) +
    (Array.isArray(revisions) ? revisions.length * REVISION_BYTES : 0)
  );
}

/** An append writes the whole value again: a byte may become a version of 1 MiB. */
export function maxWrittenBytes(command: Command): number {
  if (command.op === 'delete') return 0;
  return command.op === 'append' ? MAX_VALUE_BYTES : command.value.byteLength;
}
