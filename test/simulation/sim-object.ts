/** A Durable Object of the simulated world: a name, a disk, an alarm, and at most one current instance. */
import type { Peer } from '../../src/peer/peer.ts';
import type { StateMachineFactory } from '../../src/peer/state-machine.ts';
import type { Acts } from './acts.ts';
import { Disk, type SetAlarm, type StoredRecord } from './disk.ts';
import type { Scheduler } from './scheduler.ts';

export class Instance {
  readonly object: SimObject;
  readonly number: number;
  peer!: Peer;
  /** Which of its object's lives it belongs to: the storage of an earlier one is gone. */
  readonly life: number;
  /** The record that it was restored from: it sleeps, or slept. */
  readonly restoredFrom: StoredRecord | null;
  /** No memory any more: nothing of it runs. */
  dead = false;
  /** Its object was started elsewhere: it runs on, but its storage refuses and no event reaches it. */
  superseded = false;
  /**
   * It wrote what will never be on disk. The output gate waits for all earlier writes, not only for those of the same turn, and one
   * that fails breaks it for good (workerd, io-gate.c++): nothing leaves this instance any more.
   */
  gateBroken = false;
  /** Peers that have answered a call of its since somebody looked. */
  readonly answeredBy = new Set<string>();
  depth = 0;
  callsThisEvent = 0;
  /** Requests that it has not answered. */
  readonly unanswered = new Set<() => void>();

  constructor(object: SimObject, number: number) {
    this.object = object;
    this.number = number;
    this.life = object.lives;
    this.restoredFrom = object.disk.quiesceRecord();
  }

  get label(): string {
    return `${this.object.name}#${this.number}${this.superseded ? '~' : ''}`;
  }
}

export class SimObject {
  readonly name: string;
  disk: Disk;
  /** What it held for a group before that was lost or deleted: what it had promised there, it did promise. */
  lost: { readonly groupId: string; readonly disk: Disk } | null = null;
  readonly #scheduler: Scheduler;
  readonly #acts: Acts;
  instance: Instance | null = null;
  instances = 0;
  #clockOffsetMs = 0;
  /** Since when its clock goes at a tenth of its speed; null: it does not. */
  #clockSlowSinceMs: number | null = null;
  #refusesUntilMs = 0;
  /** The storage takes so many statements more, and then refuses for a while: in the middle of a turn perhaps. */
  #breaks: { statements: number; readonly forMs: number } | null = null;
  #downUntilMs = 0;
  alarmRetryMs = 0;
  /** The time of the alarm whose handler runs. */
  runningAlarm: SetAlarm | null = null;
  cancelAlarm: (() => void) | null = null;
  /** What was set when an older alarm came again: the handler takes the alarm that it is told of for the only one. */
  alarmBelievedGone: SetAlarm | null = null;
  /** Called when the handler of an alarm has run. */
  onAlarmHandled: (alarm: SetAlarm) => void = () => {};
  /** No alarm fires until a client's request has come: the platform has forgotten them. */
  alarmsStuck = false;
  /** How often its storage was lost or deleted as a whole: what it had answered before is lost with it. */
  lives = 0;
  /** Requests of routers that were sent before this are lost: their group is another one by now. */
  clientsSinceMs = 0;
  /** The version of the code that its next instance runs; null: the world's. */
  createStateMachine: StateMachineFactory | null = null;

  constructor(name: string, scheduler: Scheduler, acts: Acts) {
    this.name = name;
    this.disk = new Disk(scheduler);
    this.#scheduler = scheduler;
    this.#acts = acts;
  }

  /** Its storage is empty from now on. */
  loseStorage(): void {
    const { disk } = this;
    disk.crash();
    this.lives += 1;
    this.disk = new Disk(this.#scheduler);
    this.disk.flushMs = disk.flushMs;
    this.disk.onStaging = disk.onStaging;
    this.disk.onInstalling = disk.onInstalling;
    this.disk.onTurn = disk.onTurn;
    this.disk.onFlushed = disk.onFlushed;
    const [table] = disk.inspect("SELECT 1 FROM sqlite_master WHERE name = 'peer_identity'");
    const [identity] = table === undefined ? [] : disk.inspect('SELECT group_id FROM peer_identity');
    if (identity === undefined) return disk.close();
    this.lost?.disk.close();
    this.lost = { groupId: identity[0] as string, disk };
  }

  /** Difference of its clock from true time, ms. */
  get clockOffsetMs(): number {
    return this.#clockOffsetMs;
  }

  set clockOffsetMs(offsetMs: number) {
    if (this.#acts.permit()) this.#clockOffsetMs = offsetMs;
  }

  /** What its clock says at a true time. */
  clockMs(nowMs: number): number {
    return nowMs + this.clockAheadMs(nowMs);
  }

  /** Of true time. Exact for a clock that is not slow: a rounding error would make an alarm's whole milliseconds one less. */
  clockAheadMs(nowMs: number): number {
    // Whole milliseconds, like every other difference: alarms are kept in whole ones.
    const lostMs = this.#clockSlowSinceMs === null ? 0 : Math.floor(0.9 * (nowMs - this.#clockSlowSinceMs));
    return this.#clockOffsetMs - lostMs;
  }

  /** Its clock slows down, or goes on at its true speed from where it is. */
  slowClock(slow: boolean, nowMs: number): void {
    if (slow === (this.#clockSlowSinceMs !== null) || (slow && !this.#acts.permit())) return;
    this.#clockOffsetMs = this.clockAheadMs(nowMs);
    this.#clockSlowSinceMs = slow ? nowMs : null;
  }

  /** Storage refuses until then. */
  get refusesUntilMs(): number {
    return this.#refusesUntilMs;
  }

  set refusesUntilMs(untilMs: number) {
    if (untilMs <= this.#scheduler.nowMs || this.#acts.permit()) this.#refusesUntilMs = untilMs;
  }

  /** Its storage takes `statements` more, then it refuses for `forMs`. */
  breakStorage(statements: number, forMs: number): void {
    if (this.#acts.permit()) this.#breaks = { statements, forMs };
  }

  mendStorage(): void {
    this.#breaks = null;
    this.#refusesUntilMs = 0;
  }

  /** Asked before each statement: whether the storage refuses it. */
  refusesStatement(): boolean {
    const { nowMs } = this.#scheduler;
    if (this.#breaks !== null) {
      this.#breaks.statements -= 1;
      if (this.#breaks.statements < 0) {
        this.#refusesUntilMs = nowMs + this.#breaks.forMs;
        this.#breaks = null;
      }
    }
    return nowMs < this.#refusesUntilMs;
  }

  /** No request reaches it until then: its machine is gone, and the platform has not noticed. */
  get downUntilMs(): number {
    return this.#downUntilMs;
  }

  set downUntilMs(untilMs: number) {
    if (untilMs <= this.#scheduler.nowMs || this.#acts.permit()) this.#downUntilMs = untilMs;
  }
}
