/** How clients list: a prefix and a size of pages that vary, page by page at one revision; what came of it is recorded, broken off or not. */
import type { Answer, KeyValue, Query } from '../../src/kv/commands.ts';
import type { ListedItem, ListedPage, Listing } from '../linearizability/listing.ts';
import type { Random } from './random.ts';

const MAX_PAGE_ITEMS = 4;
const MAX_PAUSE_MS = 50;
/** After each page: whoever found what it looked for asks for no more. */
const ENOUGH = 0.15;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

type ListQuery = Extract<Query, { type: 'list' }>;

export interface Lister {
  readonly clientId: string;
  readonly random: Random;
  readonly keys: readonly string[];
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** Null: no answer. */
  readonly ask: (query: ListQuery) => Promise<Answer | null>;
}

/** All pages, or those that came; null: there were none. */
export async function readListing({ clientId, random, keys, now, sleep, ask }: Lister): Promise<Listing | null> {
  const prefix = drawPrefix(random, keys);
  const limit = random.int(1, MAX_PAGE_ITEMS);
  const callMs = now();
  const pages: ListedPage[] = [];
  let complete = false;
  let after: Uint8Array | null = null;
  let revision: number | null = null;
  while (true) {
    const pageCallMs = now();
    const answer = await ask({ type: 'list', prefix: encoder.encode(prefix), after, limit, revision });
    if (answer === null) break;
    // Between two pages the listing's revision may be compacted; no other answer excuses a listing that ends.
    if (answer.type === 'compacted' && revision !== null) break;
    if (answer.type !== 'page') throw new Error(`a listing was answered by ${answer.type}`);
    pages.push({
      callMs: pageCallMs,
      returnMs: now(),
      revision: answer.revision,
      items: answer.items.map(listed),
    });
    revision = answer.revision;
    complete = !answer.more;
    after = answer.items.at(-1)?.key ?? null;
    if (complete || random.chance(ENOUGH)) break;
    await sleep(random.between(0, MAX_PAUSE_MS));
  }
  const [first] = pages;
  const last = pages.at(-1);
  if (first === undefined || last === undefined) return null;
  const items = pages.flatMap((page) => page.items);
  return { clientId, prefix, callMs, returnMs: last.returnMs, revision: first.revision, items, complete, pages };
}

/** Everything, or some keys, or one key, or keys of which there are none. */
function drawPrefix(random: Random, keys: readonly string[]): string {
  if (random.chance(0.5)) return '';
  const key = random.pick(keys);
  return random.chance(0.1) ? `${key}~` : key.slice(0, random.int(1, key.length));
}

export function listed({ key, value, ...item }: KeyValue): ListedItem {
  return { ...item, key: decoder.decode(key), value: decoder.decode(value) };
}
