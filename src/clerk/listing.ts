/** Listings: pages follow the store's cursor. Values travel as base64, so that any bytes survive. */
import { decodeBase64 } from './base64.ts';
import { type ClerkError, invalidRequest } from './errors.ts';
import { asCount, countHeader, readObject, unexpected } from './reply.ts';
import { encodeText, MAX_KEY_BYTES, MAX_PAGE_ITEMS, withQuery } from './request.ts';
import type { Reply } from './try.ts';
import { type StoredValue, storedValue } from './value.ts';

/** In a row: each stands for 4,096 keys at least that are deleted, or newer than the listing. */
const MAX_EMPTY_PAGES = 1000;

/** One key of a listing. */
export interface Listing extends StoredValue {
  readonly key: string;
  readonly createRevision: number;
  readonly modRevision: number;
  /** Writes to the key since it was created. */
  readonly version: number;
}

export interface Page {
  readonly items: readonly Listing[];
  /** The revision that the whole listing shows. */
  readonly revision: number;
  /** The store's revision when it answered; null if it did not say. */
  readonly storeRevision: number | null;
}

export interface PageRequest {
  readonly prefix: string;
  /** Items of one page; null: the store's default. */
  readonly limit: number | null;
  /** Further parameters of each request, encoded. */
  readonly parameters: readonly string[];
}

/** Asks for one page after the other with `load`, from `url` on. */
export async function* listPages(
  url: string,
  request: PageRequest,
  load: (url: string) => Promise<Reply>,
): AsyncGenerator<Page, void, void> {
  const parameters = pageParameters(request);
  let cursor: string | null = null;
  let emptyPages = 0;
  do {
    const reply = await load(withQuery(url, cursor === null ? parameters : [...parameters, `cursor=${cursor}`]));
    const page = readPage(reply);
    if (page === null) throw malformed(reply);
    emptyPages = page.items.length > 0 ? 0 : emptyPages + 1;
    if (emptyPages > MAX_EMPTY_PAGES) throw malformed(reply);
    yield { items: page.items, revision: page.revision, storeRevision: countHeader(reply, 'Raft-Revision') };
    cursor = page.cursor === null ? null : encodeURIComponent(page.cursor);
  } while (cursor !== null);
}

function pageParameters({ prefix, limit, parameters }: PageRequest): string[] {
  if (typeof prefix !== 'string') throw invalidRequest('prefix must be a string');
  if (encodeText(prefix, 'the prefix').length > MAX_KEY_BYTES) {
    throw invalidRequest(`the prefix is longer than ${MAX_KEY_BYTES} bytes`);
  }
  if (limit !== null && (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE_ITEMS)) {
    throw invalidRequest(`limit must be an integer from 1 to ${MAX_PAGE_ITEMS}`);
  }
  const limits = limit === null ? [] : [`limit=${limit}`];
  return [`prefix=${encodeURIComponent(prefix)}`, 'encoding=base64', ...limits, ...parameters];
}

function malformed(reply: Reply): ClerkError {
  return unexpected(reply, 'a listing that is not as the contract says');
}

function readPage(reply: Reply): (Omit<Page, 'storeRevision'> & { readonly cursor: string | null }) | null {
  const body = readObject(reply);
  const revision = asCount(body?.revision);
  if (!body || revision === null || !Array.isArray(body.items)) return null;
  const items: Listing[] = [];
  for (const raw of body.items as unknown[]) {
    const item = readItem(raw);
    if (item === null) return null;
    items.push(item);
  }
  const { cursor } = body;
  if (cursor === null) return { items, revision, cursor };
  return typeof cursor === 'string' ? { items, revision, cursor } : null;
}

function readItem(raw: unknown): Listing | null {
  if (typeof raw !== 'object' || raw === null) return null;
  const { key, value, ...rest } = raw as Record<string, unknown>;
  const createRevision = asCount(rest.createRevision);
  const modRevision = asCount(rest.modRevision);
  const version = asCount(rest.version);
  const bytes = typeof value === 'string' ? decodeBase64(value) : null;
  if (typeof key !== 'string' || bytes === null) return null;
  if (createRevision === null || modRevision === null || version === null) return null;
  return { key, createRevision, modRevision, version, ...storedValue(bytes) };
}
