import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../clerk/simulated-platform.ts';
import type { Violation } from './check-result.ts';
import { checkStoreHistory } from './check-store-history.ts';
import { generateStoreHistory } from './generated-history.ts';
import type { Operation } from './history.ts';
import { elementsIn, withClass } from './html-elements.ts';
import type { Listing } from './listing.ts';
import { type Fault, timelineHtml, writeTimeline } from './timeline.ts';

const put = (clientId: string, value: string, call: number, returned: number | null, revision: number): Operation => ({
  clientId,
  key: 'k',
  input: { type: 'put', value },
  call,
  return: returned,
  output: returned === null ? null : { type: 'written', revision },
});
const stale: Operation = {
  clientId: 'reader',
  key: 'k',
  input: { type: 'get' },
  call: 40,
  return: 50,
  output: { type: 'value', value: 'old', modRevision: 1 },
};
const operations = [put('one', 'old', 0, 10, 1), put('two', 'new', 20, 30, 2), put('one', 'lost', 12, null, 3), stale];
const listings: Listing[] = [
  { clientId: 'two', callMs: 32, returnMs: 38, revision: 2, items: [{ key: 'k', value: 'new', modRevision: 2 }] },
];
const faults: Fault[] = [
  { fromMs: 5, toMs: 15, name: 'partition', target: '1 | 2 3' },
  { fromMs: 35, toMs: null, name: 'crash', target: 'peer 2' },
];

function violationOf(history: readonly Operation[], listed: readonly Listing[]): Violation {
  const result = checkStoreHistory(history, listed);
  if (result.type !== 'violation') throw new Error(`this is ${result.type}`);
  return result;
}

describe('the timeline of a broken history', () => {
  const violation = violationOf(operations, listings);
  const html = timelineHtml({ title: 'Seed 7', operations, listings, faults, violation });
  const elements = elementsIn(html);
  const bars = withClass(elements, 'bar');

  it('has a row for each client, those in the bad window first', () => {
    const names = withClass(elements, 'name').map(({ text }) => text);
    expect(names.slice(0, 2)).toEqual(['ms', 'faults']);
    expect(names.slice(2).toSorted()).toEqual(['one', 'reader', 'two']);
    expect(names.at(-1)).toBe('one');
    expect(withClass(elements, 'client')).toHaveLength(3);
  });

  it('has a bar for each operation and listing, at its time', () => {
    expect(bars).toHaveLength(operations.length + listings.length);
    const read = bars.find(({ text }) => text.startsWith('get k'))!;
    expect(read.style).toMatchObject({ x: 40, w: 10 });
    const listed = bars.find(({ text }) => text.startsWith('list'))!;
    expect(listed.style).toMatchObject({ x: 32, w: 6 });
  });

  it('tells input and output on the bar and when pointed at', () => {
    const read = bars.find(({ text }) => text.startsWith('get k'))!;
    expect(read.text).toBe('get k → "old" @1');
    expect(read.title).toContain('value {"value":"old","modRevision":1}');
    expect(read.title).toContain('client reader, 40 – 50 ms');
  });

  it('lets an operation of unknown outcome reach to the end', () => {
    const open = bars.filter(({ classes }) => classes.includes('open'));
    expect(open.map(({ text }) => text)).toEqual(['put k="lost" → ?']);
    expect(open[0]!.style.x! + open[0]!.style.w!).toBe(elements.find(({ tag }) => tag === 'body')!.style.span);
  });

  it('has a named bar and a band for each fault', () => {
    const named = withClass(elements, 'fault');
    expect(named.map(({ title }) => title)).toEqual(['partition 1 | 2 3: 5 – 15 ms', 'crash peer 2: 35 – the end']);
    expect(named.map(({ style }) => style)).toMatchObject([{ x: 5, w: 10 }, { x: 35 }]);
    expect(withClass(elements, 'band')).toHaveLength(2);
    expect(new Set(named.map(({ style }) => style.hue)).size).toBe(2);
  });

  it('marks the bad window, and writes it out', () => {
    const bad = bars.filter(({ classes }) => classes.includes('bad'));
    expect(bad.map(({ text }) => text).toSorted()).toEqual(expectedWindow(violation));
    expect(bars.filter(({ classes }) => classes.includes('culprit')).map(({ text }) => text)).toEqual([
      'get k → "old" @1',
    ]);
    expect(elements.find(({ id }) => id === 'window')!.style.x).toBe(Math.min(...callsOf(violation)));
    expect(elements.filter(({ tag }) => tag === 'tr')).toHaveLength(1 + bad.length);
    expect(elements.find(({ tag }) => tag === 'pre')!.text).toBe(violation.message.trim());
  });

  it('needs nothing from elsewhere', () => {
    expect(html).not.toMatch(/\b(src|href)=|url\(|@import|https?:/);
  });
});

function callsOf({ window, windowListings }: Violation): number[] {
  return [...window.map(({ call }) => call), ...windowListings.map(({ callMs }) => callMs)];
}

/** The new value was written or listed; the old one is read after. */
function expectedWindow({ window, windowListings }: Violation): string[] {
  expect(window).toContain(stale);
  expect(window.length + windowListings.length).toBe(2);
  return [windowListings.length > 0 ? 'list * → 1 @2' : 'put k="new" → @2', 'get k → "old" @1'].toSorted();
}

describe('any timeline', () => {
  it('shows text as text, whatever it is', () => {
    const nasty = `</title><script>alert("x")</script>&amp;'\u0000\ud800"><b>`;
    const named = { ...put(nasty, nasty, 0, 1, 1), key: nasty };
    const html = timelineHtml({
      title: nasty,
      operations: [named],
      listings: [],
      faults: [{ fromMs: 0, toMs: 1, name: nasty, target: nasty }],
      violation: null,
    });
    const elements = elementsIn(html);
    expect(elements.filter(({ tag }) => tag === 'script')).toHaveLength(1);
    expect(elements.filter(({ tag }) => tag === 'b')).toEqual([]);
    expect(withClass(elements, 'bar')).toHaveLength(1);
    expect(html).not.toMatch(/\p{Cs}|\0/u);
  });

  it('may be of nothing at all', () => {
    const html = timelineHtml({ title: 'Empty', operations: [], listings: [], faults, violation: null });
    expect(withClass(elementsIn(html), 'bar')).toEqual([]);
    expect(html).toContain('No violation.');
    expect(html).not.toMatch(/NaN|Infinity/);
  });

  it('of a long history shows what is nearest to the bad window', () => {
    const history = generateStoreHistory(seededRandom(11), LONG, 500);
    const lastMs = Math.max(...history.operations.map((operation) => operation.return ?? 0));
    const phantom = { ...stale, key: 'k3', call: lastMs + 1, return: lastMs + 2 };
    const all = [...history.operations, phantom];
    const violation = violationOf(all, history.listings);
    const html = timelineHtml({ title: 'Long', operations: all, listings: history.listings, faults: [], violation });
    const bars = withClass(elementsIn(html), 'bar');
    expect(bars).toHaveLength(8_000);
    expect(bars.some(({ classes }) => classes.includes('culprit'))).toBe(true);
    expect(html).toContain('the 8000 nearest to the bad window are shown');
    expect(html.length).toBeLessThan(8_000_000);
  });

  it('is written into a folder that need not be there', () => {
    const folder = mkdtempSync(join(tmpdir(), 'timeline-'));
    const path = join(folder, 'evidence', 'seed-7.html');
    const timeline = { title: 'Seed 7', operations, listings, faults, violation: null };
    writeTimeline(path, timeline);
    expect(readFileSync(path, 'utf8')).toBe(timelineHtml(timeline));
    rmSync(folder, { recursive: true });
  });
});

const LONG = {
  operations: 20_000,
  clients: 20,
  keys: 10,
  unknown: 0.01,
  distinctValues: Number.POSITIVE_INFINITY,
  conditional: 0.1,
  omit: 'nothing',
  granularity: 0,
} as const;
