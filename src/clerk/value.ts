import { ClerkError } from './errors.ts';

/** A value as it is stored. */
export interface StoredValue {
  readonly value: Uint8Array<ArrayBuffer>;
  /**
   * The value as UTF-8 text, exactly as it was written (a byte order mark stays).
   * @throws ClerkError `not_text`
   */
  text(): string;
}

export function storedValue(value: Uint8Array<ArrayBuffer>): StoredValue {
  return { value, text: () => decodeText(value) };
}

function decodeText(value: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value);
  } catch (cause) {
    throw new ClerkError('not_text', 'the value is not UTF-8', { cause });
  }
}
