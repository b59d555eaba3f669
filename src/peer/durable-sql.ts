import type { Sql, SqlRow, SqlValue } from './sql.ts';

/** The narrow `Sql` on a Durable Object's storage. Counts what is billed. */
export class DurableSql implements Sql {
  readonly #storage: SqlStorage;
  rowsWritten = 0;
  rowsRead = 0;

  constructor(storage: SqlStorage) {
    this.#storage = storage;
  }

  exec(statement: string, ...parameters: SqlValue[]): SqlRow[] {
    const cursor = this.#storage.exec(statement, ...parameters);
    const rows: SqlRow[] = [];
    for (const row of cursor.raw())
      rows.push(row.map((value) => (value instanceof ArrayBuffer ? new Uint8Array(value) : value)));
    this.rowsWritten += cursor.rowsWritten;
    this.rowsRead += cursor.rowsRead;
    return rows;
  }
}
