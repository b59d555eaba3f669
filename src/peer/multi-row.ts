/** Several rows a statement: in the runtime a statement costs more than the row that it inserts. */
import type { SqlValue } from './sql.ts';

export interface Write {
  readonly statement: string;
  readonly parameters: readonly SqlValue[];
}

/** https://developers.cloudflare.com/durable-objects/platform/limits/: bound parameters per query. */
const MAX_PARAMETERS = 100;
/** One of these numbers, so that statements are few and stay prepared. */
const ROWS_A_STATEMENT = [8, 4, 2];
const INSERTION = /^(INSERT INTO \w+ \([\w, ]+\) VALUES )(\([?, ]+\))$/;

/** The same writes in the same order; of insertions with the same text that follow each other, several are one statement. */
export function inFewStatements(writes: readonly Write[]): Write[] {
  const statements: Write[] = [];
  for (let at = 0; at < writes.length; ) {
    const rows = rowsFrom(writes, at);
    statements.push(rows === 1 ? writes[at]! : joined(writes.slice(at, at + rows)));
    at += rows;
  }
  return statements;
}

function rowsFrom(writes: readonly Write[], at: number): number {
  const { statement, parameters } = writes[at]!;
  if (writes[at + 1]?.statement !== statement || !INSERTION.test(statement)) return 1;
  const mostRows = Math.min(ROWS_A_STATEMENT[0]!, Math.floor(MAX_PARAMETERS / parameters.length));
  let alike = 2;
  while (alike < mostRows && writes[at + alike]?.statement === statement) alike += 1;
  return ROWS_A_STATEMENT.find((rows) => rows <= Math.min(alike, mostRows)) ?? 1;
}

function joined(rows: readonly Write[]): Write {
  const { statement } = rows[0]!;
  return { statement: ofRows(statement, rows.length), parameters: rows.flatMap(({ parameters }) => parameters) };
}

const known = new Map<string, string>();

function ofRows(statement: string, rows: number): string {
  const name = `${rows} ${statement}`;
  const text =
    known.get(name) ?? statement.replace(INSERTION, (_, head, row) => head + Array(rows).fill(row).join(', '));
  known.set(name, text);
  return text;
}
