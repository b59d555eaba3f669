import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inFewStatements, type Write } from '../../src/peer/multi-row.ts';
import { NodeSql } from '../simulation/node-sql.ts';

const insertion = (key: number, value: string): Write => ({
  statement: 'INSERT INTO t (key, value) VALUES (?, ?)',
  parameters: [key, value],
});
const deletion = (key: number): Write => ({ statement: 'DELETE FROM t WHERE key = ?', parameters: [key] });

describe('several rows a statement', () => {
  test.each([
    [1, [1]],
    [2, [2]],
    [7, [4, 2, 1]],
    [19, [8, 8, 2, 1]],
  ])('%d insertions: %j', (count, rows) => {
    const writes = Array.from({ length: count }, (_, key) => insertion(key, 'v'));
    expect(inFewStatements(writes).map(({ parameters }) => parameters.length / 2)).toEqual(rows);
  });

  test('a statement binds at most 100 values, as production has it', () => {
    const wide = {
      statement: `INSERT INTO t (${Array(30).fill('c').join(', ')}) VALUES (${Array(30).fill('?').join(', ')})`,
      parameters: Array(30).fill(0),
    };
    const lengths = inFewStatements(Array(5).fill(wide)).map(({ parameters }) => parameters.length);
    expect(lengths).toEqual([60, 60, 30]);
  });

  test.each([
    'INSERT OR REPLACE INTO t (key, value) VALUES (?, ?)',
    'INSERT INTO t (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING',
    'INSERT INTO t (key, value) SELECT ?, ?',
    'INSERT INTO t (key, value) VALUES (?, 1 + ?)',
    'UPDATE t SET value = ? WHERE key = ?',
  ])('left alone: %s', (statement) => {
    const writes = [1, 2, 3].map((key) => ({ statement, parameters: [key, 'v'] }));
    expect(inFewStatements(writes)).toEqual(writes);
  });

  test('whatever is written in whatever order, the table is the same', () => {
    const write = fc.oneof(
      { weight: 4, arbitrary: fc.constant('insert') },
      { weight: 1, arbitrary: fc.constant('delete') },
    );
    fc.assert(
      fc.property(fc.array(write, { maxLength: 80 }), (kinds) => {
        const writes = kinds.map((kind, i) => (kind === 'insert' ? insertion(i, `v${i}`) : deletion(i - 1)));
        expect(tableAfter(inFewStatements(writes))).toEqual(tableAfter(writes));
      }),
    );
  });
});

function tableAfter(writes: readonly Write[]): unknown {
  const sql = new NodeSql();
  sql.exec('CREATE TABLE t (key INTEGER PRIMARY KEY, value TEXT)');
  for (const { statement, parameters } of writes) sql.exec(statement, ...parameters);
  return sql.exec('SELECT key, value FROM t ORDER BY key');
}
