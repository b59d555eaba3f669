import { describe, expect, test } from 'vitest';
import type { Sql, SqlRow } from '../../src/peer/sql.ts';
import { WriteBehind } from '../../src/peer/write-behind.ts';

/** Notes the statements that reach the storage. */
class RecordingSql implements Sql {
  readonly seen: string[] = [];

  exec(statement: string): SqlRow[] {
    this.seen.push(statement);
    return [[this.seen.length]];
  }
}

const WRITES = ['INSERT INTO t VALUES (1)', 'UPDATE t SET a = 2', 'DELETE FROM t'];
const READ = 'SELECT a FROM t';

describe('writes that are put off', () => {
  test('nothing is put off unless it was asked for', () => {
    const storage = new RecordingSql();
    const sql = new WriteBehind(storage);
    for (const statement of WRITES) sql.exec(statement);
    expect(storage.seen).toEqual(WRITES);
    expect(sql.pending).toBe(false);
  });

  test('plain writes wait, and are made in their order', () => {
    const storage = new RecordingSql();
    const sql = new WriteBehind(storage);
    sql.putOff();
    for (const statement of WRITES) expect(sql.exec(statement)).toEqual([]);
    expect(storage.seen).toEqual([]);
    expect(sql.pending).toBe(true);
    sql.writeNow();
    expect(storage.seen).toEqual(WRITES);
    expect(sql.pending).toBe(false);
  });

  test('a read before the first write puts nothing on the way', () => {
    const storage = new RecordingSql();
    const sql = new WriteBehind(storage);
    sql.putOff();
    sql.exec(READ);
    sql.exec(WRITES[0]!);
    expect(storage.seen).toEqual([READ]);
  });

  test('who reads sees what was put off, and then the rest is not put off any more: a turn commits as a whole', () => {
    const storage = new RecordingSql();
    const sql = new WriteBehind(storage);
    sql.putOff();
    sql.exec(WRITES[0]!);
    sql.exec(READ);
    sql.exec(WRITES[1]!);
    expect([sql.puttingOff, sql.pending]).toEqual([false, false]);
    sql.writeNow();
    expect(storage.seen).toEqual([WRITES[0], READ, WRITES[1]]);
  });

  test.for(['UPDATE t SET a = 2 RETURNING a', 'CREATE TABLE u (a)', 'DROP TABLE t'])(
    '%s does not wait',
    (statement) => {
      const storage = new RecordingSql();
      const sql = new WriteBehind(storage);
      sql.putOff();
      sql.exec(statement);
      expect(storage.seen).toEqual([statement]);
    },
  );

  test('in the next turn nothing more joins what waits, and its first statement comes after that', () => {
    const storage = new RecordingSql();
    const sql = new WriteBehind(storage);
    sql.putOff();
    sql.exec(WRITES[0]!);
    sql.beginTurn();
    expect(storage.seen).toEqual([]);
    sql.exec(WRITES[1]!);
    expect(storage.seen).toEqual([WRITES[0], WRITES[1]]);
  });

  test('a turn that neither reads nor writes them may end with what was gathered only by a mistake', () => {
    const sql = new WriteBehind(new RecordingSql());
    sql.gather();
    sql.exec(WRITES[0]!);
    expect(() => sql.beginTurn()).toThrow('what was gathered in a turn was written in it');
  });

  test('what was put off before is written before anything is gathered', () => {
    const storage = new RecordingSql();
    const sql = new WriteBehind(storage);
    sql.putOff();
    sql.exec(WRITES[0]!);
    sql.beginTurn();
    sql.gather();
    expect(storage.seen).toEqual([WRITES[0]]);
    sql.exec(WRITES[1]!);
    expect([sql.puttingOff, sql.pending]).toEqual([false, false]);
    sql.writeNow();
    expect(storage.seen).toEqual([WRITES[0], WRITES[1]]);
  });

  test('insertions into one table are made several at a time', () => {
    const storage = new RecordingSql();
    const sql = new WriteBehind(storage);
    sql.gather();
    for (let i = 0; i < 3; i += 1) sql.exec('INSERT INTO t (a) VALUES (?)', i);
    sql.writeNow();
    expect(storage.seen).toEqual(['INSERT INTO t (a) VALUES (?), (?)', 'INSERT INTO t (a) VALUES (?)']);
  });

  test('what waits is bounded', () => {
    const storage = new RecordingSql();
    const sql = new WriteBehind(storage);
    sql.putOff();
    for (let i = 0; i < 5000; i += 1) sql.exec(WRITES[0]!);
    expect(storage.seen.length).toBeGreaterThan(4000);
    expect(sql.pending).toBe(false);
    sql.writeNow();
    expect(storage.seen).toHaveLength(5000);
  });
});
