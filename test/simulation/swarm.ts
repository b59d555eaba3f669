/**
 * Swarm testing (Groce and others, 2012): each seed draws which kinds of fault are on and how strong, since faults that are
 * always on hide what others would show. Some seeds are given to one subject, which luck alone would rarely set up.
 */
import { DEFAULT_LIMITS } from '../../src/raft/types.ts';
import { ACCIDENT_KINDS, type AccidentKind } from './accidents.ts';
import { drawMix, FAULT_KINDS } from './nemesis.ts';
import type { SimulationPlan, StorePlan } from './plan.ts';
import { Random } from './random.ts';
import type { Weather } from './weather.ts';
import type { World } from './world.ts';

/** Time itself goes wrong in these: where sessions expire by the clock, a clerk could keep no promise. */
const BEYOND_SESSIONS = new Set(['longDelays', 'clockJump', 'routerClock', 'wholeClock']);
/** Where most of Raft's cases lie: new leaders, and followers that need a snapshot. */
const FREQUENT = new Set<AccidentKind>(['leaderLost', 'lag']);
/** Groups of 7 now and then: they cost most. */
const PEERS = [1, 1, 3, 3, 3, 3, 3, 3, 3, 5, 5, 5, 5, 7];
const NO_LIMITS: StorePlan = {
  storageLimitBytes: null,
  historyLimitBytes: null,
  sessionLimit: null,
  logTimeRate: 1,
  pageBytes: null,
};

export function drawPlan(seed: number, allFaults = false): SimulationPlan {
  const random = new Random(seed ^ 0x5e771e5);
  const heartbeatMs = random.pick([50, 100]);
  const plan: SimulationPlan = {
    peers: random.pick(PEERS),
    newerPeers: 0,
    routers: random.int(1, 3),
    coalescing: random.chance(0.85),
    clients: random.int(2, 7),
    clerkShare: random.pick([0.3, 0.7, 1]),
    keys: random.int(1, 6),
    hotShare: random.pick([0, 0, 0.5, 0.9]),
    maxThinkMs: random.pick([3, 20, 150]),
    // Most bugs show soon or not at all; some need the time.
    chaosMs: Math.round(2000 + 10_000 * random.float() ** 2),
    // The nemesis draws from the chance of a world that is still to come.
    faults: allFaults ? FAULT_KINDS : [...drawMix({ random } as World)],
    accidents: drawAccidents(random, allFaults),
    accidentPauseMs: random.pick([200, 600, 2000]),
    weather: drawWeather(random),
    heartbeatMs,
    electionTimeoutMs: heartbeatMs * random.pick([4, 8, 20]),
    // Of a chance of its own. Most clients think for less than this: it is lulls, and the subject `idle`, that let groups sleep.
    quiesceAfterMs: new Random(seed ^ 0x51ee9).pick([0, 60, 150, 400, 2000]),
    limits: drawLimits(random),
    store: NO_LIMITS,
    tenant: false,
    leftOut: [],
    lastAct: null,
  };
  return random.pick(SUBJECTS)(plan, random);
}

/** Small limits, so that followers that miss a little need a snapshot, and messages that carry little. */
function drawLimits(random: Random): SimulationPlan['limits'] {
  return {
    ...DEFAULT_LIMITS,
    tailEntries: random.pick([0, 2, 3, 8, 32]),
    tailBytes: 100_000,
    messageEntries: random.pick([1, 2, 1024]),
    callsInFlight: random.pick([2, 6, 12]),
    // One entry at a time: then what is applied lags behind what is committed.
    applyBytes: random.pick([1, DEFAULT_LIMITS.applyBytes]),
  };
}

function drawAccidents(random: Random, all: boolean): SimulationPlan['accidents'] {
  const likelihood = all ? 1 : random.pick([0, 0, 0.1, 0.3, 0.7]);
  const on = ACCIDENT_KINDS.filter((kind) => random.chance(likelihood > 0 && FREQUENT.has(kind) ? 0.7 : likelihood));
  return Object.fromEntries(on.map((kind) => [kind, rounded(random.between(0.1, 1))]));
}

/** How bad each kind is where it is on: small values as likely as great ones. */
function drawWeather(random: Random): Weather {
  const scale = (min: number, max: number): number => rounded(min * (max / min) ** random.float());
  return {
    dropRate: scale(0.01, 0.3),
    duplicateRate: scale(0.02, 0.4),
    minDelayMs: 0.2,
    maxDelayMs: scale(1, 80),
    longDelayRate: scale(0.01, 0.3),
    minFlushMs: 0.2,
    maxFlushMs: scale(2, 500),
    alarmJitterMs: scale(50, 5000),
  };
}

function rounded(value: number): number {
  return Number(value.toPrecision(2));
}

type Subject = (plan: SimulationPlan, random: Random) => SimulationPlan;

const nothingSpecial: Subject = (plan) => plan;

/** Many small chunks, and installations that are interrupted. */
const snapshots: Subject = (plan, random) => ({
  ...plan,
  peers: random.pick([3, 5]),
  maxThinkMs: 10,
  limits: { ...plan.limits, tailEntries: 2 },
  store: { ...plan.store, pageBytes: random.pick([1, 200, 600]) },
  accidents: { ...plan.accidents, installCrash: rounded(random.between(0.1, 1)) },
});

/** A store that fills up: the limits are those of a few keys. */
const full: Subject = (plan, random) => ({
  ...plan,
  keys: 6,
  store: {
    ...plan.store,
    storageLimitBytes: random.int(150, 800),
    historyLimitBytes: random.pick([null, random.int(1, 1000)]),
  },
});

/** Sessions that expire, or are evicted for others; clerks that come back too late. */
const sessions: Subject = (plan, random) => {
  const clients = random.int(2, 6);
  return {
    ...plan,
    clients,
    clerkShare: 1,
    maxThinkMs: 200,
    chaosMs: random.int(6000, 16_000),
    electionTimeoutMs: Math.min(plan.electionTimeoutMs, 800),
    faults: plan.faults.filter((kind) => !BEYOND_SESSIONS.has(kind)),
    accidents: Object.fromEntries(Object.entries(plan.accidents).filter(([kind]) => !BEYOND_SESSIONS.has(kind))),
    weather: { ...plan.weather, maxDelayMs: Math.min(plan.weather.maxDelayMs, 60) },
    // 2 s unused, and a session may be evicted; 12 s, and it expires.
    store: { ...plan.store, logTimeRate: 300, sessionLimit: clients + random.int(0, 2) },
  };
};

/** A group that is created, used, deleted and created anew, under late duplicates of all that. */
const tenancy: Subject = (plan, random) => ({
  ...plan,
  peers: random.pick([1, 3, 3]),
  clients: Math.min(plan.clients, 3),
  tenant: true,
  accidents: { ...plan.accidents, lateFounding: 1 },
});

/** Groups that sleep more than they wake, with everything that can go wrong on the way. */
const idle: Subject = (plan, random) => ({
  ...plan,
  clients: random.int(1, 3),
  maxThinkMs: random.pick([1000, 4000]),
  chaosMs: random.int(8000, 20_000),
  quiesceAfterMs: random.pick([60, 200, 500]),
});

const founding: Subject = (plan, random) => ({
  ...plan,
  peers: random.pick([3, 3, 5]),
  chaosMs: Math.round(plan.chaosMs / 2),
  accidents: { ...plan.accidents, foundingBreaks: rounded(random.between(0.1, 1)), lateFounding: 1 },
});

/** A deploy that is half done. One that is newer is enough to stop the others. */
const versions: Subject = (plan, random) => {
  const peers = random.pick([3, 5]);
  return { ...plan, peers, newerPeers: random.int(1, peers - 1), accidents: { ...plan.accidents, deploy: 0.5 } };
};

const SUBJECTS: readonly Subject[] = [
  ...Array.from({ length: 10 }, () => nothingSpecial),
  snapshots,
  snapshots,
  snapshots,
  full,
  sessions,
  tenancy,
  founding,
  versions,
  idle,
  idle,
];

export type { AccidentKind };
