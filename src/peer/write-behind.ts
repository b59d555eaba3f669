/**
 * Storage whose writes can be put off for a moment, so that an answer leaves before what it caused is written here: what it says is
 * committed, on the disks of a majority, so this peer can apply it again at any time. The platform holds an answer back until all
 * writes made before it are on disk; writes that are not made yet hold nothing back.
 *
 * Statements keep their order: whoever reads, or writes without putting off, sees and follows what was put off.
 */
import { invariant } from '../raft/invariant.ts';
import type { Sql, SqlRow, SqlValue } from './sql.ts';

/** Statements that may wait; what is beyond is written at once. */
const MAX_PUT_OFF = 4096;

export class WriteBehind implements Sql {
  readonly #sql: Sql;
  #putOff: { readonly statement: string; readonly parameters: SqlValue[] }[] = [];
  #puttingOff = false;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  exec(statement: string, ...parameters: SqlValue[]): SqlRow[] {
    if (this.#puttingOff && isPlainWrite(statement) && this.#putOff.length < MAX_PUT_OFF) {
      this.#putOff.push({ statement, parameters });
      return [];
    }
    // A turn's writes commit together: once some must be made, the rest of its are made at once.
    if (this.#putOff.length > 0) this.writeNow();
    return this.#sql.exec(statement, ...parameters);
  }

  /** What was put off waits on, until this turn's first statement, or its end; nothing more joins it. */
  beginTurn(): void {
    this.#puttingOff = false;
  }

  /** Until the turn ends, writes are put off, or until somebody must see them. */
  putOff(): void {
    invariant(this.#putOff.length === 0, 'what was put off before is written');
    this.#puttingOff = true;
  }

  get puttingOff(): boolean {
    return this.#puttingOff;
  }

  /** Something is put off. */
  get pending(): boolean {
    return this.#putOff.length > 0;
  }

  /** Makes the writes that were put off, in their order; nothing is put off any more. */
  writeNow(): void {
    this.#puttingOff = false;
    const statements = this.#putOff;
    this.#putOff = [];
    for (const { statement, parameters } of statements) this.#sql.exec(statement, ...parameters);
  }
}

/** It returns nothing, and changes no table's shape. */
function isPlainWrite(statement: string): boolean {
  return /^(INSERT|UPDATE|DELETE)\b/.test(statement) && !statement.includes('RETURNING');
}
