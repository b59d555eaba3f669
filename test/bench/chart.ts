/** The results as an SVG chart that is legible on a light and on a dark page, without any font of its own. */
import { type Operation, type ResultRow, SYSTEMS, type System } from './results.ts';
import { nameOf } from './targets.ts';

interface Panel {
  readonly operation: Operation;
  readonly title: string;
}

const PANELS: readonly Panel[] = [
  { operation: 'put', title: 'Durable puts a second' },
  { operation: 'get', title: 'Linearizable gets a second' },
];
const VALUE_BYTES = 64;
const WIDTH = 880;
const HEIGHT = 360;
const PANEL = { width: 400, gap: 40, left: 30, top: 86, height: 210 };
const GRID_LINES = 4;
const BAR_SHARE = 0.8;

/** Colours that differ in lightness as well, and stand out from white and from black. */
const STYLE = `
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f; }
  .title { font-size: 15px; font-weight: 600; }
  .figure { font-size: 10px; }
  .faint { fill: #57606a; }
  .grid { stroke: #d0d7de; }
  .plain-object { fill: #8c959f; } .etcd { fill: #1f77b4; } .edgeraft { fill: #e8590c; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .faint { fill: #9198a1; }
    .grid { stroke: #30363d; }
    .plain-object { fill: #8b949e; } .etcd { fill: #58a6ff; } .edgeraft { fill: #ff922b; }
  }`;

/** Of the small values' rows; a system or cell that was not measured has no bar. `quick`: of a run whose figures are rough. */
export function chart(rows: readonly ResultRow[], { quick = false } = {}): string {
  const shown = rows.filter(({ valueBytes }) => valueBytes === VALUE_BYTES);
  const systems = SYSTEMS.filter((system) => shown.some((row) => row.system === system));
  const panels = PANELS.map(({ operation, title }, i) => {
    const ofPanel = shown.filter((row) => row.operation === operation);
    const left = PANEL.left + i * (PANEL.width + PANEL.gap);
    return `<g transform="translate(${left} ${PANEL.top})">\n${panel(title, ofPanel, systems)}\n</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img"
  aria-label="Puts and linearizable gets a second, by connections">
<style>${STYLE}
</style>
${legend(systems)}
${panels.join('\n')}
<text class="faint" x="${WIDTH / 2}" y="${HEIGHT - 10}" text-anchor="middle">connections in a closed loop, values of ${VALUE_BYTES} B; all on one machine, one ${quick ? 'quick ' : ''}run</text>
</svg>
`;
}

function legend(systems: readonly System[]): string {
  const words: Readonly<Record<System, string>> = {
    'plain-object': 'one plain Durable Object',
    etcd: 'etcd, 3 nodes',
    edgeraft: 'Edgeraft',
  };
  const items = systems.map((system, i) => {
    const x = PANEL.left + i * 200;
    return `<rect class="${system}" x="${x}" y="16" width="12" height="12" rx="2"/><text x="${x + 18}" y="26">${words[system]}</text>`;
  });
  return items.join('\n');
}

function panel(title: string, rows: readonly ResultRow[], systems: readonly System[]): string {
  const connections = [...new Set(rows.map((row) => row.connections))].sort((a, b) => a - b);
  const top = niceTop(Math.max(0, ...rows.map((row) => row.requestsPerSecond)));
  const y = (value: number): number => round(PANEL.height * (1 - value / top));
  const groupWidth = PANEL.width / Math.max(1, connections.length);
  const barWidth = (groupWidth * BAR_SHARE) / Math.max(1, systems.length);
  const grid = Array.from({ length: GRID_LINES + 1 }, (_, i) => {
    const value = (top * i) / GRID_LINES;
    const line = `<line class="grid" x1="0" x2="${PANEL.width}" y1="${y(value)}" y2="${y(value)}"/>`;
    return `${line}<text class="faint figure" x="-4" y="${y(value) + 3}" text-anchor="end">${short(value)}</text>`;
  });
  const bars = connections.flatMap((count, group) => {
    const left = group * groupWidth + (groupWidth * (1 - BAR_SHARE)) / 2;
    const label = `<text x="${round((group + 0.5) * groupWidth)}" y="${PANEL.height + 18}" text-anchor="middle">${count}</text>`;
    const groupBars = systems.flatMap((system, i) => {
      const row = rows.find((one) => one.system === system && one.connections === count);
      return row === undefined ? [] : [bar(row, left + i * barWidth, barWidth, y(row.requestsPerSecond))];
    });
    return [...groupBars, label];
  });
  return [`<text class="title" x="0" y="-22">${title}</text>`, ...grid, ...bars].join('\n');
}

function bar({ system, requestsPerSecond, p99Ms }: ResultRow, x: number, width: number, y: number): string {
  const tip = `${nameOf(system)}: ${requestsPerSecond.toFixed(0)} a second, p99 ${p99Ms.toFixed(1)} ms`;
  const height = round(PANEL.height - y);
  return (
    `<rect class="${system}" x="${round(x)}" y="${y}" width="${round(width - 2)}" height="${height}"><title>${tip}</title></rect>` +
    `<text class="figure" x="${round(x + width / 2 - 1)}" y="${round(y - 4)}" text-anchor="middle">${short(requestsPerSecond)}</text>`
  );
}

/** The next of 1, 2, 4, 6, 8 or 10 times a power of ten. */
export function niceTop(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 4, 6, 8].find((candidate) => candidate * power >= value) ?? 10;
  return factor * power;
}

function short(value: number): string {
  if (value < 1000) return String(Math.round(value));
  return `${(value / 1000).toFixed(value < 9950 ? 1 : 0)}k`;
}

const round = (value: number): number => Math.round(value * 10) / 10;
