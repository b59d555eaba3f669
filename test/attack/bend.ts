/** To bend what was said: tests take a right message or answer, and draw how it becomes a wrong one. */
import { encodeBody } from '../../src/peer/protocol.ts';

/** A body as it was decoded: tests change fields of it, right ones to wrong ones. */
// biome-ignore lint/suspicious/noExplicitAny: wrong types are what it is for.
export type Loose = any;

/** Any whole number draws one of the values. */
export const pick = <T>(values: readonly T[], draw: number): T => values[draw % values.length] as T;

/** Cut off, of no type, claiming more than there is, empty, or followed by more. */
export function noMessagePack(right: Loose, draw: number): Uint8Array<ArrayBuffer> {
  const whole = encodeBody(right);
  const cut = whole.slice(0, draw % whole.byteLength);
  const never = Uint8Array.of(0xc1, ...whole.slice(1));
  const claims = Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff);
  return pick([cut, never, claims, new Uint8Array(), Uint8Array.of(...whole, 0)], draw >> 4);
}
