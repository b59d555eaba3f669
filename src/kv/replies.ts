/**
 * The replies that a session keeps, in one blob of fixed-width records in the order of their seqs. The encoding is part of
 * the state hash, so it is our own, and any change of it needs a new apply version.
 *
 *   seq 8 | requestDigest 16 | outcome 1 | first number 8 | second number 8
 */
import type { KeptResult } from './commands.ts';
import { FieldWriter, readCount } from './field-writer.ts';
import { SESSION_WINDOW } from './limits.ts';
import { DIGEST_BYTES, isCount, isPositive } from './well-formed.ts';

export interface Reply {
  readonly seq: number;
  readonly requestDigest: Uint8Array;
  readonly result: KeptResult;
}

const RECORD_BYTES = 8 + DIGEST_BYTES + 1 + 8 + 8;
/** The highest seq's reply, and those of the window behind it. */
export const MAX_REPLIES = SESSION_WINDOW + 1;

const OUTCOME = {
  created: 1,
  replaced: 2,
  deleted: 3,
  nothingDeleted: 4,
  preconditionFailed: 5,
  preconditionFailedWithoutKey: 6,
  valueTooLarge: 7,
  storageFull: 8,
} as const;

const writer = new FieldWriter(RECORD_BYTES * MAX_REPLIES);

export function encodeReplies(replies: readonly Reply[]): Uint8Array {
  writer.clear();
  for (const { seq, requestDigest, result } of replies) {
    const [outcome, first, second] = numbersOf(result);
    writer.count(seq).fixed(requestDigest).u8(outcome).count(first).count(second);
  }
  return writer.written().slice();
}

/** Null: not what `encodeReplies` makes of replies in ascending order of their seqs. */
export function decodeReplies(bytes: Uint8Array): Reply[] | null {
  if (bytes.byteLength % RECORD_BYTES !== 0 || bytes.byteLength > RECORD_BYTES * MAX_REPLIES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const replies: Reply[] = [];
  let previous = 0;
  for (let at = 0; at < bytes.byteLength; at += RECORD_BYTES) {
    const seq = readCount(view, at);
    const afterDigest = at + 8 + DIGEST_BYTES;
    const result = resultOf(
      view.getUint8(afterDigest),
      readCount(view, afterDigest + 1),
      readCount(view, afterDigest + 9),
    );
    if (!isPositive(seq) || seq <= previous || result === null) return null;
    replies.push({ seq, requestDigest: bytes.subarray(at + 8, afterDigest), result });
    previous = seq;
  }
  return replies;
}

function numbersOf(result: KeptResult): [outcome: number, first: number, second: number] {
  switch (result.type) {
    case 'written':
      return [result.created ? OUTCOME.created : OUTCOME.replaced, result.revision, result.version];
    case 'deleted':
      return [result.deleted === 1 ? OUTCOME.deleted : OUTCOME.nothingDeleted, result.revision, 0];
    case 'precondition_failed':
      return result.modRevision === null
        ? [OUTCOME.preconditionFailedWithoutKey, 0, 0]
        : [OUTCOME.preconditionFailed, result.modRevision, 0];
    case 'value_too_large':
      return [OUTCOME.valueTooLarge, 0, 0];
    case 'storage_full':
      return [OUTCOME.storageFull, 0, 0];
  }
}

function resultOf(outcome: number, first: number, second: number): KeptResult | null {
  if (!isCount(first) || !isCount(second)) return null;
  const made = resultWith(outcome, first, second);
  if (made === null) return null;
  // One result has one encoding: numbers that its outcome does not use are 0.
  const [, expectedFirst, expectedSecond] = numbersOf(made);
  return expectedFirst === first && expectedSecond === second ? made : null;
}

function resultWith(outcome: number, revision: number, version: number): KeptResult | null {
  switch (outcome) {
    case OUTCOME.created:
    case OUTCOME.replaced:
      return { type: 'written', created: outcome === OUTCOME.created, revision, version };
    case OUTCOME.deleted:
    case OUTCOME.nothingDeleted:
      return { type: 'deleted', revision, deleted: outcome === OUTCOME.deleted ? 1 : 0 };
    case OUTCOME.preconditionFailed:
      return { type: 'precondition_failed', modRevision: revision };
    case OUTCOME.preconditionFailedWithoutKey:
      return { type: 'precondition_failed', modRevision: null };
    case OUTCOME.valueTooLarge:
      return { type: 'value_too_large' };
    case OUTCOME.storageFull:
      return { type: 'storage_full' };
    default:
      return null;
  }
}
