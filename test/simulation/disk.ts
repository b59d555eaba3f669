/**
 * An object's storage with what makes it dangerous: the writes of one synchronous turn commit together, but only
 * some time later, and a crash loses every turn that is not flushed. Each unflushed turn is a savepoint on one SQLite
 * database: a crash rolls back to the first one that is not on disk.
 */
import type { Sql, SqlRow, SqlValue } from '../../src/peer/sql.ts';
import { NodeSql } from './node-sql.ts';
import type { Scheduler } from './scheduler.ts';

const MAX_ROW_BYTES = 2_000_000;
const MAX_PARAMETERS = 100;
/** What a storage says that refuses: the only error that is no bug. */
export const STORAGE_REFUSED = 'storage: this instance was superseded, or the storage is out of order';

/** Term and vote, as stored. */
export interface StoredVote {
  readonly term: number;
  readonly votedFor: number | null;
}

/** The record of a peer's sleep, as stored. */
export interface StoredRecord {
  readonly term: number;
  readonly leaderId: number;
  readonly round: number;
}

/** An alarm: the true time at which it is due, and the time, by the object's clock, that it was asked for. */
export interface SetAlarm {
  readonly atMs: number;
  readonly wallMs: number;
}

export class Disk {
  readonly #scheduler: Scheduler;
  readonly #sql = new NodeSql();
  /** How long a flush takes, drawn anew for each. */
  flushMs: () => number = () => 1;
  /** A chunk of a snapshot is stored, and others are to follow. */
  onStaging: () => void = () => {};
  /** The last chunk of a snapshot is there: in this turn it takes the state's place, or is refused. */
  onInstalling: () => void = () => {};
  /** A turn has ended that will be on disk at that time. */
  onTurn: (flushedAtMs: number) => void = () => {};
  /** Everything written so far is on disk. */
  onFlushed: () => void = () => {};
  /** Turns are numbered; those up to `durableTurn` are on disk. */
  #turn = 0;
  #turnOpen = false;
  durableTurn = 0;
  #lastFlushMs = 0;
  #waiting: { turn: number; run: () => void }[] = [];
  #generation = 0;
  /** In which turn each log row was last written: what the invariant "on a quorum's disks" looks at. */
  readonly logRowTurn = new Map<number, number>();
  /** In which turn the stored term or vote last changed: what the invariant on a leader's own vote looks at. */
  voteTurn = 0;
  #vote = '';
  /** The record of its sleep that is on disk; null: none. */
  durableRecord: StoredRecord | null = null;
  #records: { readonly turn: number; readonly record: StoredRecord | null }[] = [];
  /** The newest term and vote that are on disk: neither may ever go back. Null: none was written. */
  durableVote: StoredVote | null = null;
  /** Those that are not on disk yet, in the order of their turns. */
  #votes: { readonly turn: number; readonly vote: StoredVote }[] = [];
  #hasTables = false;
  alarm: SetAlarm | null = null;
  /** Statements that wrote; setting the alarm is none. */
  statementsWritten = 0;
  /** What the largest turn so far has written. */
  largestTurnBytes = 0;
  #turnBytes = 0;
  #durableAlarm: SetAlarm | null = null;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** The storage as one instance sees it; `refused` once the instance is no longer the object's. */
  open(refused: () => boolean): Sql {
    return {
      exec: (statement: string, ...parameters: SqlValue[]): SqlRow[] => {
        if (refused()) throw new Error(STORAGE_REFUSED);
        const bytes = checkedBytes(parameters);
        const kind = kindOf(statement);
        if (kind === 'read') return this.#sql.exec(statement, ...parameters);
        this.statementsWritten += 1;
        this.write();
        this.#turnBytes += bytes;
        this.largestTurnBytes = Math.max(this.largestTurnBytes, this.#turnBytes);
        if (kind === 'log') this.logRowTurn.set(parameters[0] as number, this.#turn);
        else if (kind === 'state')
          this.#noteVote({ term: parameters[0] as number, votedFor: parameters[1] as number | null });
        else if (kind === 'quiescence') this.#records.push({ turn: this.#turn, record: recordOf(parameters) });
        else if (kind === 'staging') this.onStaging();
        else if (kind === 'installing') this.onInstalling();
        return this.#sql.exec(statement, ...parameters);
      },
    };
  }

  #noteVote(vote: StoredVote): void {
    const text = `${vote.term}/${vote.votedFor}`;
    if (text === this.#vote) return;
    this.voteTurn = this.#turn;
    this.#vote = text;
    this.#votes.push({ turn: this.#turn, vote });
  }

  get hasTables(): boolean {
    if (this.#hasTables) return true;
    const found = this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'peer_state'").length > 0;
    // Nothing takes them away but a crash before they are on disk.
    this.#hasTables = found && !this.unflushed;
    return found;
  }

  /** Something is written in the turn at hand. */
  write(): void {
    if (this.#turnOpen) return;
    this.#turnOpen = true;
    this.#turnBytes = 0;
    this.#turn += 1;
    const turn = this.#turn;
    const generation = this.#generation;
    this.#sql.exec(`SAVEPOINT ${this.#savepoint(turn)}`);
    // The synchronous part of this event ends before the next microtask.
    queueMicrotask(() => {
      if (generation === this.#generation && this.#turn === turn) this.#closeTurn(turn);
    });
  }

  #closeTurn(turn: number): void {
    this.#turnOpen = false;
    const generation = this.#generation;
    const { alarm } = this;
    this.#lastFlushMs = Math.max(this.#lastFlushMs, this.#scheduler.nowMs + this.flushMs());
    this.onTurn(this.#lastFlushMs);
    this.#scheduler.at(this.#lastFlushMs, () => {
      if (generation !== this.#generation) return;
      this.durableTurn = turn;
      this.#durableAlarm = alarm;
      for (const { vote } of this.#votes.filter((item) => item.turn <= turn)) this.durableVote = vote;
      this.#votes = this.#votes.filter((item) => item.turn > turn);
      for (const { record } of this.#records.filter((item) => item.turn <= turn)) this.durableRecord = record;
      this.#records = this.#records.filter((item) => item.turn > turn);
      if (turn === this.#turn && !this.#turnOpen) this.#releaseAll();
      const ready = this.#waiting.filter((item) => item.turn <= turn);
      this.#waiting = this.#waiting.filter((item) => item.turn > turn);
      for (const { run } of ready) run();
      if (!this.unflushed) this.onFlushed();
    });
  }

  /** Everything written is on disk: the outermost savepoint is the oldest of them. */
  #releaseAll(): void {
    if (this.#releasedTurn === this.#turn) return;
    this.#sql.exec(`RELEASE ${this.#savepoint(this.#releasedTurn + 1)}`);
    this.#releasedTurn = this.#turn;
  }

  /** The turns after this one are savepoints, one within the other. */
  #releasedTurn = 0;

  /** Named by its place in the stack: few names, so that the statements are prepared once. */
  #savepoint(turn: number): string {
    return `turn${turn - this.#releasedTurn}`;
  }

  /** Runs once everything written so far is on disk: the output gate, and `storage.sync()`. Never, after a crash. */
  whenDurable(run: () => void): void {
    if (this.#turn <= this.durableTurn && !this.#turnOpen) return run();
    this.#waiting.push({ turn: this.#turn, run });
  }

  get unflushed(): boolean {
    return this.#turn > this.durableTurn;
  }

  /** The instance is gone, and with it every turn that was not flushed. */
  crash(): void {
    this.#generation += 1;
    this.#waiting = [];
    const firstLost = this.durableTurn + 1;
    if (firstLost <= this.#turn) {
      this.#sql.exec(`ROLLBACK TO ${this.#savepoint(firstLost)}`);
      for (const [index, turn] of this.logRowTurn) if (turn >= firstLost) this.logRowTurn.delete(index);
    }
    // What is left of the stack is durable.
    this.#releaseAll();
    this.#turn = this.durableTurn;
    this.#records = [];
    this.#vote = '';
    this.voteTurn = Math.min(this.voteTurn, this.durableTurn);
    this.#votes = [];
    this.#releasedTurn = this.durableTurn;
    this.#turnOpen = false;
    this.#lastFlushMs = this.#scheduler.nowMs;
    this.alarm = this.#durableAlarm;
  }

  close(): void {
    this.#generation += 1;
    this.#sql.database.close();
  }

  /** The record of its sleep, as the object sees it; null: it is awake, or belongs to no group. */
  quiesceRecord(): StoredRecord | null {
    if (!this.hasTables) return null;
    const [row] = this.#sql.exec('SELECT term, last_index, last_term, leader_id, round FROM peer_quiescence');
    return row === undefined ? null : recordOf(row);
  }

  /** For checks: reads what the object sees now, flushed or not. */
  inspect(statement: string, ...parameters: SqlValue[]): SqlRow[] {
    return this.#sql.exec(statement, ...parameters);
  }
}

/** Of the row's columns but the first, which is always 1; null: none, it is deleted. */
function recordOf([term, , , leaderId, round]: readonly SqlValue[]): StoredRecord | null {
  if (term === undefined) return null;
  return { term: term as number, leaderId: leaderId as number, round: round as number };
}

/** How large they are; checked against limits of production that the local runtime does not enforce. */
function checkedBytes(parameters: readonly SqlValue[]): number {
  if (parameters.length > MAX_PARAMETERS) throw new Error(`${parameters.length} bound parameters`);
  let bytes = 0;
  for (const value of parameters) {
    if (value instanceof Uint8Array) bytes += value.byteLength;
    else if (typeof value === 'string') bytes += value.length;
  }
  if (bytes > MAX_ROW_BYTES) throw new Error(`a row of ${bytes} bytes`);
  return bytes;
}

type StatementKind = 'read' | 'quiescence' | 'log' | 'state' | 'staging' | 'installing' | 'write';

const kinds = new Map<string, StatementKind>();

function kindOf(statement: string): StatementKind {
  let kind = kinds.get(statement);
  if (kind === undefined) {
    if (/^\s*SELECT/i.test(statement)) kind = 'read';
    else if (/^(INSERT INTO log|UPDATE log SET idx) /.test(statement)) kind = 'log';
    else if (statement.startsWith('UPDATE peer_state ')) kind = 'state';
    else if (/peer_quiescence/.test(statement)) kind = 'quiescence';
    else if (statement.startsWith('INSERT OR REPLACE INTO peer_staging')) kind = 'staging';
    else if (statement.startsWith('DELETE FROM peer_staging')) kind = 'installing';
    else kind = 'write';
    // A limit, though statements are few: none is made of data.
    if (kinds.size > 4096) kinds.clear();
    kinds.set(statement, kind);
  }
  return kind;
}
