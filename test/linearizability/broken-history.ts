/** Ways to break a history in one place. */
import type { Operation, Output } from './history.ts';
import type { ListedItem, Listing } from './listing.ts';

export interface Broken {
  readonly what: string;
  readonly operations: readonly Operation[];
  readonly listings: readonly Listing[];
}

/** The history with one output changed in one place; null if the chosen output has nothing to change. */
export function breakOneOutput(random: () => number, history: readonly Operation[]): Operation[] | null {
  const at = Math.floor(random() * history.length);
  const operation = history[at];
  if (!operation?.output) return null;
  const output = broken(random, operation.output, history);
  return output && history.map((other, i) => (i === at ? { ...operation, output } : other));
}

function broken(random: () => number, output: Output, history: readonly Operation[]): Output | null {
  const fields = Object.entries(output).filter(([name]) => name !== 'type');
  const [name, value] = fields[Math.floor(random() * fields.length)] ?? [];
  if (name === undefined) return null;
  if (typeof value === 'boolean') return { ...output, [name]: !value };
  if (typeof value === 'number') return { ...output, [name]: Math.max(0, value + (random() < 0.5 ? -1 : 1)) };
  if (typeof value !== 'string') return null;
  const others = history.flatMap((other) => (other.output?.type === 'value' ? [other.output.value] : []));
  return { ...output, [name]: others[Math.floor(random() * others.length)] ?? '?' };
}

type Mutation = (random: () => number, listing: Listing, others: readonly Listing[]) => Listing | null;

const at = <T>(random: () => number, list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];

/** With other items or another revision, and without pages, which would have to be changed as well. */
function changed({ pages: _, ...listing }: Listing, fields: Partial<Listing>): Listing {
  return { ...listing, ...fields };
}

function withItem(random: () => number, listing: Listing, change: (item: ListedItem) => ListedItem): Listing | null {
  const chosen = at(random, listing.items);
  if (chosen === undefined) return null;
  return changed(listing, { items: listing.items.map((item) => (item === chosen ? change(item) : item)) });
}

const LISTING_MUTATIONS: Readonly<Record<string, Mutation>> = {
  'missing key': (random, listing) => {
    const chosen = at(random, listing.items);
    return chosen ? changed(listing, { items: listing.items.filter((item) => item !== chosen) }) : null;
  },
  phantom: (_random, listing) =>
    changed(listing, { items: [...listing.items, { key: 'k9', value: 'x', modRevision: listing.revision }] }),
  'wrong value': (random, listing) => withItem(random, listing, (item) => ({ ...item, value: `${item.value}?` })),
  'wrong modRevision': (random, listing) =>
    withItem(random, listing, (item) => ({ ...item, modRevision: item.modRevision + (random() < 0.5 ? -1 : 1) })),
  'wrong version': (random, listing) =>
    withItem(random, listing, (item) => ({ ...item, version: (item.version ?? 1) + 1 })),
  'wrong createRevision': (random, listing) =>
    withItem(random, listing, (item) => ({ ...item, createRevision: (item.createRevision ?? item.modRevision) - 1 })),
  'wrong revision': (random, listing) =>
    changed(listing, { revision: Math.max(0, listing.revision + (random() < 0.5 ? -1 : 1)) }),
  'wrong order': (_random, listing) =>
    listing.items.length < 2 ? null : changed(listing, { items: listing.items.toReversed() }),
  'stale page': (random, listing, others) => {
    const [other, cut] = [at(random, others), Math.floor(random() * 3)];
    if (!other) return null;
    return changed(listing, { items: [...listing.items.slice(0, cut), ...other.items.slice(cut)] });
  },
  'mixed revisions': (random, listing) => {
    const page = at(random, listing.pages ?? []);
    if (page === undefined || listing.pages === undefined) return null;
    const later = { ...page, revision: page.revision + 1 };
    return { ...listing, pages: listing.pages.map((other) => (other === page ? later : other)) };
  },
  'another moment': (_random, { pages: _, ...listing }) => ({
    ...listing,
    callMs: listing.callMs + 20,
    returnMs: listing.returnMs + 20,
  }),
};

export const MUTATIONS = ['one output', ...Object.keys(LISTING_MUTATIONS)];

/** The history with one thing changed, as `what` says; null if there is nothing of the kind. */
export function breakHistory(
  random: () => number,
  what: string,
  { operations, listings }: Omit<Broken, 'what'>,
): Broken | null {
  if (what === 'one output') {
    const changedOperations = breakOneOutput(random, operations);
    return changedOperations && { what, operations: changedOperations, listings };
  }
  const chosen = at(random, listings);
  if (chosen === undefined) return null;
  const others = listings.filter((listing) => listing !== chosen);
  const mutated = LISTING_MUTATIONS[what]!(random, chosen, others);
  if (mutated === null) return null;
  return { what, operations, listings: listings.map((listing) => (listing === chosen ? mutated : listing)) };
}
