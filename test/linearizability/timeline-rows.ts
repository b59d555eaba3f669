/** One row for each client, and in it as many lanes as operations overlap. */
import type { Bar } from './timeline-bars.ts';

export interface Row {
  readonly client: string;
  readonly lanes: number;
  readonly bars: readonly { readonly bar: Bar; readonly lane: number }[];
}

/** What a lane is busy with, by the end of its last bar. */
export interface Lane {
  busyUntilMs: number;
}

/** Those of unknown outcome reach to the end: beyond so many, they lie on each other. */
const MAX_OPEN_LANES = 2;
const MAX_LANES = 12;

/** By the names of the clients, those in the bad window first. */
export function rowsOf(bars: readonly Bar[], endMs: number): Row[] {
  const byClient = Map.groupBy(
    bars.toSorted((x, y) => x.fromMs - y.fromMs),
    (bar) => bar.client,
  );
  const isBad = (client: string) => Number(byClient.get(client)!.some((bar) => bar.isBad));
  const clients = [...byClient.keys()].sort(
    (x, y) => isBad(y) - isBad(x) || x.localeCompare(y, 'en', { numeric: true }),
  );
  return clients.map((client) => rowOf(client, byClient.get(client)!, endMs));
}

function rowOf(client: string, bars: readonly Bar[], endMs: number): Row {
  const answered: Lane[] = [];
  const open: Lane[] = [];
  const placed = bars.map((bar) => {
    if (bar.toMs !== null) return { bar, lane: laneOf(answered, bar.fromMs, bar.toMs) };
    return { bar, lane: -1 - laneOf(open, bar.fromMs, bar.verb === 'get' ? bar.fromMs : endMs, MAX_OPEN_LANES) };
  });
  // Below the others, since their tails say little.
  const lanes = placed.map(({ bar, lane }) => ({ bar, lane: lane < 0 ? answered.length - 1 - lane : lane }));
  return { client, lanes: Math.max(1, answered.length + open.length), bars: lanes };
}

/** The first lane that is free from `fromMs` on, a new one, or the one that is free first; busy until `toMs` now. */
export function laneOf(lanes: Lane[], fromMs: number, toMs: number, maxLanes = MAX_LANES): number {
  let lane = lanes.findIndex((candidate) => candidate.busyUntilMs <= fromMs);
  if (lane < 0 && lanes.length < maxLanes) lane = lanes.push({ busyUntilMs: fromMs }) - 1;
  // All are busy: over the one whose last bar began first.
  if (lane < 0) lane = lanes.indexOf(lanes.reduce((x, y) => (y.busyUntilMs < x.busyUntilMs ? y : x)));
  lanes[lane]!.busyUntilMs = toMs;
  return lane;
}
