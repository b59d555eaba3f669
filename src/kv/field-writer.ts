/**
 * Fixed-width, big-endian fields: an encoding of our own for what is hashed or must stay the same bytes for ever. Two
 * different lists of fields of one kind never give the same bytes, since every variable length is written before its bytes.
 */
export class FieldWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(capacityBytes: number) {
    this.#bytes = new Uint8Array(capacityBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  clear(): this {
    this.#length = 0;
    return this;
  }

  /** One byte. */
  u8(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  /** A non-negative safe integer, in eight bytes. */
  count(value: number): this {
    this.#reserve(8);
    this.#view.setUint32(this.#length, Math.floor(value / 0x1_0000_0000));
    this.#view.setUint32(this.#length + 4, value % 0x1_0000_0000);
    this.#length += 8;
    return this;
  }

  /** Bytes whose length is fixed by the kind of list. */
  fixed(bytes: Uint8Array): this {
    this.#reserve(bytes.byteLength);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.byteLength;
    return this;
  }

  /** Bytes of any length. */
  bytes(bytes: Uint8Array): this {
    return this.count(bytes.byteLength).fixed(bytes);
  }

  get length(): number {
    return this.#length;
  }

  /** Forgets the first bytes of what is written. */
  dropFirst(bytes: number): void {
    this.#bytes.copyWithin(0, bytes, this.#length);
    this.#length -= bytes;
  }

  /** A view that is valid until the next call. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.byteLength) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.byteLength));
    larger.set(this.written());
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

/** Reads what `count` wrote. */
export function readCount(view: DataView, offset: number): number {
  return view.getUint32(offset) * 0x1_0000_0000 + view.getUint32(offset + 4);
}
