import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { Sql, SqlRow, SqlValue } from '../../src/peer/sql.ts';

/** The narrow `Sql` on node:sqlite, for the simulator and for tests that need no runtime. */
export class NodeSql implements Sql {
  readonly database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(path = ':memory:') {
    this.database = new DatabaseSync(path);
  }

  exec(statement: string, ...parameters: SqlValue[]): SqlRow[] {
    let prepared = this.#statements.get(statement);
    if (prepared === undefined) {
      prepared = this.database.prepare(statement);
      prepared.setReturnArrays(true);
      if (this.#statements.size > 512) this.#statements.clear();
      this.#statements.set(statement, prepared);
    }
    return prepared.all(...parameters) as unknown as SqlRow[];
  }
}
