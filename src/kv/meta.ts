/**
 * The replicated counters and the tail of the queue of supersessions: what is no row of a table of its own. The peer stores
 * it, in one row with the applied index, once a turn.
 *
 *   formatVersion 1 | applyVersion 8 | nine counters of 8 | sum 16 | itemsBefore 8 | bytesBefore 8 | tail length 8 | tail
 */
import { FieldWriter, readCount } from './field-writer.ts';
import { StateSum } from './state-hash.ts';
import { Tail } from './supersession-chunk.ts';
import { DIGEST_BYTES } from './well-formed.ts';

export interface Meta {
  /** Sum of the entries' `elapsedMs`. */
  logTimeMs: number;
  /** Of the newest write; 0: nothing was ever written. */
  revision: number;
  /** Listings at this revision and above are exact. */
  compactedRevision: number;
  /** Live keys. */
  keys: number;
  /** Bytes of the live versions. */
  liveBytes: number;
  /** Supersessions that are not compacted. */
  supersessions: number;
  /** Bytes of the versions and tombstones that these will remove. */
  historyBytes: number;
  /** Sessions of each pool: clerks, routers. */
  sessions: [number, number];
  sum: StateSum;
  /** The newest supersessions, compacted or not, that are in no row of the queue yet. */
  tail: Tail;
}

const FORMAT_VERSION = 1;
const COUNTERS_AT = 1 + 8;
const COUNTERS = 9;
const SUM_AT = COUNTERS_AT + COUNTERS * 8;
const TAIL_AT = SUM_AT + DIGEST_BYTES;

export function emptyMeta(): Meta {
  return {
    logTimeMs: 0,
    revision: 0,
    compactedRevision: 0,
    keys: 0,
    liveBytes: 0,
    supersessions: 0,
    historyBytes: 0,
    sessions: [0, 0],
    sum: new StateSum(),
    tail: new Tail(0, 0),
  };
}

const writer = new FieldWriter(4096);

export function encodeMeta(meta: Meta, applyVersion: number): Uint8Array {
  writer.clear().u8(FORMAT_VERSION).count(applyVersion);
  writer.count(meta.logTimeMs).count(meta.revision).count(meta.compactedRevision).count(meta.keys);
  writer.count(meta.liveBytes).count(meta.supersessions).count(meta.historyBytes);
  writer.count(meta.sessions[0]).count(meta.sessions[1]).fixed(meta.sum.toBytes());
  writer.count(meta.tail.itemsBefore).count(meta.tail.bytesBefore).bytes(meta.tail.encoded());
  return writer.written().slice();
}

/** Throws if it is not what `encodeMeta` made. */
export function decodeMeta(bytes: Uint8Array): Meta {
  if (bytes.byteLength < TAIL_AT + 24 || bytes[0] !== FORMAT_VERSION)
    throw new Error('the stored counters are damaged');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const counter = (i: number): number => readCount(view, COUNTERS_AT + i * 8);
  const encodedTail = bytes.subarray(TAIL_AT + 24, TAIL_AT + 24 + readCount(view, TAIL_AT + 16));
  const tail = Tail.from(readCount(view, TAIL_AT), readCount(view, TAIL_AT + 8), encodedTail);
  if (tail === null) throw new Error('the stored tail of the queue of supersessions is damaged');
  return {
    logTimeMs: counter(0),
    revision: counter(1),
    compactedRevision: counter(2),
    keys: counter(3),
    liveBytes: counter(4),
    supersessions: counter(5),
    historyBytes: counter(6),
    sessions: [counter(7), counter(8)],
    sum: StateSum.from(bytes.subarray(SUM_AT, TAIL_AT)),
    tail,
  };
}
