import { describe, expect, test } from 'vitest';
import { ACCIDENT_KINDS, type AccidentKind } from './accidents.ts';
import { Messages } from './messages.ts';
import { FAULT_KINDS, type FaultKind } from './nemesis.ts';
import type { SimulationPlan } from './plan.ts';
import { type SimulationResult, simulate } from './simulation.ts';
import { drawPlan } from './swarm.ts';
import { TRACE_HEADER } from './trace.ts';
import type { World } from './world.ts';

const plans = Array.from({ length: 400 }, (_, i) => drawPlan(i + 1));

/** One run with its trace. */
async function traced(seed: number, plan: Partial<SimulationPlan>) {
  let lines: readonly string[] = [];
  const alsoCheck = (world: { lines: readonly string[] }): void => {
    lines = world.lines;
  };
  const result: SimulationResult = await simulate({ seed, plan, trace: true, alsoCheck });
  return { result, lines };
}

describe('the plan of a seed', () => {
  test('every kind of fault is on in some seeds, and off in others', () => {
    for (const kind of FAULT_KINDS) {
      const on = plans.filter((plan) => plan.faults.includes(kind)).length;
      expect(on, kind).toBeGreaterThan(5);
      expect(on, kind).toBeLessThan(plans.length - 5);
    }
    for (const kind of ACCIDENT_KINDS) {
      const on = plans.filter((plan) => kind in plan.accidents).length;
      expect(on, kind).toBeGreaterThan(5);
      expect(on, kind).toBeLessThan(plans.length - 5);
    }
  });

  test('some seeds have stores that fill up, sessions that expire, a group that comes and goes, two versions, small pages', () => {
    const of = (on: (plan: SimulationPlan) => boolean): number => plans.filter(on).length;
    expect(of(({ store }) => store.storageLimitBytes !== null)).toBeGreaterThan(5);
    expect(of(({ store }) => store.logTimeRate > 1)).toBeGreaterThan(5);
    expect(of(({ store }) => store.pageBytes !== null)).toBeGreaterThan(5);
    expect(of(({ tenant }) => tenant)).toBeGreaterThan(5);
    expect(of(({ newerPeers }) => newerPeers > 0)).toBeGreaterThan(5);
  });

  test('groups have 1, 3, 5 or 7 peers; some seeds have routers that share no calls', () => {
    for (const peers of [1, 3, 5, 7]) expect(plans.filter((plan) => plan.peers === peers).length).toBeGreaterThan(5);
    expect(new Set(plans.map(({ peers }) => peers))).toEqual(new Set([1, 3, 5, 7]));
    const coalescing = plans.filter((plan) => plan.coalescing).length;
    expect(coalescing).toBeGreaterThan(plans.length / 2);
    expect(coalescing).toBeLessThan(plans.length - 5);
  });

  test('is plain data: what is printed with a failure gives the same run again, byte for byte', async () => {
    const printed = JSON.parse(JSON.stringify(drawPlan(17))) as SimulationPlan;
    const [drawn, given] = [await traced(17, {}), await traced(17, printed)];
    expect(given.result).toEqual(drawn.result);
  });

  test('has no other fields', async () => {
    const plan = { peer: 3 } as unknown as Partial<SimulationPlan>;
    await expect(simulate({ seed: 1, plan })).rejects.toThrow('a plan has no peer');
  });
});

describe('acts', () => {
  const plan = {
    ...drawPlan(5),
    faults: ['crash'],
    accidents: {},
    peers: 3,
    chaosMs: 8000,
    tenant: false,
    newerPeers: 0,
  };
  const crashes = (lines: readonly string[]): string[] => lines.filter((line) => / {2}crash$| {2}crash /.test(line));

  test('are numbered, and each may be left out', async () => {
    const whole = await traced(5, plan);
    expect(whole.result.acts).toBe(crashes(whole.lines).length);
    expect(whole.result.acts).toBeGreaterThan(3);
    const none = await traced(5, { ...plan, lastAct: 0 });
    expect(crashes(none.lines)).toEqual([]);
    const early = await traced(5, { ...plan, lastAct: 2 });
    expect(crashes(early.lines)).toEqual(crashes(whole.lines).slice(0, 2));
    const second = await traced(5, { ...plan, leftOut: [1] });
    expect(crashes(second.lines)).not.toContain(crashes(whole.lines)[0]);
    expect(second.result.acts).toBeGreaterThan(1);
  });
});

describe('faults', () => {
  interface Seen {
    readonly lines: readonly string[];
    readonly messages: Messages;
    readonly twoLeaders: boolean;
  }
  const says =
    (pattern: RegExp) =>
    ({ lines }: Seen): boolean =>
      lines.some((line) => pattern.test(line));
  /** The nemesis says what it does, and messages are lost. */
  const cuts =
    (pattern: RegExp) =>
    (seen: Seen): boolean =>
      says(pattern)(seen) && seen.messages.lost > 0;
  const crashedAtOnce = ({ lines }: Seen): number => {
    const crashes = lines.filter((line) => / {2}crash\b/.test(line));
    return Math.max(
      0,
      ...[...Map.groupBy(crashes, (line) => line.trimStart().split(' ')[0]).values()].map((at) => at.length),
    );
  };

  /** What each kind does, and nothing but it. */
  const EVIDENCE: Record<FaultKind, (seen: Seen) => boolean> = {
    loss: ({ messages }) => messages.lost > 10,
    duplicates: ({ messages }) => messages.doubled > 10,
    longDelays: ({ messages }) => messages.overtakenMs > 500,
    slowDisk: ({ messages }) => Math.max(...messages.replyMs) > 25,
    lateAlarms: says(/ alarm .* [1-9]\d\d+ ms late$/),
    partition: cuts(/nemesis .* partition default/),
    oneWay: cuts(/nemesis .* one-way cut default/),
    partialCut: cuts(/nemesis .* partial cut default/),
    crash: says(/ {2}crash\b/),
    crashAll: (seen) => crashedAtOnce(seen) === PEERS,
    evict: says(/ {2}crash\b(?!.*not flushed)/),
    supersede: says(/default\/\d\.1#\d+~/),
    storageRefused: (seen) => says(/storage refuses until/)(seen) && says(/(threw|abort) .* storage: /)(seen),
    down: cuts(/is down until/),
    clockJump: says(/nemesis .* clock -?[1-9]/),
    newLeader: cuts(/nemesis .* new leader cut off default/),
    splitBrain: ({ twoLeaders }) => twoLeaders,
    slowNetwork: ({ messages }) => Math.min(...messages.replyMs) > 10,
    slowLinks: ({ messages }) => Math.max(...messages.replyMs) > 40,
    crashInstalling: says(/ {2}crash\b/),
    crashWriting: says(/ {2}crash\b.*not flushed/),
    storageBreaks: (seen) => says(/storage breaks soon/)(seen) && says(/(threw|abort) .* storage: /)(seen),
    doubleAlarm: says(/ alarm again/),
  };
  const PEERS = 3;
  const SEEDS = 8;
  const base = drawPlan(3);
  const QUIET: Partial<SimulationPlan> = {
    peers: PEERS,
    faults: [],
    accidents: {},
    chaosMs: 4000,
    tenant: false,
    newerPeers: 0,
    weather: { ...base.weather, maxDelayMs: 2, maxFlushMs: 2, alarmJitterMs: 1000 },
  };
  /** Followers need a snapshot now and then, of many chunks. */
  const SNAPSHOTS: Partial<SimulationPlan> = {
    accidents: { lag: 1 },
    accidentPauseMs: 200,
    maxThinkMs: 3,
    clients: 5,
    limits: { ...base.limits, tailEntries: 2 },
    store: { ...base.store, pageBytes: 1 },
  };

  async function seen(seed: number, plan: Partial<SimulationPlan>): Promise<Seen> {
    let lines: readonly string[] = [];
    let twoLeaders = false;
    const alsoCheck = (world: World): void => {
      lines = world.lines;
      twoLeaders ||= [...world.instances()].filter(({ peer }) => peer?.raft?.role === 'leader').length > 1;
    };
    await simulate({ seed, plan, trace: true, alsoCheck });
    return { lines, messages: new Messages(lines), twoLeaders };
  }

  test.each(FAULT_KINDS)('%s happens where it is on, and nowhere else', async (kind) => {
    const plan = { ...QUIET, ...(kind === 'crashInstalling' && SNAPSHOTS) };
    expect(EVIDENCE[kind](await seen(1, plan)), 'seed 1 without it').toBe(false);
    let happened = false;
    for (let seed = 1; seed <= SEEDS && !happened; seed += 1) {
      happened = EVIDENCE[kind](await seen(seed, { ...plan, faults: [kind] }));
    }
    expect(happened, `seeds 1 to ${SEEDS}`).toBe(true);
  });
});

describe('accidents', () => {
  const EVIDENCE: Record<AccidentKind, RegExp> = {
    leaderLost: /leader .* (isolated|crash)/,
    lag: /isolated/,
    wipe: / wiped/,
    foundingBreaks: / crash/,
    lateFounding: /network .* once more/,
    installCrash: / crash/,
    stuckAlarms: / alarms stuck/,
    evictAll: / crash/,
    routerGone: /isolate restarted/,
    routerClock: /router\d .* clock/,
    storm: / storm/,
    deploy: / deploy/,
  };
  const SUBJECT: Partial<Record<AccidentKind, Partial<SimulationPlan>>> = {
    deploy: { newerPeers: 1 },
    installCrash: { accidents: { installCrash: 1, lag: 1 }, maxThinkMs: 3, clients: 5 },
  };

  test.each(ACCIDENT_KINDS)('%s happens, and the group survives it', async (kind) => {
    const base = drawPlan(3);
    const store = { ...base.store, pageBytes: 1 };
    const limits = { ...base.limits, tailEntries: 2 };
    const alone = {
      peers: 3,
      faults: [],
      accidents: { [kind]: 1 },
      accidentPauseMs: 200,
      chaosMs: 4000,
      store,
      limits,
    };
    let happened = false;
    for (let seed = 1; seed <= 8 && !happened; seed += 1) {
      const { lines } = await traced(seed, { ...alone, tenant: false, newerPeers: 0, ...SUBJECT[kind] });
      happened = lines.some((line) => EVIDENCE[kind].test(line));
    }
    expect(happened).toBe(true);
  });
});

describe('the trace', () => {
  test('has one event a line, in fixed columns', async () => {
    const { lines } = await traced(9, {});
    const at = (name: string): number => TRACE_HEADER.indexOf(name);
    const ofPeers = lines.filter(
      (line) => /^ *\d+\.\d\d {2}default\/\d\.1#\d/.test(line) && line.length > at('detail'),
    );
    expect(ofPeers.length).toBeGreaterThan(100);
    for (const line of ofPeers) {
      expect(line).not.toContain('\n');
      // A label or a log range that is too long for its column would move the others.
      expect(line.slice(at('detail') - 2, at('detail'))).toBe('  ');
    }
  });
});
