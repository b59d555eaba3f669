/** What a listing must be in itself, whatever was written: one revision, keys in order and each once, all under the prefix. */
import { compareKeys, type ListedItem, type Listing } from './listing.ts';

export interface ListingViolation {
  readonly listing: Listing;
  /** The key that is shown wrongly; null: it is the listing as a whole. */
  readonly key: string | null;
  readonly message: string;
}

/** The first listing that contradicts itself, or null. */
export function findListingViolation(listings: readonly Listing[]): ListingViolation | null {
  for (const listing of listings) {
    const mixed = listing.pages?.find((page) => page.revision !== listing.revision);
    if (mixed) {
      const message = `a listing mixes revisions: one page is at ${mixed.revision}, the listing at ${listing.revision}`;
      return { listing, key: null, message };
    }
    for (const [i, item] of listing.items.entries()) {
      const message = contradicts(item, listing.items[i - 1], listing);
      if (message !== null) return { listing, key: item.key, message };
    }
  }
  return null;
}

function contradicts(item: ListedItem, before: ListedItem | undefined, listing: Listing): string | null {
  const { key, modRevision, createRevision, version } = item;
  const shows = `a listing at revision ${listing.revision} shows ${JSON.stringify(key)}`;
  if (before?.key === key) return `${shows} twice`;
  if (before && compareKeys(before.key, key) > 0) return `${shows} after ${JSON.stringify(before.key)}`;
  if (!key.startsWith(listing.prefix ?? '')) return `${shows}, which is not under ${JSON.stringify(listing.prefix)}`;
  if (modRevision < 1 || modRevision > listing.revision) return `${shows} as written at revision ${modRevision}`;
  if (version !== undefined && version < 1) return `${shows} with version ${version}`;
  if (createRevision === undefined) return null;
  if (createRevision < 1 || createRevision > modRevision)
    return `${shows} as created at revision ${createRevision} and written at ${modRevision}`;
  if (version === undefined) return null;
  // Each write takes one revision, and the first of them created the key.
  const possible =
    version === 1 ? createRevision === modRevision : version >= 2 && createRevision + version - 1 <= modRevision;
  return possible ? null : `${shows} with version ${version}, created at ${createRevision}, written at ${modRevision}`;
}
