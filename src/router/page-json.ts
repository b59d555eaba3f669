/** A page of a listing as JSON: bounded in bytes as they are sent, at least one item. */
import type { KeyValue } from '../kv/commands.ts';
import { MAX_PAGE_BYTES } from '../kv/limits.ts';
import { toBase64 } from './base64.ts';
import { MAX_CURSOR_CHARACTERS } from './cursor.ts';
import type { Encoding } from './schemas.ts';

/** What surrounds the items: names, revision, cursor. */
const FRAME_BYTES = MAX_CURSOR_CHARACTERS + 128;

const text = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });
const strictText = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** The first items, as many as fit into a body of 1 MiB; always the first one. */
export function itemsThatFit(items: readonly KeyValue[], encoding: Encoding): string[] {
  const fitting: string[] = [];
  let bytes = FRAME_BYTES;
  for (const item of items) {
    const json = JSON.stringify(itemJson(item, encoding));
    bytes += encoder.encode(json).byteLength + 1;
    if (fitting.length > 0 && bytes > MAX_PAGE_BYTES) break;
    fitting.push(json);
  }
  return fitting;
}

/** The body, of items that are JSON already. */
export function pageJson(items: readonly string[], cursor: string | null, revision: number): string {
  return `{"items":[${items.join(',')}],"cursor":${JSON.stringify(cursor)},"revision":${revision}}`;
}

function itemJson({ key, value, createRevision, modRevision, version }: KeyValue, encoding: Encoding) {
  return { key: text.decode(key), ...valueJson(value, encoding), createRevision, modRevision, version };
}

function valueJson(value: Uint8Array, encoding: Encoding): { value: string } | { valueBase64: string } {
  if (encoding === 'base64') return { value: toBase64(value) };
  try {
    return { value: strictText.decode(value) };
  } catch {
    return { valueBase64: toBase64(value) };
  }
}
