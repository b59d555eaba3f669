/** What may be proposed and asked: strict, so that what reaches the log is well-formed and within every limit. */
import * as z from 'zod';
import type { Command, Query } from './commands.ts';
import { MAX_CONDITION_REVISIONS, MAX_PAGE_ITEMS } from './limits.ts';
import { isClerkId, isCount, isDigest, isKey, isKeyPrefix, isPositive, isStoredValue } from './well-formed.ts';

// Workers forbid code made from strings, which zod would use for speed.
z.config({ jitless: true });

const key = z.custom<Uint8Array>(isKey);
const digest = z.custom<Uint8Array>(isDigest);
const count = z.custom<number>(isCount);
const positive = z.custom<number>(isPositive);

const condition = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('match'), revisions: z.array(count).max(MAX_CONDITION_REVISIONS) }),
  z.strictObject({ type: z.literal('exists') }),
  z.strictObject({ type: z.literal('absent') }),
]);

const session = z
  .strictObject({
    pool: z.enum(['clerk', 'router']),
    id: z.custom<string>(isClerkId),
    seq: positive,
    acked: count,
    requestDigest: digest,
  })
  .refine((ref) => ref.acked < ref.seq);

const base = { key, condition: condition.nullable(), session };
const write = { ...base, value: z.custom<Uint8Array>(isStoredValue), valueDigest: digest };

const command = z.discriminatedUnion('op', [
  z.strictObject({ op: z.literal('put'), ...write }),
  z.strictObject({ op: z.literal('append'), ...write }),
  z.strictObject({ op: z.literal('delete'), ...base }),
]);

const query = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('get'), key }),
  z.strictObject({
    type: z.literal('list'),
    prefix: z.custom<Uint8Array>(isKeyPrefix),
    after: key.nullable(),
    limit: z.int().min(1).max(MAX_PAGE_ITEMS),
    revision: count.nullable(),
  }),
]);

export function isCommand(value: unknown): value is Command {
  return command.safeParse(value).success;
}

export function isQuery(value: unknown): value is Query {
  return query.safeParse(value).success;
}
