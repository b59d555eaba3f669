/**
 * What the narrow `Sql` promises, as checks that run anywhere: on node:sqlite under the simulator, and inside a Durable Object.
 * What is not here is not promised, and the engines do differ in it. Each check gets a storage of its own.
 */
import type { Sql, SqlRow, SqlValue } from '../../src/peer/sql.ts';

export type Check = (sql: Sql) => void;

// ---- assertions without a library, since they run in a Worker too

function shown(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => {
    if (inner instanceof Uint8Array) return `bytes ${[...inner].join(' ')}`;
    if (inner === undefined) return 'undefined';
    return typeof inner === 'bigint' ? `bigint ${inner}` : inner;
  });
}

function same(actual: unknown, expected: unknown, what = ''): void {
  if (shown(actual) !== shown(expected)) throw new Error(`${what}: ${shown(actual)} is not ${shown(expected)}`);
}

function throws(run: () => unknown, what: string): void {
  try {
    run();
  } catch {
    return;
  }
  throw new Error(`${what}: nothing was thrown`);
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

function one(sql: Sql, statement: string, ...parameters: SqlValue[]): SqlValue | undefined {
  const rows = sql.exec(statement, ...parameters);
  same(rows.length, 1, `rows of ${statement}`);
  return rows[0]?.[0];
}

// ---- the checks

const MAX_SAFE = Number.MAX_SAFE_INTEGER;

export const checks: Readonly<Record<string, Check>> = {
  'what gives no rows gives an empty array': (sql) => {
    same(sql.exec('CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)'), []);
    same(sql.exec('INSERT INTO t VALUES (?, ?)', 1, 'a'), []);
    same(sql.exec('UPDATE t SET v = ? WHERE k = ?', 'b', 1), []);
    same(sql.exec('SELECT k FROM t WHERE k = ?', 2), []);
    same(sql.exec('DELETE FROM t'), []);
    same(sql.exec('DROP TABLE t'), []);
  },

  'each ? takes a number, a string, bytes or null, and gives them back': (sql) => {
    const values: SqlValue[] = [0, 1, -1, 0.5, -1e300, '', 'text', bytes(), bytes(0, 255), null];
    const marks = values.map(() => '?').join(', ');
    same(sql.exec(`SELECT ${marks}`, ...values), [values]);
    sql.exec('CREATE TABLE t (k INTEGER PRIMARY KEY, v)');
    for (const [k, v] of values.entries()) sql.exec('INSERT INTO t VALUES (?, ?)', k, v);
    same(
      sql.exec('SELECT v FROM t ORDER BY k').map(([v]) => v),
      values,
    );
  },

  'rows are arrays in the order of the columns, also when names repeat': (sql) => {
    const rows = sql.exec('SELECT 1 AS a, 2 AS b, 3 AS a UNION ALL SELECT 4, 5, 6');
    same(rows, [
      [1, 2, 3],
      [4, 5, 6],
    ]);
    same(rows.every(Array.isArray), true);
    rows[0]?.push(7);
    same(sql.exec('SELECT 1 AS a, 2 AS b, 3 AS a UNION ALL SELECT 4, 5, 6')[0], [1, 2, 3], 'rows belong to the caller');
  },

  'blobs come as Uint8Array, and not as a subclass of it': (sql) => {
    sql.exec('CREATE TABLE t (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID');
    sql.exec('INSERT INTO t VALUES (?, ?)', bytes(1), bytes());
    for (const value of sql.exec('SELECT k, v FROM t')[0] ?? []) {
      same(value instanceof Uint8Array, true);
      same(Object.getPrototypeOf(value) === Uint8Array.prototype, true, 'prototype');
    }
    same(sql.exec('SELECT k, v FROM t'), [[bytes(1), bytes()]]);
  },

  'of a view, only its bytes are bound; and what came out is a copy': (sql) => {
    const buffer = bytes(0, 1, 2, 3, 4, 5);
    same(one(sql, 'SELECT ?', buffer.subarray(2, 4)), bytes(2, 3));
    sql.exec('CREATE TABLE t (v BLOB)');
    sql.exec('INSERT INTO t VALUES (?)', buffer.subarray(1, 3));
    buffer.fill(9);
    const read = one(sql, 'SELECT v FROM t') as Uint8Array;
    same(read, bytes(1, 2));
    read.fill(8);
    same(one(sql, 'SELECT v FROM t'), bytes(1, 2));
  },

  'keys of bytes are ordered by their bytes': (sql) => {
    const keys = [
      bytes(),
      bytes(0),
      bytes(0, 0),
      bytes(0, 255),
      bytes(1),
      bytes(0x61),
      bytes(0x61, 0),
      bytes(0x61, 0x62),
      bytes(0x7f),
      bytes(0x80),
      bytes(0xef, 0xbd, 0x9e),
      bytes(0xf0, 0x9f, 0x98, 0x80),
      bytes(255),
      bytes(255, 255),
    ];
    sql.exec('CREATE TABLE t (k BLOB PRIMARY KEY) WITHOUT ROWID');
    for (const key of keys.toReversed()) sql.exec('INSERT INTO t VALUES (?)', key);
    const read = (rows: SqlRow[]) => rows.map(([key]) => key);
    same(read(sql.exec('SELECT k FROM t ORDER BY k')), keys);
    same(read(sql.exec('SELECT k FROM t WHERE k > ? ORDER BY k LIMIT 3', bytes(0x61))), keys.slice(6, 9));
    same(
      read(sql.exec('SELECT k FROM t WHERE k >= ? AND k < ? ORDER BY k', bytes(0x61), bytes(0x62))),
      keys.slice(5, 8),
    );
    same(one(sql, 'SELECT count(*) FROM t WHERE k = ?', bytes(0x61)), 1);
    same(one(sql, 'SELECT count(*) FROM t WHERE k = ?', 'a'), 0, 'text is never equal to bytes');
  },

  'null comes before numbers, numbers before text, text before bytes': (sql) => {
    sql.exec('CREATE TABLE t (v)');
    for (const value of [bytes(), 'a', 2, null, '', bytes(0), -1.5]) sql.exec('INSERT INTO t VALUES (?)', value);
    same(
      sql.exec('SELECT v FROM t ORDER BY v').map(([v]) => v),
      [null, -1.5, 2, '', 'a', bytes(), bytes(0)],
    );
  },

  'safe integers are exact, and numbers': (sql) => {
    const values = [0, 1, -1, 2 ** 31, 2 ** 32 + 1, MAX_SAFE, -MAX_SAFE, MAX_SAFE - 1];
    sql.exec('CREATE TABLE t (k INTEGER PRIMARY KEY, v INTEGER NOT NULL)');
    for (const value of values) sql.exec('INSERT INTO t VALUES (?, ?)', value, value);
    for (const value of values) {
      same(sql.exec('SELECT k, v, typeof(k), typeof(v) FROM t WHERE k = ?', value), [
        [value, value, 'integer', 'integer'],
      ]);
      same(one(sql, 'SELECT count(*) FROM t WHERE v = ?', value), 1);
    }
    same(one(sql, 'SELECT max(k) FROM t'), MAX_SAFE);
    same(typeof one(sql, 'SELECT count(*) FROM t'), 'number');
    same(one(sql, 'SELECT v + 1 FROM t WHERE k = ?', MAX_SAFE - 1), MAX_SAFE);
  },

  'whole numbers are stored as integers in INTEGER columns, though they are bound as REAL': (sql) => {
    same(one(sql, 'SELECT typeof(?)', 5), 'real');
    sql.exec('CREATE TABLE t (i INTEGER, r REAL, n)');
    sql.exec('INSERT INTO t VALUES (?, ?, ?)', 5, 5, 5);
    same(sql.exec('SELECT typeof(i), typeof(r), typeof(n), i, r, n FROM t'), [['integer', 'real', 'real', 5, 5, 5]]);
    sql.exec('INSERT INTO t VALUES (?, ?, ?)', 0.5, 0.5, 0.5);
    same(one(sql, 'SELECT typeof(i) FROM t WHERE n = ?', 0.5), 'real');
    same(one(sql, 'SELECT typeof(i) FROM t WHERE i = ?', 5), 'integer');
    same(sql.exec('SELECT i FROM t ORDER BY i LIMIT ? OFFSET ?', 1, 1), [[5]]);
    sql.exec('UPDATE t SET i = i + ? WHERE i = ?', 2, 5);
    same(sql.exec('SELECT i, typeof(i) FROM t WHERE i = ?', 7), [[7, 'integer']]);
  },

  'text is what was bound: NUL, astral characters, quotes, no normalization': (sql) => {
    const texts = ['\0', 'a\0b', '\0\0', '😀', 'e\u0301', 'é', "it's", '"', '\uFEFF', '\u{10FFFF}', '%_', '?', ' x '];
    sql.exec('CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT NOT NULL) WITHOUT ROWID');
    for (const text of texts) sql.exec('INSERT INTO t VALUES (?, ?)', text, text);
    for (const text of texts) same(sql.exec('SELECT k, v FROM t WHERE k = ?', text), [[text, text]]);
    same(one(sql, 'SELECT count(*) FROM t'), texts.length);
  },

  'json_each takes the place of many parameters': (sql) => {
    sql.exec('CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)');
    const ids = Array.from({ length: 5000 }, (_, i) => i * 3);
    sql.exec("INSERT INTO t SELECT value, 'v' || value FROM json_each(?)", JSON.stringify(ids));
    same(one(sql, 'SELECT count(*) FROM t'), ids.length);
    const wanted = JSON.stringify([3, 4, 6]);
    same(sql.exec('SELECT k, v FROM t WHERE k IN (SELECT value FROM json_each(?)) ORDER BY k', wanted), [
      [3, 'v3'],
      [6, 'v6'],
    ]);
    same(sql.exec('SELECT key, value, type FROM json_each(?)', '["a",null,1.5]'), [
      [0, 'a', 'text'],
      [1, null, 'null'],
      [2, 1.5, 'real'],
    ]);
    same(sql.exec('SELECT value FROM json_each(?)', '[]'), []);
  },

  'a hundred parameters, ten thousand rows, a megabyte': (sql) => {
    const values = Array.from({ length: 100 }, (_, i) => i);
    same(sql.exec(`SELECT ${values.map(() => '?').join(', ')}`, ...values), [values]);
    sql.exec('CREATE TABLE t (k INTEGER PRIMARY KEY, v BLOB)');
    const million = new Uint8Array(1_048_576).map((_, i) => i % 251);
    sql.exec('INSERT INTO t VALUES (?, ?)', 0, million);
    const read = one(sql, 'SELECT v FROM t WHERE k = ?', 0) as Uint8Array;
    same(read.byteLength, million.byteLength);
    same(
      read.every((byte, i) => byte === million[i]),
      true,
    );
    for (let k = 1; k <= 10_000; k += 1) sql.exec('INSERT INTO t VALUES (?, NULL)', k);
    same(sql.exec('SELECT k FROM t WHERE k > ? ORDER BY k', 0).length, 10_000);
  },

  'all rows are there at once: later writes change nothing of them': (sql) => {
    sql.exec('CREATE TABLE t (k INTEGER PRIMARY KEY)');
    for (let k = 0; k < 10; k += 1) sql.exec('INSERT INTO t VALUES (?)', k);
    const rows = sql.exec('SELECT k FROM t ORDER BY k');
    for (const [k] of rows) {
      sql.exec('DELETE FROM t WHERE k = ?', k as number);
      sql.exec('INSERT INTO t VALUES (?)', (k as number) + 100);
    }
    same(rows.length, 10);
    same(one(sql, 'SELECT min(k) FROM t'), 100);
  },

  'a write is done when exec returns, RETURNING or not': (sql) => {
    sql.exec('CREATE TABLE t (k INTEGER PRIMARY KEY, v INTEGER)');
    const upsert = 'INSERT INTO t VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = v + excluded.v RETURNING k, v';
    same(sql.exec(upsert, 1, 10), [[1, 10]]);
    sql.exec(upsert, 1, 5);
    same(one(sql, 'SELECT v FROM t'), 15);
    sql.exec('INSERT OR REPLACE INTO t VALUES (?, ?)', 1, 3);
    same(sql.exec('DELETE FROM t RETURNING v'), [[3]]);
    same(one(sql, 'SELECT count(*) FROM t'), 0);
  },

  'one statement, with a comment and a semicolon at its end if it likes': (sql) => {
    same(sql.exec('SELECT 1;'), [[1]]);
    same(sql.exec('SELECT 2 -- two'), [[2]]);
    same(sql.exec('WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i FROM n'), [
      [1],
      [2],
      [3],
    ]);
  },

  'DROP and RENAME in one turn: statements used before see the new table': (sql) => {
    const read = 'SELECT k, v FROM t ORDER BY k';
    sql.exec('CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT)');
    sql.exec('CREATE INDEX t_v ON t (v)');
    sql.exec('INSERT INTO t VALUES (?, ?)', 1, 'old');
    same(sql.exec(read), [[1, 'old']]);
    sql.exec('CREATE TABLE staged (k INTEGER PRIMARY KEY, v TEXT)');
    sql.exec('CREATE INDEX staged_v ON staged (v)');
    for (let k = 1; k <= 3; k += 1) sql.exec('INSERT INTO staged VALUES (?, ?)', k, 'new');
    sql.exec('DROP TABLE t');
    throws(() => sql.exec(read), 'a table that was dropped');
    sql.exec('ALTER TABLE staged RENAME TO t');
    same(sql.exec(read), [
      [1, 'new'],
      [2, 'new'],
      [3, 'new'],
    ]);
    same(sql.exec("SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('t', 'staged')"), [['t']]);
    same(sql.exec('SELECT k FROM t WHERE v = ? ORDER BY k', 'new').length, 3);
    sql.exec('ALTER TABLE t ADD COLUMN w INTEGER NOT NULL DEFAULT 7');
    same(one(sql, 'SELECT w FROM t WHERE k = ?', 1), 7);
  },

  'errors throw, and change nothing': (sql) => {
    sql.exec('CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT NOT NULL UNIQUE, n INTEGER CHECK (n > 0))');
    sql.exec('INSERT INTO t VALUES (?, ?, ?)', 1, 'a', 1);
    const errors: [string, string, ...SqlValue[]][] = [
      ['syntax', 'SELEKT 1'],
      ['no table', 'SELECT * FROM nothing'],
      ['no column', 'SELECT nothing FROM t'],
      ['a table that exists', 'CREATE TABLE t (k)'],
      ['the same primary key', 'INSERT INTO t VALUES (?, ?, ?)', 1, 'b', 1],
      ['the same unique value', 'INSERT INTO t VALUES (?, ?, ?)', 2, 'a', 1],
      ['NOT NULL', 'INSERT INTO t VALUES (?, ?, ?)', 2, null, 1],
      ['CHECK', 'INSERT INTO t VALUES (?, ?, ?)', 2, 'b', 0],
      ['a primary key that is text', 'INSERT INTO t VALUES (?, ?, ?)', 'x', 'b', 1],
      ['too many values', 'INSERT INTO t VALUES (?, ?)', 2, 'b'],
      ['one more parameter than marks', 'SELECT ?', 1, 2],
      ['broken JSON', 'SELECT value FROM json_each(?)', '[1,'],
      ['one of many rows', "INSERT INTO t SELECT value, 'v' || value, 2 - value FROM json_each(?)", '[0,1,2]'],
    ];
    for (const [what, statement, ...parameters] of errors) throws(() => sql.exec(statement, ...parameters), what);
    same(sql.exec('SELECT k, v, n FROM t'), [[1, 'a', 1]]);
    sql.exec('INSERT INTO t VALUES (?, ?, ?)', 2, 'b', 1);
    same(one(sql, 'SELECT count(*) FROM t'), 2, 'it goes on after an error');
  },

  'the same statement again, with other values of other types': (sql) => {
    const statement = 'SELECT ?, typeof(?)';
    for (const [value, type] of [
      [1, 'real'],
      ['1', 'text'],
      [bytes(49), 'blob'],
      [null, 'null'],
    ] as const) {
      same(sql.exec(statement, value, value), [[value, type]]);
    }
  },
};
