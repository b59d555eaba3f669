/**
 * The state hash: a sum mod 2^128 of a hash of each row of the logical state, so that a write costs the hashes of the rows
 * it touches and no more. Rows are versions that are visible at or above compactedRevision, rows of supersessions that are
 * not all compacted yet, and sessions. Rows that merely wait to be taken or deleted do not count.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { FieldWriter } from './field-writer.ts';
import type { Meta } from './meta.ts';
import type { Session } from './sessions.ts';
import type { EncodedChunk } from './supersession-chunk.ts';
import type { Version } from './versions.ts';
import { DIGEST_BYTES } from './well-formed.ts';

const LANES = 4;

/** A number mod 2^128, in four lanes of 32 bits, the lowest first. */
export class StateSum {
  readonly #lanes = new Uint32Array(LANES);

  static from(bytes: Uint8Array): StateSum {
    const sum = new StateSum();
    sum.add(bytes);
    return sum;
  }

  add(hash: Uint8Array): void {
    let carry = 0;
    for (let lane = 0; lane < LANES; lane++) {
      const value = this.#lanes[lane]! + laneOf(hash, lane) + carry;
      this.#lanes[lane] = value;
      carry = value > 0xffff_ffff ? 1 : 0;
    }
  }

  subtract(hash: Uint8Array): void {
    let borrow = 0;
    for (let lane = 0; lane < LANES; lane++) {
      const value = this.#lanes[lane]! - laneOf(hash, lane) - borrow;
      this.#lanes[lane] = value;
      borrow = value < 0 ? 1 : 0;
    }
  }

  toBytes(): Uint8Array {
    const bytes = new Uint8Array(DIGEST_BYTES);
    const view = new DataView(bytes.buffer);
    this.#lanes.forEach((value, lane) => {
      view.setUint32(lane * 4, value, true);
    });
    return bytes;
  }
}

function laneOf(hash: Uint8Array, lane: number): number {
  const at = lane * 4;
  return (hash[at]! | (hash[at + 1]! << 8) | (hash[at + 2]! << 16) | (hash[at + 3]! << 24)) >>> 0;
}

/** First bytes of what is hashed, so that rows of different kinds never look alike. */
const KIND = { version: 1, chunk: 2, session: 3, appendedDigest: 4, state: 5 } as const;

// One buffer for all hashes: everything here is synchronous.
const fields = new FieldWriter(4096);

function hashWritten(): Uint8Array {
  return sha256(fields.written()).slice(0, DIGEST_BYTES);
}

export function versionHash(version: Version): Uint8Array {
  fields.clear().u8(KIND.version).bytes(version.key).count(version.modRevision).count(version.createRevision);
  fields
    .count(version.version)
    .u8(version.tombstone ? 1 : 0)
    .bytes(version.digest);
  return hashWritten();
}

export function chunkHash({ itemsBefore, bytesBefore, encoded }: Omit<EncodedChunk, 'items'>): Uint8Array {
  fields.clear().u8(KIND.chunk).count(itemsBefore).count(bytesBefore).bytes(encoded);
  return hashWritten();
}

export function sessionHash(session: Omit<Session, 'replies'>, replies: Uint8Array): Uint8Array {
  fields.clear().u8(KIND.session).u8(session.pool).bytes(asciiBytes(session.id)).count(session.lastUsedMs);
  fields.count(session.acked).count(session.highest).bytes(replies);
  return hashWritten();
}

/** The digest of a value that an append made longer: a chain, since `apply` does not read what it need not. */
export function appendedDigest(before: Uint8Array, appended: Uint8Array): Uint8Array {
  fields.clear().u8(KIND.appendedDigest).bytes(before).bytes(appended);
  return hashWritten();
}

/** Hex, 32 digits. */
export function hashOfState(meta: Meta, applyVersion: number): string {
  fields.clear().u8(KIND.state).count(applyVersion).fixed(meta.sum.toBytes());
  fields.count(meta.logTimeMs).count(meta.revision).count(meta.compactedRevision);
  fields.count(meta.keys).count(meta.liveBytes).count(meta.supersessions).count(meta.historyBytes);
  fields.count(meta.sessions[0]).count(meta.sessions[1]);
  // What is compacted of the tail, some peers have forgotten.
  const tail = meta.tail.from(meta.tail.itemsEver - meta.supersessions);
  fields.count(tail.itemsBefore).count(tail.bytesBefore).bytes(tail.encoded);
  return Array.from(hashWritten(), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Session ids are ASCII. */
function asciiBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
