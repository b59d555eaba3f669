import { isPlainWrite, type Sql, type SqlRow, type SqlValue } from './sql.ts';

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
    // Each step over an iterator is a call into the runtime.
    if (isPlainWrite(statement)) cursor.toArray();
    else for (const row of cursor.raw()) rows.push(row.map(bytesAsView));
    this.rowsWritten += cursor.rowsWritten;
    this.rowsRead += cursor.rowsRead;
    return rows;
  }
}

function bytesAsView(value: SqlStorageValue): SqlValue {
  return value instanceof ArrayBuffer ? new Uint8Array(value) : value;
}
