import { describe, expect, test } from 'vitest';
import { ACCIDENT_KINDS, type AccidentKind } from './accidents.ts';
import { FAULT_KINDS } from './nemesis.ts';
import type { SimulationPlan } from './plan.ts';
import { type SimulationResult, simulate } from './simulation.ts';
import { drawPlan } from './swarm.ts';
import { TRACE_HEADER } from './trace.ts';

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
