/** The alarms of the simulated objects: late, forgotten for a while, tried again after an error, and delivered twice. */
import type { SetAlarm } from './disk.ts';
import type { Random } from './random.ts';
import type { Instance, SimObject } from './sim-object.ts';
import type { World } from './world.ts';

const ALARM_RETRY_MS = 2000;
/** The wall clock when a run begins, ms. */
export const EPOCH_MS = 1_700_000_000_000;

/** Starts the object if it is not there, and runs an event of no depth in it. */
type RunEvent = (object: SimObject, run: (instance: Instance) => void) => void;

export class SimAlarms {
  readonly #world: World;
  readonly #random: Random;
  readonly #event: RunEvent;

  constructor(world: World, random: Random, event: RunEvent) {
    this.#world = world;
    this.#random = random;
    this.#event = event;
  }

  set(object: SimObject, askedMs: number): void {
    // As workerd does: whole milliseconds; and an alarm set, by the handler of an alarm, for the very time of that one is
    // taken for it, and is gone when the handler ends.
    const wallMs = Math.trunc(askedMs);
    if (wallMs === object.runningAlarm?.wallMs) return;
    object.disk.alarm = { wallMs, atMs: wallMs - EPOCH_MS - object.clockAheadMs(this.#world.scheduler.nowMs) };
    this.arm(object);
  }

  arm(object: SimObject): void {
    const { alarm } = object.disk;
    if (alarm === null) return;
    const lateMs = this.#random.between(0, this.#world.weather.alarmJitterMs);
    const { scheduler } = this.#world;
    const dueMs = Math.max(alarm.atMs, scheduler.nowMs, object.alarmRetryMs, object.downUntilMs) + lateMs;
    object.cancelAlarm?.();
    object.cancelAlarm = scheduler.at(dueMs, () => {
      object.cancelAlarm = null;
      if (object.alarmsStuck) return;
      if (scheduler.nowMs < object.downUntilMs) return this.arm(object);
      this.#fire(object);
    });
  }

  #fire(object: SimObject): void {
    let handled = false;
    object.alarmRetryMs = 0;
    this.#event(object, (instance) => {
      // That the alarm is gone is on disk together with what the handler writes.
      object.disk.write();
      const { alarm } = object.disk;
      if (alarm === null) return;
      object.runningAlarm = alarm;
      object.disk.alarm = null;
      if (this.#world.tracing)
        this.#world.note(object.name, 'alarm', `${(this.#world.scheduler.nowMs - alarm.atMs).toFixed(0)} ms late`);
      instance.peer.onAlarm(alarm.wallMs);
      handled = true;
      object.onAlarmHandled(alarm);
    });
    object.runningAlarm = null;
    if (handled) return;
    object.alarmRetryMs = this.#world.scheduler.nowMs + ALARM_RETRY_MS;
    this.arm(object);
  }

  /** Alarms are delivered at least once: one that was handled comes again. What was set since then stays set (workerd, actor-sqlite.c++). */
  repeat(object: SimObject, alarm: SetAlarm): void {
    if (object.alarmsStuck || this.#world.scheduler.nowMs < object.downUntilMs || !this.#world.acts.permit()) return;
    this.#event(object, (instance) => {
      object.runningAlarm = alarm;
      object.alarmBelievedGone = object.disk.alarm;
      this.#world.note(object.name, 'alarm again');
      instance.peer.onAlarm(alarm.wallMs);
    });
    object.runningAlarm = null;
  }

  /** No alarm of this object fires until a client's request reaches it. */
  forget(object: SimObject): void {
    if (!this.#world.acts.permit()) return;
    this.#world.note(object.name, 'alarms stuck');
    object.alarmsStuck = true;
  }

  remember(object: SimObject): void {
    if (!object.alarmsStuck) return;
    object.alarmsStuck = false;
    this.arm(object);
  }

  /** From now on none is later than the weather has it: not those either that wait for an object that was down, or failed. */
  makePunctual(): void {
    for (const object of this.#world.objects.values()) {
      object.alarmRetryMs = 0;
      this.arm(object);
    }
  }
}
