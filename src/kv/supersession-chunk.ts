/**
 * Supersessions, packed: what one row of the queue holds, and the queue's tail, which waits in memory (and in the summary
 * that is stored with the applied index) until it is worth a row. The bytes are part of the state hash, so the encoding is
 * our own, and any change of it needs a new apply version.
 *
 *   item: revision 8 | modRevision 8 | timeMs 8 | bytes 8 | tombstone 1 | key length 8 | key | rowsHash 16
 */
import { FieldWriter, readCount } from './field-writer.ts';
import { DIGEST_BYTES, isCount, isKey, isPositive } from './well-formed.ts';

export interface Supersession {
  /** The revision that superseded. */
  readonly revision: number;
  readonly key: Uint8Array;
  /** Of the superseded version. */
  readonly modRevision: number;
  /** `revision` was a delete: its tombstone goes too. */
  readonly tombstone: boolean;
  /** Log time of `revision`. */
  readonly timeMs: number;
  /** What leaves the history with it. */
  readonly bytes: number;
  /** Sum of the hashes of the rows that go. */
  readonly rowsHash: Uint8Array;
}

/** A row holds as many items as fit: with the counters beside it, it is less than one page of SQLite. */
export const MAX_CHUNK_BYTES = 3600;

const BEFORE_KEY_BYTES = 4 * 8 + 1 + 8;

/** Supersessions are numbered from 0, in their order, and so are the bytes that they add up to. */
export interface Chunk {
  readonly itemsBefore: number;
  readonly bytesBefore: number;
  /** At least one, in a row. */
  readonly items: readonly Supersession[];
  /** What the row counts in the state sum; null: it does not, or it is the tail. */
  readonly hash: Uint8Array | null;
}

/** A part of the queue, with its bytes. */
export interface EncodedChunk extends Omit<Chunk, 'hash'> {
  readonly encoded: Uint8Array;
}

/** The newest supersessions. Those that are compacted are not replicated any more, but wait for their rows to be taken. */
export class Tail implements Chunk {
  itemsBefore: number;
  bytesBefore: number;
  readonly items: Supersession[] = [];
  hash: Uint8Array | null = null;
  /** Sum of the items' `bytes`. */
  #itemBytes = 0;
  readonly #writer = new FieldWriter(256);

  constructor(itemsBefore: number, bytesBefore: number) {
    this.itemsBefore = itemsBefore;
    this.bytesBefore = bytesBefore;
  }

  /** Null: malformed. */
  static from(itemsBefore: number, bytesBefore: number, encoded: Uint8Array): Tail | null {
    const items = decodeItems(encoded);
    if (items === null) return null;
    const tail = new Tail(itemsBefore, bytesBefore);
    for (const item of items) tail.push(item);
    return tail;
  }

  get itemsEver(): number {
    return this.itemsBefore + this.items.length;
  }

  get bytesEver(): number {
    return this.bytesBefore + this.#itemBytes;
  }

  hasRoomFor(key: Uint8Array): boolean {
    return this.items.length === 0 || this.#writer.length + itemBytes(key) <= MAX_CHUNK_BYTES;
  }

  push(item: Supersession): void {
    // A copy: the key may be a view into a whole entry.
    this.items.push({ ...item, key: item.key.slice() });
    this.#itemBytes += item.bytes;
    this.#writer.count(item.revision).count(item.modRevision).count(item.timeMs).count(item.bytes);
    this.#writer
      .u8(item.tombstone ? 1 : 0)
      .bytes(item.key)
      .fixed(item.rowsHash);
  }

  /** Its items below number `end`, if there are any. */
  upTo(end: number): EncodedChunk | null {
    const count = end - this.itemsBefore;
    if (count <= 0) return null;
    const { itemsBefore, bytesBefore } = this;
    const encoded = this.encoded().slice(0, this.#encodedBytes(count));
    return { itemsBefore, bytesBefore, items: this.items.slice(0, count), encoded };
  }

  /** Its items from number `start` on, or all if that lies before. */
  from(start: number): EncodedChunk {
    const count = Math.max(0, start - this.itemsBefore);
    const encoded = this.encoded().slice(this.#encodedBytes(count));
    const before = this.items.slice(0, count).reduce((sum, item) => sum + item.bytes, 0);
    const bytesBefore = this.bytesBefore + before;
    return { itemsBefore: this.itemsBefore + count, bytesBefore, items: this.items.slice(count), encoded };
  }

  /** Forgets its items below number `end`. */
  dropUpTo(end: number): void {
    const kept = this.from(end);
    this.#writer.dropFirst(this.#writer.length - kept.encoded.byteLength);
    this.#itemBytes -= kept.bytesBefore - this.bytesBefore;
    this.items.splice(0, kept.itemsBefore - this.itemsBefore);
    this.itemsBefore = kept.itemsBefore;
    this.bytesBefore = kept.bytesBefore;
  }

  /** A view that is valid until the next change. */
  encoded(): Uint8Array {
    return this.#writer.written();
  }

  #encodedBytes(count: number): number {
    let bytes = 0;
    for (let i = 0; i < count; i += 1) bytes += itemBytes(this.items[i]!.key);
    return bytes;
  }
}

function itemBytes(key: Uint8Array): number {
  return BEFORE_KEY_BYTES + key.byteLength + DIGEST_BYTES;
}

/** Null: not what a tail encodes: items in order, each well-formed. */
export function decodeItems(encoded: Uint8Array): Supersession[] | null {
  if (encoded.byteLength > MAX_CHUNK_BYTES) return null;
  const view = new DataView(encoded.buffer, encoded.byteOffset, encoded.byteLength);
  const items: Supersession[] = [];
  let at = 0;
  while (at < encoded.byteLength) {
    if (at + BEFORE_KEY_BYTES > encoded.byteLength) return null;
    const keyEnd = at + BEFORE_KEY_BYTES + readCount(view, at + BEFORE_KEY_BYTES - 8);
    if (keyEnd + DIGEST_BYTES > encoded.byteLength) return null;
    const flag = view.getUint8(at + 32);
    const item = {
      revision: readCount(view, at),
      key: encoded.subarray(at + BEFORE_KEY_BYTES, keyEnd),
      modRevision: readCount(view, at + 8),
      tombstone: flag === 1,
      timeMs: readCount(view, at + 16),
      bytes: readCount(view, at + 24),
      rowsHash: encoded.subarray(keyEnd, keyEnd + DIGEST_BYTES),
    };
    if (flag > 1 || !isWellFormed(item) || !follows(item, items.at(-1))) return null;
    items.push(item);
    at = keyEnd + DIGEST_BYTES;
  }
  return items;
}

function isWellFormed({ revision, key, modRevision, timeMs, bytes }: Supersession): boolean {
  if (!isPositive(revision) || !isPositive(modRevision) || modRevision >= revision) return false;
  return isKey(key) && isCount(timeMs) && isPositive(bytes);
}

function follows(item: Supersession, previous: Supersession | undefined): boolean {
  return previous === undefined || (item.revision > previous.revision && item.timeMs >= previous.timeMs);
}
