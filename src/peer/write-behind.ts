/**
 * Storage whose writes can wait for a moment. While they are *gathered*, until the turn ends, several become one statement. When they
 * are *put off*, they wait longer than the turn, so that an answer leaves before what it caused is written here: what it says is
 * committed, on the disks of a majority, so this peer can apply it again at any time. The platform holds an answer back until all
 * writes made before it are on disk; writes that are not made yet hold nothing back.
 *
 * Statements keep their order: whoever reads, or writes otherwise, sees and follows what waits.
 */
import { invariant } from '../raft/invariant.ts';
import { inFewStatements, type Write } from './multi-row.ts';
import { isPlainWrite, type Sql, type SqlRow, type SqlValue } from './sql.ts';

/** Statements that may wait; what is beyond is written at once. */
const MAX_WAITING = 4096;

export class WriteBehind implements Sql {
  readonly #sql: Sql;
  #waiting: Write[] = [];
  #gathering = false;
  /** What waits may wait longer than the turn. */
  #late = false;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  exec(statement: string, ...parameters: SqlValue[]): SqlRow[] {
    if (this.#gathering && isPlainWrite(statement) && this.#waiting.length < MAX_WAITING) {
      this.#waiting.push({ statement, parameters });
      return [];
    }
    // A turn's writes commit together: once some must be made, the rest are made in this turn.
    if (this.#waiting.length > 0) this.#write();
    return this.#sql.exec(statement, ...parameters);
  }

  /** What was put off waits on, until this turn's first statement, or its end; nothing more joins it. */
  beginTurn(): void {
    invariant(this.#late || this.#waiting.length === 0, 'what was gathered in a turn was written in it');
    this.#gathering = false;
  }

  /** Writes wait until the caller, before the turn ends, calls `writeNow`, or until somebody must see them. */
  gather(): void {
    this.#write();
    this.#gathering = true;
  }

  /** Until the turn ends, writes are put off, or until somebody must see them. */
  putOff(): void {
    invariant(this.#waiting.length === 0, 'what was put off before is written');
    this.#gathering = true;
    this.#late = true;
  }

  get puttingOff(): boolean {
    return this.#gathering && this.#late;
  }

  /** Something is put off. */
  get pending(): boolean {
    return this.#late && this.#waiting.length > 0;
  }

  /** Makes the writes that wait, in their order; none waits any more. */
  writeNow(): void {
    this.#gathering = false;
    this.#write();
  }

  #write(): void {
    this.#late = false;
    const writes = this.#waiting;
    this.#waiting = [];
    for (const { statement, parameters } of inFewStatements(writes)) this.#sql.exec(statement, ...parameters);
  }
}
