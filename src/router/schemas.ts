/** What clients may send, beyond paths and entity tags: parameters, headers, JSON. One place for all of it. */
import { MAX_CLERK_ID_CHARACTERS, MAX_KEY_BYTES, MAX_PAGE_ITEMS } from '../kv/limits.ts';
import type { Fault, Member } from '../peer/protocol.ts';
import { invalid, Problem } from './problem.ts';
import type { Parameters } from './query-string.ts';
import { z } from './validation.ts';

const DEFAULT_PAGE_ITEMS = 100;
/** Longest delay of messages that can be asked for: an hour. */
const MAX_DELAY_MS = 3_600_000;

const encoder = new TextEncoder();

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw invalid(issue === undefined ? 'The request is malformed.' : describe(issue));
}

function describe(issue: { path: PropertyKey[]; message: string }): string {
  const where = issue.path.map(String).join('.');
  return where === '' ? issue.message : `${where}: ${issue.message}`;
}

// ---- keys

/** Throws 400 for an empty key, 413 for one that is too long. */
export function keyBytes(key: string): Uint8Array {
  if (key === '') throw invalid('The key is empty.');
  const bytes = encoder.encode(key);
  if (bytes.byteLength > MAX_KEY_BYTES) throw tooLong('A key');
  return bytes;
}

function tooLong(what: string): Problem {
  return new Problem('key_too_long', `${what} has at most ${MAX_KEY_BYTES} bytes of UTF-8.`);
}

// ---- parameters

const consistency = z.enum(['linearizable', 'stale'], 'must be linearizable or stale');

const readParameters = z.object({ consistency: consistency.default('linearizable') });

const listParameters = z.object({
  prefix: z.string().default(''),
  limit: z
    .string()
    .regex(/^[1-9][0-9]{0,3}$/, `must be an integer from 1 to ${MAX_PAGE_ITEMS}`)
    .transform(Number)
    .refine((limit) => limit <= MAX_PAGE_ITEMS, `must be at most ${MAX_PAGE_ITEMS}`)
    .default(DEFAULT_PAGE_ITEMS),
  cursor: z.string().nullable().default(null),
  encoding: z.enum(['utf8', 'base64'], 'must be utf8 or base64').default('utf8'),
});

export type Encoding = 'utf8' | 'base64';
export type ListParameters = Omit<z.infer<typeof listParameters>, 'prefix'> & {
  readonly prefix: Uint8Array;
};

export function parseConsistency(parameters: Parameters): 'linearizable' | 'stale' {
  return parse(readParameters, parameters).consistency;
}

export function parseListParameters(parameters: Parameters): ListParameters {
  const { prefix, ...rest } = parse(listParameters, parameters);
  const bytes = encoder.encode(prefix);
  if (bytes.byteLength > MAX_KEY_BYTES) throw tooLong('A prefix');
  return { ...rest, prefix: bytes };
}

// ---- headers

const integer = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,15})$/, 'must be an integer')
  .transform(Number)
  .refine(Number.isSafeInteger, 'must be at most 2^53-1');

const clerkHeaders = z
  .object({
    'Clerk-Id': z
      .string()
      .regex(new RegExp(`^[A-Za-z0-9_-]{1,${MAX_CLERK_ID_CHARACTERS}}$`), 'must be 1 to 64 of A-Z a-z 0-9 _ -'),
    'Clerk-Seq': integer.refine((seq) => seq >= 1, 'must be at least 1'),
    'Clerk-Acked': integer.default(0),
  })
  .refine((headers) => headers['Clerk-Acked'] < headers['Clerk-Seq'], 'Clerk-Acked must be less than Clerk-Seq');

/** Null: the request has no clerk's identity. Throws the 400 problem. */
export function parseClerk(headers: Headers): { id: string; seq: number; acked: number } | null {
  const given: Record<string, string> = {};
  for (const name of ['Clerk-Id', 'Clerk-Seq', 'Clerk-Acked']) {
    const value = headers.get(name);
    if (value !== null) given[name] = value;
  }
  if (Object.keys(given).length === 0) return null;
  if (given['Clerk-Id'] === undefined || given['Clerk-Seq'] === undefined) {
    throw invalid('Clerk-Id and Clerk-Seq go together, and Clerk-Acked goes with both.');
  }
  const parsed = parse(clerkHeaders, given);
  return { id: parsed['Clerk-Id'], seq: parsed['Clerk-Seq'], acked: parsed['Clerk-Acked'] };
}

// ---- faults

const milliseconds = z.number().min(0).max(MAX_DELAY_MS);

const fault = z.discriminatedUnion('action', [
  z.object({ action: z.literal('crash') }),
  z.object({ action: z.literal('isolate') }),
  z.object({ action: z.literal('cut'), from: z.string() }),
  z.object({ action: z.literal('drop'), rate: z.number().min(0).max(1) }),
  z
    .object({ action: z.literal('delay'), minMs: milliseconds, maxMs: milliseconds })
    .refine(({ minMs, maxMs }) => minMs <= maxMs, 'minMs must not be more than maxMs'),
  z.object({ action: z.literal('heal') }),
]);

/** A fault as it is asked for; `cut` names a peer, whom the group must have. Throws the 400 problem. */
export function parseFault(body: Uint8Array): (members: readonly Member[], target: Member) => Fault | null {
  const parsed = parse(fault, parseJson(body));
  if (parsed.action !== 'cut') return () => parsed;
  return (members, target) => {
    const from = members.find(({ id }) => String(id) === parsed.from);
    return from === undefined || from.id === target.id ? null : { action: 'cut', from: from.id };
  };
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body));
  } catch {
    throw invalid('The body is not JSON in UTF-8.');
  }
}
