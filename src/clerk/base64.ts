/** Base64 (RFC 4648, section 4) to bytes; null if malformed. Own code, because `atob` goes through a string of bytes. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | null {
  if (text.length % 4 !== 0) return null;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  const end = text.length - padding;
  let bits = 0;
  let bitCount = 0;
  let length = 0;
  for (let i = 0; i < end; i++) {
    const sextet = sextetOf(text.charCodeAt(i));
    if (sextet < 0) return null;
    bits = ((bits << 6) | sextet) & 0xffff;
    bitCount += 6;
    if (bitCount >= 8) {
      bitCount -= 8;
      bytes[length++] = (bits >> bitCount) & 0xff;
    }
  }
  // Bits that no byte holds must be zero, or two texts would stand for the same bytes.
  return (bits & ((1 << bitCount) - 1)) === 0 ? bytes : null;
}

function sextetOf(code: number): number {
  if (code >= 65 && code <= 90) return code - 65;
  if (code >= 97 && code <= 122) return code - 71;
  if (code >= 48 && code <= 57) return code + 4;
  if (code === 43) return 62;
  return code === 47 ? 63 : -1;
}
