/**
 * What will go wrong, drawn from the seed before anything runs: the same seed gives the same faults in the same order, with
 * the same pauses, whatever the runtime does. Only who leads is found out when the time has come.
 */
import { Random } from '../../simulation/random.ts';

export const FAULT_KINDS = [
  'crash of a peer',
  'crash of the leader',
  'crash of all',
  'isolation',
  'isolation of the leader',
  'isolation of a majority',
  'one-way cut',
  'loss',
  'delay',
  'kill of the runtime',
  'all at once',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface PlannedFault {
  readonly kind: FaultKind;
  /** Before it begins, counted from when writes go on after the fault before. */
  readonly calmMs: number;
  /** From its begin to its end. */
  readonly holdMs: number;
  /** All peers' ids; those it needs are taken from the front. */
  readonly peers: readonly string[];
  /** How many peers are isolated, cut, lossy or slow. */
  readonly count: number;
  /** Crashes, one after the other. */
  readonly repeats: number;
  /** Of messages lost. */
  readonly rate: number;
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  /** The runtime stays away so long before it is started again. */
  readonly downMs: number;
}

export interface Pace {
  readonly calmMs: readonly [min: number, max: number];
  readonly holdMs: readonly [min: number, max: number];
}

export const LONG_PACE: Pace = { calmMs: [1000, 2500], holdMs: [1000, 4000] };
/** For runs of seconds. */
export const SHORT_PACE: Pace = { calmMs: [300, 700], holdMs: [500, 1200] };

/** The others must write so much meanwhile that only a snapshot brings the isolated ones back. */
const ISOLATION_FACTOR = 2;
const HEAVY_LOSS = 0.5;
const MAX_DELAY_MS = 600;
const MAX_DOWN_MS = 1000;

/** Endless. Every kind comes once before any comes again, and those of `first` before the others. */
export function* faultSchedule(
  seed: number,
  peers: number,
  pace: Pace,
  first: readonly FaultKind[] = [],
): Generator<PlannedFault, never, void> {
  const random = new Random(seed);
  const ids = Array.from({ length: peers }, (_, i) => String(i + 1));
  while (true) {
    const kinds = random.shuffle(FAULT_KINDS);
    const isFirst = (kind: FaultKind): boolean => first.includes(kind);
    const ordered = [...kinds.filter(isFirst), ...kinds.filter((kind) => !isFirst(kind))];
    for (const kind of ordered) yield draw(random, kind, ids, pace);
  }
}

/** Draws everything for every kind, so that kinds do not shift each other's dice. */
function draw(random: Random, kind: FaultKind, ids: readonly string[], pace: Pace): PlannedFault {
  const minority = (ids.length - 1) / 2;
  const calmMs = random.int(...pace.calmMs);
  const holdMs = random.int(...pace.holdMs) * (kind.startsWith('isolation') ? ISOLATION_FACTOR : 1);
  const peers = random.shuffle(ids);
  const share = random.float();
  const countBetween = (min: number, max: number): number => min + Math.floor(share * (max - min + 1));
  const count = countOf(kind, countBetween, minority, ids.length);
  const minDelayMs = random.int(0, 50);
  return {
    kind,
    calmMs,
    holdMs,
    peers,
    count,
    repeats: random.int(1, 3),
    rate: Math.round(random.between(0.03, HEAVY_LOSS) * 100) / 100,
    minDelayMs,
    maxDelayMs: random.int(minDelayMs, MAX_DELAY_MS),
    downMs: random.int(0, MAX_DOWN_MS),
  };
}

function countOf(
  kind: FaultKind,
  between: (min: number, max: number) => number,
  minority: number,
  all: number,
): number {
  switch (kind) {
    case 'isolation':
      return between(1, minority);
    case 'isolation of a majority':
      return between(minority + 1, all);
    case 'one-way cut':
      // All of them would leave nobody who hears a quorum.
      return between(1, all - 1);
    default:
      return between(1, all);
  }
}

/** Its particulars, beside its kind. */
export function describeFault(fault: PlannedFault): string {
  const { kind, peers, count, repeats, rate, minDelayMs, maxDelayMs, downMs } = fault;
  const some = peers.slice(0, count).join(',');
  switch (kind) {
    case 'crash of a peer':
      return `peer ${peers[0]}, ${repeats} times`;
    case 'crash of the leader':
      return `${repeats} times`;
    case 'crash of all':
      return `${repeats} times`;
    case 'isolation':
    case 'isolation of a majority':
      return `peers ${some}`;
    case 'isolation of the leader':
      return '';
    case 'one-way cut':
      return cutsOf(fault)
        .map(({ at, from }) => `${from} to ${at}`)
        .join(', ');
    case 'loss':
      return `${Math.round(rate * 100)} % at peers ${some}`;
    case 'delay':
      return `${minDelayMs} to ${maxDelayMs} ms at peers ${some}`;
    case 'kill of the runtime':
      return `${downMs} ms away`;
    case 'all at once':
      return `loss and delay at all, peer ${peers[0]} isolated, cuts, crashes, a kill`;
  }
}

/** Nothing comes from one peer to another: each of the first `count` peers does not hear the next one. */
export function cutsOf({ peers, count }: PlannedFault): { readonly at: string; readonly from: string }[] {
  return peers.slice(0, count).flatMap((at, i) => {
    const from = peers[(i + 1) % peers.length];
    return from === undefined ? [] : [{ at, from }];
  });
}
