/** Keys are ordered by their bytes, as SQLite orders BLOBs. */

/** Negative: `a` comes first; 0: equal. */
export function compareKeys(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.byteLength, b.byteLength);
  for (let i = 0; i < shorter; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.byteLength - b.byteLength;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && compareKeys(a, b) === 0;
}

/**
 * The smallest byte string above every key with this prefix. Keys and prefixes are UTF-8, in which no byte is above
 * 0xF4: so the last byte can always be raised, and one 0xFF lies above all keys.
 */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  if (prefix.byteLength === 0) return new Uint8Array([0xff]);
  const end = prefix.slice();
  end[end.byteLength - 1]! += 1;
  return end;
}

/** The smallest key that can have this prefix. Keys are not empty; nor is what is bound to a statement, where engines differ. */
export function firstKey(prefix: Uint8Array): Uint8Array {
  return prefix.byteLength === 0 ? new Uint8Array([0]) : prefix;
}

/** The smallest byte string above `key`. */
export function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.byteLength + 1);
  next.set(key);
  return next;
}
