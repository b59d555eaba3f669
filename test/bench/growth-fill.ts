/** What the growth bench asks of its Worker at `POST /bench/fill`, and the keys that come of it. */

export interface FillRequest {
  /** The leader. */
  readonly slot: number;
  /** Of the identity that writes: seqs follow each other, and seq 1 is alone. */
  readonly identity: string;
  readonly firstSeq: number;
  readonly firstKey: number;
  /** At most 1,024: what the object takes in one call. */
  readonly count: number;
  readonly valueBytes: number;
}

/** Also how the bench finds it again. */
export function keyOf(number: number): string {
  return `key-${String(number).padStart(9, '0')}`;
}
