/**
 * The one way to storage, for the peer and for every state machine on it. Deliberately narrow: workerd's
 * `sql.exec` and `node:sqlite` differ in nearly everything outside of this (several statements, missing
 * parameters, cursors, the type of blobs, integers past 2^53), and `test/peer/sql-conformance.ts` runs the same
 * checks on both.
 */
export type SqlValue = number | string | Uint8Array | null;
export type SqlRow = SqlValue[];

export interface Sql {
  /**
   * Runs exactly one statement with one value for each `?`, and returns all of its rows at once, as arrays in the
   * order of the columns. Integers are JavaScript numbers (safe integers only), blobs are `Uint8Array`. Never lazy:
   * there is no cursor that a later write could invalidate. Callers bound the number of rows by `LIMIT`.
   * What is given must not change afterwards: a write may be put off (write-behind.ts).
   * Throws on any error; the peer ends its instance then.
   */
  exec(statement: string, ...parameters: SqlValue[]): SqlRow[];
}

/** It returns nothing, and changes no table's shape. */
export function isPlainWrite(statement: string): boolean {
  return /^(INSERT|UPDATE|DELETE)\b/.test(statement) && !statement.includes('RETURNING');
}
