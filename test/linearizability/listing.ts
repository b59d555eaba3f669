/** A paged listing as its client saw it: one read of everything under a prefix, at one revision. */

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
