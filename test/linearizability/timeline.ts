/**
 * A history as one HTML page that can be opened and read anywhere: clients as rows, operations as bars, faults as coloured
 * bands, the bad window marked and written out below.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Violation } from './check-result.ts';
import { formatTime } from './format.ts';
import type { Operation } from './history.ts';
import type { Listing } from './listing.ts';
import { type Bar, barsOf } from './timeline-bars.ts';
import { escaped } from './timeline-escape.ts';
import { type Lane, laneOf, type Row, rowsOf } from './timeline-rows.ts';
import { timelineScript } from './timeline-script.ts';
import { timelineStyle } from './timeline-style.ts';

export interface Fault {
  readonly fromMs: number;
  /** Null: it lasted to the end. */
  readonly toMs: number | null;
  readonly name: string;
  /** What it happened to: a peer, `all`, … */
  readonly target: string;
}

export interface Timeline {
  readonly title: string;
  readonly operations: readonly Operation[];
  readonly listings: readonly Listing[];
  readonly faults: readonly Fault[];
  /** As `checkStoreHistory` found it; null: nothing is wrong. */
  readonly violation: Violation | null;
}

/** What a browser still scrolls well; of longer histories, what is nearest to the bad window (or the start) is shown. */
const MAX_BARS = 8_000;
const MAX_FAULTS = 1_000;

/** Writes the page to `path`; its folder is made if it is not there. */
export function writeTimeline(path: string, timeline: Timeline): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, timelineHtml(timeline));
}

/** The page: self-contained, no request leaves it. */
export function timelineHtml(timeline: Timeline): string {
  const { title, violation } = timeline;
  const all = barsOf(timeline.operations, timeline.listings, violation);
  const bars = nearest(all, violation);
  const fromMs = least(bars.map((bar) => bar.fromMs));
  const toMs = Math.max(fromMs + 1, most(bars.map((bar) => bar.toMs ?? bar.fromMs)) + 1);
  const faults = timeline.faults
    .filter((fault) => fault.fromMs <= toMs && (fault.toMs ?? toMs) >= fromMs)
    .slice(0, MAX_FAULTS);
  const span: Span = { fromMs, toMs };
  const rows = rowsOf(bars, toMs);
  const detail = escaped(bars.find((bar) => bar.isCulprit)?.detail ?? 'Point at a bar to read it; click to keep it.');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title>
<style>${timelineStyle}</style>
</head>
<body style="--span:${round(toMs - fromMs)}">
<header>
<h1>${escaped(title)}</h1>
<p>${verdict(violation)} ${counts(timeline, bars.length, all.length)}</p>
${controls(violation)}
${legend()}
</header>
<main id="view" tabindex="0" aria-label="timeline; arrow keys scroll, plus and minus zoom">
<div id="chart" data-from="${fromMs}">
<div id="axis" class="row"><div class="name">ms</div><div class="track"></div></div>
${faultRow(faults, span)}
${rows.map((row) => clientRow(row, span)).join('\n')}
${shades(faults, bars, span)}
</div>
</main>
<p id="detail" aria-live="polite">${detail}</p>
${windowSection(violation, bars)}
<script>${timelineScript}</script>
</body>
</html>
`;
}

interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

function nearest(bars: readonly Bar[], violation: Violation | null): readonly Bar[] {
  if (bars.length <= MAX_BARS) return bars;
  const bad = bars.filter((bar) => bar.isBad);
  const [from, to] = [least(bad.map((bar) => bar.fromMs)), most(bad.map((bar) => bar.toMs ?? bar.fromMs))];
  const distance = (bar: Bar): number =>
    bar.isBad ? -1 : Math.max(0, from - (bar.toMs ?? bar.fromMs), bar.fromMs - to) + (other(bar) ? 0.5 : 0);
  const other = (bar: Bar): boolean => violation !== null && bar.key !== violation.key;
  return bars.toSorted((x, y) => distance(x) - distance(y)).slice(0, MAX_BARS);
}

function verdict(violation: Violation | null): string {
  if (violation === null) return '<strong class="good">No violation.</strong>';
  const [first = ''] = violation.message.split('\n');
  return `<strong class="bad">${escaped(violation.kind)}:</strong> ${escaped(first)}.`;
}

function counts({ operations, listings, faults }: Timeline, shown: number, all: number): string {
  const counted = `${operations.length} operations, ${listings.length} listings, ${faults.length} faults`;
  return shown === all ? `${counted}.` : `${counted}; the ${shown} nearest to the bad window are shown.`;
}

function controls(violation: Violation | null): string {
  const only = violation === null ? '' : ` ${escaped(JSON.stringify(violation.key))}`;
  return `<p class="controls">
<button type="button" id="zoom-in" title="+">Zoom in</button>
<button type="button" id="zoom-out" title="−">Zoom out</button>
<button type="button" id="fit">Whole history</button>
${violation ? '<button type="button" id="to-window">Bad window</button>' : ''}
${violation ? `<label><input type="checkbox" id="one-key"> only key${only}</label>` : ''}
<span class="hint">Ctrl + wheel zooms, Shift + wheel scrolls</span>
</p>`;
}

function legend(): string {
  const kinds = ['get', 'put', 'append', 'delete', 'list', 'refused'].map(
    (kind) => `<span class="sample ${kind}">${kind}</span>`,
  );
  return `<p class="legend">${kinds.join(' ')} <span class="sample put open">outcome unknown</span></p>`;
}

function clientRow({ client, lanes, bars }: Row, span: Span): string {
  const drawn = bars.map(({ bar, lane }) => barDiv(bar, lane, span));
  return `<section class="row client" style="--lanes:${lanes}"><div class="name">${escaped(client)}</div><div class="track">
${drawn.join('\n')}
</div></section>`;
}

function barDiv(bar: Bar, lane: number, span: Span): string {
  const classes = ['bar', bar.kind, ...(bar.toMs === null ? ['open'] : []), ...(bar.isBad ? ['bad'] : [])];
  if (bar.isCulprit) classes.push('culprit');
  if (bar.isOfOtherKey) classes.push('other');
  // A get without an answer has no effect later.
  const endMs = bar.toMs ?? (bar.verb === 'get' ? bar.fromMs : span.toMs);
  const width = endMs - bar.fromMs;
  const place = `--x:${round(bar.fromMs - span.fromMs)};--w:${round(width)};--lane:${lane}`;
  return `<div class="${classes.join(' ')}" style="${place}" title="${escaped(bar.detail)}">${escaped(bar.label)}</div>`;
}

function faultRow(faults: readonly Fault[], span: Span): string {
  if (faults.length === 0) return '';
  const lanes: Lane[] = [];
  const drawn = faults
    .toSorted((x, y) => x.fromMs - y.fromMs)
    .map((fault) => {
      const lane = laneOf(lanes, fault.fromMs, fault.toMs ?? span.toMs);
      const detail = `${fault.name} ${fault.target}: ${formatTime(fault.fromMs)} – ${fault.toMs === null ? 'the end' : `${formatTime(fault.toMs)} ms`}`;
      const label = `${fault.name} ${fault.target}`;
      return `<div class="fault" style="${bandPlace(fault, span)};--lane:${lane}" title="${escaped(detail)}"><span>${escaped(label)}</span></div>`;
    });
  return `<section class="row faults" style="--lanes:${lanes.length}"><div class="name">faults</div><div class="track">
${drawn.join('\n')}
</div></section>`;
}

/** Behind the rows: a band for each fault, and one for the bad window. */
function shades(faults: readonly Fault[], bars: readonly Bar[], span: Span): string {
  const bands = faults.map((fault) => `<div class="band" style="${bandPlace(fault, span)}"></div>`);
  const bad = bars.filter((bar) => bar.isBad);
  if (bad.length > 0) {
    const from = least(bad.map((bar) => bar.fromMs));
    const to = most(bad.map((bar) => bar.toMs ?? bar.fromMs));
    bands.push(
      `<div id="window" style="--x:${round(from - span.fromMs)};--w:${round(Math.max(to - from, 0.001))}"></div>`,
    );
  }
  return `<div id="bands">${bands.join('')}</div>`;
}

function bandPlace({ name, fromMs, toMs }: Fault, span: Span): string {
  const from = Math.max(fromMs, span.fromMs);
  const to = Math.min(toMs ?? span.toMs, span.toMs);
  return `--x:${round(from - span.fromMs)};--w:${round(Math.max(to - from, 0))};--hue:${hueOf(name)}`;
}

/** One colour for each kind of fault, none of them the red of the bad window. */
function hueOf(name: string): number {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)!) % 65_537;
  return 30 + ((hash * 47) % 290);
}

function windowSection(violation: Violation | null, bars: readonly Bar[]): string {
  if (violation === null) return '';
  const rows = bars
    .filter((bar) => bar.isBad)
    .sort((x, y) => x.fromMs - y.fromMs)
    .map((bar) => {
      const times = [formatTime(bar.fromMs), formatTime(bar.toMs)];
      const cells = [...times, bar.client, bar.verb, bar.key, bar.input, bar.output];
      const marked = bar.isCulprit ? ' class="culprit"' : '';
      return `<tr${marked}>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>`;
    });
  const heads = ['call', 'return', 'client', '', 'key', 'input', 'output'].map((head) => `<th>${head}</th>`);
  return `<section id="bad-window">
<h2>The bad window</h2>
<table><thead><tr>${heads.join('')}</tr></thead><tbody>
${rows.join('\n')}
</tbody></table>
<details><summary>As the checker told it</summary><pre>${escaped(violation.message)}</pre></details>
</section>`;
}

function least(times: readonly number[]): number {
  return times.reduce((x, y) => Math.min(x, y), times[0] ?? 0);
}

function most(times: readonly number[]): number {
  return times.reduce((x, y) => Math.max(x, y), times[0] ?? 0);
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
