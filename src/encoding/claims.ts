/**
 * What MessagePack claims, before it is believed: a decoder makes an array as long as its head says, and a frame for each level of
 * nesting, before it has read any element. So five bytes could ask for gigabytes. Here only heads are looked at.
 * https://github.com/msgpack/msgpack/blob/master/spec.md
 */

/** Messages nest less than ten levels. */
const MAX_DEPTH = 64;

/** Bytes after the head byte that say how long a value of the types 0xc4 to 0xdf is; 0: its length is fixed. */
const LENGTH_BYTES = [1, 2, 4, 1, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4];
/** Bytes of such a value besides that length and what it counts. */
const FIXED_BYTES = [0, 0, 0, 1, 1, 1, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17, 0, 0, 0, 0, 0, 0, 0];
const FIRST_LONG = 0xc4;
const FIRST_CONTAINER = 0xdc;
const FIRST_MAP = 0xde;

interface Head {
  /** The head, and all of the value if it is no array or map. */
  readonly bytes: number;
  /** Values inside; keys of a map count too. 0: none, or no container. */
  readonly values: number;
}

/**
 * Whether `bytes` are one MessagePack value, at most 64 levels deep, that can hold as many elements as its arrays and maps say: each
 * takes a byte at least. Other errors are left to the decoder.
 */
export function holdsWhatItClaims(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  /** Values still to come, on each level and in all. */
  const levels = [1];
  let pending = 1;
  let offset = 0;
  while (pending > 0) {
    if (pending > bytes.byteLength - offset) return false;
    const head = headAt(view, offset);
    if (head === null) return false;
    offset += head.bytes;
    pending += head.values - 1;
    levels[levels.length - 1]! -= 1;
    while (levels.length > 0 && levels.at(-1) === 0) levels.pop();
    if (head.values === 0) continue;
    if (levels.length >= MAX_DEPTH) return false;
    levels.push(head.values);
  }
  return offset === bytes.byteLength;
}

/** Null: it is cut off. The head byte itself is there. */
function headAt(view: DataView, offset: number): Head | null {
  const type = view.getUint8(offset);
  if (type < 0x80 || type >= 0xe0) return { bytes: 1, values: 0 };
  if (type < 0x90) return { bytes: 1, values: 2 * (type & 0x0f) };
  if (type < 0xa0) return { bytes: 1, values: type & 0x0f };
  if (type < 0xc0) return { bytes: 1 + (type & 0x1f), values: 0 };
  if (type < FIRST_LONG) return { bytes: 1, values: 0 };
  const lengthBytes = LENGTH_BYTES[type - FIRST_LONG] ?? 0;
  if (offset + 1 + lengthBytes > view.byteLength) return null;
  const length = lengthAt(view, offset + 1, lengthBytes);
  if (type >= FIRST_CONTAINER) return { bytes: 1 + lengthBytes, values: type >= FIRST_MAP ? 2 * length : length };
  return { bytes: 1 + lengthBytes + (FIXED_BYTES[type - FIRST_LONG] ?? 0) + length, values: 0 };
}

function lengthAt(view: DataView, offset: number, lengthBytes: number): number {
  if (lengthBytes === 1) return view.getUint8(offset);
  if (lengthBytes === 2) return view.getUint16(offset);
  return lengthBytes === 4 ? view.getUint32(offset) : 0;
}
