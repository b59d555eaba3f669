/**
 * What was wrong with a world, and when: the faults of a run's timeline. It looks from outside after every event, so it sees what really
 * happened, whoever did it, and a run that is watched is the same run.
 */
import type { Fault } from '../linearizability/timeline.ts';
import type { Instance, SimObject } from './sim-object.ts';
import { CALM, type Weather } from './weather.ts';
import type { World } from './world.ts';

interface Condition {
  readonly name: string;
  /** An object; or a directed pair `from>to`. */
  readonly target: string;
}

interface Seen {
  readonly instance: Instance | null;
  readonly lives: number;
  /** Null: it goes slow, and so its offset changes all the time. */
  readonly clockOffsetMs: number | null;
}

export class FaultWatch {
  readonly #ended: Fault[] = [];
  readonly #lasting = new Map<string, Condition & { readonly fromMs: number }>();
  readonly #seen = new Map<string, Seen>();

  /** After every event. */
  readonly look = (world: World): void => {
    const { nowMs } = world.scheduler;
    for (const object of world.objects.values()) this.#lookAt(object, nowMs);
    const present = new Map([...conditionsOf(world)].map((found) => [`${found.name} ${found.target}`, found]));
    for (const [key, { fromMs, name, target }] of this.#lasting) {
      if (present.has(key)) continue;
      this.#ended.push({ fromMs, toMs: nowMs, name, target });
      this.#lasting.delete(key);
    }
    for (const [key, found] of present)
      if (!this.#lasting.has(key)) this.#lasting.set(key, { ...found, fromMs: nowMs });
  };

  /** What happened to an object in one moment. */
  #lookAt(object: SimObject, nowMs: number): void {
    const { name, instance, lives } = object;
    const before = this.#seen.get(name);
    const now = { instance, lives, clockOffsetMs: isSlow(object, nowMs) ? null : object.clockOffsetMs };
    this.#seen.set(name, now);
    if (before === undefined) return;
    const happened = (what: string): void => {
      this.#ended.push({ fromMs: nowMs, toMs: nowMs, name: what, target: name });
    };
    // Superseded is a condition: it lasts as long as the old instance runs on.
    if (before.instance !== null && before.instance !== instance && !before.instance.superseded) happened('crash');
    if (before.lives !== lives) happened('storage lost');
    const [offsetMs, earlierMs] = [now.clockOffsetMs, before.clockOffsetMs];
    if (offsetMs !== null && earlierMs !== null && offsetMs !== earlierMs) happened('clock jump');
  }

  /** In the order in which they began. What began and ended in the same moments, as the links of a partition do, is one. */
  get faults(): Fault[] {
    const lasting = [...this.#lasting.values()].map((condition) => ({ ...condition, toMs: null }));
    const all: Fault[] = [...this.#ended, ...lasting];
    const together = Map.groupBy(all, ({ name, fromMs, toMs }) => `${name} ${fromMs} ${toMs}`);
    const faults = [...together.values()].map((some): Fault => ({ ...some[0]!, target: targetsOf(some) }));
    return faults.sort((x, y) => x.fromMs - y.fromMs);
  }
}

function* conditionsOf(world: World): Generator<Condition> {
  const { nowMs } = world.scheduler;
  const weather = describeWeather(world.weather);
  if (weather !== '') yield { name: 'weather:', target: weather };
  for (const target of world.cut) yield { name: 'cut', target };
  for (const target of world.slowLinks.keys()) yield { name: 'slow', target };
  for (const { label } of world.superseded) yield { name: 'superseded', target: label };
  for (const object of world.objects.values()) {
    const { name: target } = object;
    if (nowMs < object.downUntilMs) yield { name: 'down', target };
    if (nowMs < object.refusesUntilMs) yield { name: 'storage refuses', target };
    if (object.alarmsStuck) yield { name: 'alarms stuck', target };
    if (isSlow(object, nowMs)) yield { name: 'slow clock', target };
  }
}

function isSlow(object: SimObject, nowMs: number): boolean {
  return object.clockAheadMs(nowMs + 1000) !== object.clockAheadMs(nowMs);
}

/** As one text. Of pairs: `a | b` where both were meant, `a → b` where one was. */
function targetsOf(faults: readonly Fault[]): string {
  const all = new Set(faults.map(({ target }) => target));
  const said = [...all].flatMap((target) => {
    const [from, to] = target.split('>') as [string, string?];
    if (to === undefined) return [target];
    if (!all.has(`${to}>${from}`)) return [`${from} → ${to}`];
    return from < to ? [`${from} | ${to}`] : [];
  });
  return said.join(', ');
}

/** What is worse than calm; '' if nothing is. */
function describeWeather(weather: Weather): string {
  const share = (rate: number): string => `${Math.round(100 * rate)} %`;
  const upTo = (ms: number): string => `to ${Math.round(ms)} ms`;
  const said: string[] = [];
  if (weather.dropRate > CALM.dropRate) said.push(`${share(weather.dropRate)} lost`);
  if (weather.duplicateRate > CALM.duplicateRate) said.push(`${share(weather.duplicateRate)} doubled`);
  if (weather.longDelayRate > CALM.longDelayRate) said.push(`${share(weather.longDelayRate)} very late`);
  if (weather.maxDelayMs > CALM.maxDelayMs) said.push(`messages ${upTo(weather.maxDelayMs)}`);
  if (weather.maxFlushMs > CALM.maxFlushMs) said.push(`flushes ${upTo(weather.maxFlushMs)}`);
  if (weather.alarmJitterMs > CALM.alarmJitterMs) said.push(`alarms ${upTo(weather.alarmJitterMs)} late`);
  return said.join(', ');
}
