/** A paged listing as its client saw it: one read of everything under a prefix, at one revision. */
import type { Operation } from './history.ts';

export interface ListedItem {
  readonly key: string;
  readonly value: string;
  readonly modRevision: number;
  readonly createRevision?: number;
  readonly version?: number;
}

/** One page's request and answer. */
export interface ListedPage {
  readonly callMs: number;
  readonly returnMs: number;
  /** As this page told it. */
  readonly revision: number;
  readonly items: readonly ListedItem[];
}

/** What is left out weakens the check only by that much. */
export interface Listing {
  readonly clientId?: string | number;
  /** Of the keys; default: the empty one, which is everything. */
  readonly prefix?: string;
  readonly callMs: number;
  /** Of the last page. */
  readonly returnMs: number;
  readonly revision: number;
  /** Of all pages, in the order in which they came. */
  readonly items: readonly ListedItem[];
  /** False: it ended before the last page, so it says nothing about keys behind its last item. Default true. */
  readonly complete?: boolean;
  /** The first page fixes the revision, so its return bounds the moment of the read better than that of the last one. */
  readonly pages?: readonly ListedPage[];
}

/** What a listing says about one key: a get, by the same client, at the listing's revision. */
export interface ListingRead extends Operation {
  readonly listing: Listing;
}

export function isListing(by: Operation | Listing): by is Listing {
  return 'items' in by;
}

/** By when the revision of the listing had been chosen. */
export function chosenBy(listing: Listing): number {
  return listing.pages?.[0]?.returnMs ?? listing.returnMs;
}

/** The listing that an operation is part of; null: it is an operation of its own. */
export function listingOf(operation: Operation): Listing | null {
  return 'listing' in operation ? (operation as ListingRead).listing : null;
}

/** The order of keys: by UTF-8 bytes, which is that of code points, and not that of UTF-16. */
export function compareKeys(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

/** Listings, made ready to be asked for one key after the other. */
export class ListingReads {
  readonly #listings: readonly { readonly listing: Listing; readonly items: ReadonlyMap<string, ListedItem> }[];

  constructor(listings: readonly Listing[]) {
    this.#listings = listings.map((listing) => ({
      listing,
      items: new Map(listing.items.map((item) => [item.key, item])),
    }));
  }

  /** Every key that some listing shows. */
  keys(): Set<string> {
    return new Set(this.#listings.flatMap(({ items }) => [...items.keys()]));
  }

  /** What the listings say about `key`, those that do not cover it left out. */
  of(key: string): ListingRead[] {
    return this.#listings.flatMap(({ listing, items }) => (covers(listing, key) ? [read(listing, key, items)] : []));
  }
}

function covers({ prefix = '', complete = true, items }: Listing, key: string): boolean {
  if (!key.startsWith(prefix)) return false;
  const last = items.at(-1);
  return complete || (last !== undefined && compareKeys(key, last.key) <= 0);
}

function read(listing: Listing, key: string, items: ReadonlyMap<string, ListedItem>): ListingRead {
  const { key: _, ...shown } = items.get(key) ?? { key };
  const storeRevision = listing.revision;
  return {
    clientId: listing.clientId ?? 'listing',
    key,
    input: { type: 'get' },
    call: listing.callMs,
    return: chosenBy(listing),
    output: 'value' in shown ? { type: 'value', ...shown, storeRevision } : { type: 'missing', storeRevision },
    listing,
  };
}

/** @throws Error if `listing` makes no sense: a mistake of whoever recorded it, not of the store. */
export function assertWellFormedListing(listing: Listing): void {
  const { callMs, returnMs, revision, items, pages } = listing;
  const refuse = (why: string) => {
    throw new Error(`${why}: ${JSON.stringify(listing)}`);
  };
  if (!Number.isFinite(callMs) || !Number.isFinite(returnMs)) refuse('the listing has no time');
  if (returnMs < callMs) refuse('a listing returned before its call');
  if (!Number.isSafeInteger(revision) || revision < 0) refuse('a listing has a revision');
  if (pages === undefined) return;
  const fromPages = pages.flatMap((page) => page.items);
  if (pages.length === 0 || fromPages.length !== items.length || fromPages.some((item, i) => item !== items[i]))
    refuse('the items of a listing are those of its pages');
  let nowMs = callMs;
  for (const page of pages) {
    if (!(page.callMs >= nowMs && page.returnMs >= page.callMs && page.returnMs <= returnMs))
      refuse('pages are fetched one after the other, within the listing');
    nowMs = page.returnMs;
  }
}
