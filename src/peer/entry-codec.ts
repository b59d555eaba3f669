/**
 * An entry as it lies in a log row, and as it travels: [format, applyVersion, elapsedMs, kind, body]. Index and term stand
 * beside it. A leader sends rows as they are. Equal entries have equal bytes.
 */

import { z } from 'zod';
import { decode, encode } from '../encoding/message-pack.ts';
import type { Configuration, Entry, Payload } from '../raft/types.ts';

z.config({ jitless: true });

const FORMAT = 1;
const KIND_NOOP = 0;
const KIND_COMMAND = 1;
const KIND_CONFIGURATION = 2;

const index = z.int().nonnegative();
export const memberSchema = z.object({
  id: z.int().positive(),
  slot: z.int().positive().max(64),
  incarnation: z.int().positive(),
  locationHint: z.string().max(16),
});
export const configurationSchema = z.object({ voters: z.array(memberSchema).min(1).max(64) });

const entrySchema = z.tuple([z.literal(FORMAT), z.int().positive(), index.max(60_000), z.int(), z.unknown()]);

export function encodeEntry(entry: Entry): Uint8Array {
  const { payload } = entry;
  if (payload.type === 'unknown') return payload.data;
  const [kind, body] =
    payload.type === 'command'
      ? [KIND_COMMAND, payload.data]
      : payload.type === 'configuration'
        ? [KIND_CONFIGURATION, payload.configuration]
        : [KIND_NOOP, null];
  return encode([FORMAT, entry.applyVersion, entry.elapsedMs, kind, body]);
}

/** Never throws: what cannot be read is an entry of a newer version, and `unknown`. */
export function decodeEntry(index: number, term: number, data: Uint8Array): Entry {
  const unknown: Entry = { index, term, applyVersion: 0, elapsedMs: 0, payload: { type: 'unknown', data } };
  try {
    const parsed = entrySchema.safeParse(decode(data));
    if (!parsed.success) return unknown;
    const [, applyVersion, elapsedMs, kind, body] = parsed.data;
    const payload = decodePayload(kind, body);
    return payload === null ? unknown : { index, term, applyVersion, elapsedMs, payload };
  } catch {
    return unknown;
  }
}

function decodePayload(kind: number, body: unknown): Payload | null {
  if (kind === KIND_NOOP) return body === null ? { type: 'noop' } : null;
  if (kind === KIND_COMMAND) return body instanceof Uint8Array ? { type: 'command', data: body } : null;
  if (kind !== KIND_CONFIGURATION) return null;
  const configuration = decodeConfiguration(body);
  return configuration === null ? null : { type: 'configuration', configuration };
}

function decodeConfiguration(body: unknown): Configuration | null {
  const parsed = z.strictObject({ voters: z.array(z.strictObject(memberSchema.shape)).min(1).max(64) }).safeParse(body);
  return parsed.success ? parsed.data : null;
}
