import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StoredLog } from '../../src/peer/stored-log.ts';
import type { Entry } from '../../src/raft/types.ts';
import { NodeSql } from '../simulation/node-sql.ts';

const TAIL = { tailEntries: 4, tailBytes: 4000 };

const entry = (index: number, bytes = 10, term = 1): Entry => ({
  index,
  term,
  applyVersion: 1,
  elapsedMs: 0,
  payload: { type: 'command', data: new Uint8Array(bytes).fill(index % 256) },
});

function newLog(sql = new NodeSql()): { log: StoredLog; sql: NodeSql } {
  const log = new StoredLog(sql, TAIL);
  log.createTable();
  log.restore(0);
  return { log, sql };
}

function restarted(sql: NodeSql, lastIncludedIndex: number) {
  const log = new StoredLog(sql, TAIL);
  return { log, summaries: log.restore(lastIncludedIndex) };
}

const rowsOf = (sql: NodeSql) => sql.exec('SELECT idx FROM log ORDER BY idx').flat();
const appendAll = (log: StoredLog, from: number, to: number, bytes = 10) => {
  for (let index = from; index <= to; index += 1) log.append(entry(index, bytes));
};

describe('the row of a compacted entry', () => {
  test('becomes the row of a new one, the lowest first', () => {
    const { log, sql } = newLog();
    appendAll(log, 1, 6);
    log.compactTo(3);
    appendAll(log, 7, 8);
    expect(rowsOf(sql)).toEqual([3, 4, 5, 6, 7, 8]);
    appendAll(log, 9, 10);
    expect(rowsOf(sql)).toEqual([4, 5, 6, 7, 8, 9, 10]);
    expect(log.entries(4, 10).map((stored) => stored.entry)).toEqual([4, 5, 6, 7, 8, 9, 10].map((i) => entry(i)));
  });

  test('is no entry after a restart, and is taken then as well', () => {
    const { log, sql } = newLog();
    appendAll(log, 1, 6);
    log.compactTo(3);
    const again = restarted(sql, 3);
    expect(again.summaries.map(({ index }) => index)).toEqual([4, 5, 6]);
    again.log.append(entry(7));
    expect(rowsOf(sql)).toEqual([2, 3, 4, 5, 6, 7]);
    expect(() => again.log.entries(3, 3)).toThrow(/in the log/);
  });

  test('may be one that a snapshot replaced; what lay beyond the snapshot is gone', () => {
    const { log, sql } = newLog();
    appendAll(log, 1, 6);
    log.reset(4);
    expect(rowsOf(sql)).toEqual([1, 2, 3, 4]);
    log.append(entry(5, 10, 2));
    expect(log.entries(5, 5)[0]?.entry.term).toBe(2);
    expect(restarted(sql, 4).summaries).toMatchObject([{ index: 5, term: 2 }]);
    log.reset(100);
    appendAll(log, 101, 103);
    expect(rowsOf(sql)).toEqual([5, 101, 102, 103]);
  });
});

describe('free rows beyond the limits are deleted, the oldest first', () => {
  test('in number', () => {
    const { log, sql } = newLog();
    appendAll(log, 1, 30);
    expect(log.deleteSurplus()).toBe(false);
    log.compactTo(20);
    expect(log.deleteSurplus()).toBe(false);
    expect(rowsOf(sql)).toEqual(Array.from({ length: 18 }, (_, i) => i + 13));
  });

  test('in bytes; one stays, however large', () => {
    const { log, sql } = newLog();
    appendAll(log, 1, 5, 3000);
    log.compactTo(5);
    log.deleteSurplus();
    expect(rowsOf(sql)).toEqual([4, 5]);
    appendAll(log, 6, 8, 10_000);
    log.compactTo(8);
    log.deleteSurplus();
    expect(rowsOf(sql)).toEqual([8]);
  });

  test('a bounded number in each call, and after a restart too', () => {
    const { log, sql } = newLog();
    appendAll(log, 1, 600);
    log.compactTo(600);
    expect(log.deleteSurplus()).toBe(true);
    expect(rowsOf(sql)).toHaveLength(600 - 256);
    const again = restarted(sql, 600);
    expect(again.log.deleteSurplus()).toBe(true);
    // Meanwhile entries go on.
    again.log.append(entry(601));
    expect(again.log.deleteSurplus()).toBe(false);
    expect(rowsOf(sql)).toEqual([594, 595, 596, 597, 598, 599, 600, 601]);
  });
});

test('whatever happens, in whatever order, the log is what it would be without any of this', () => {
  const local = <Type extends string>(type: Type) => fc.record({ type: fc.constant(type) });
  const at = <Type extends string>(type: Type) => fc.record({ type: fc.constant(type), at: fc.nat(20) });
  const append = fc.record({ type: fc.constant('append' as const), bytes: fc.constantFrom(1, 100, 3000) });
  const others = [
    at('compact'),
    at('truncate'),
    at('reset'),
    local('surplus'),
    local('restart'),
    local('crash'),
  ] as const;
  const step = fc.oneof({ weight: 6, arbitrary: append }, ...others);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const sql = new NodeSql();
      let { log } = newLog(sql);
      let model = { start: 0, entries: [] as Entry[] };
      let durable = structuredClone(model);
      let term = 1;
      sql.exec('SAVEPOINT turn');
      for (const each of steps) {
        if (each.type === 'append') {
          const next = entry(model.start + model.entries.length + 1, each.bytes, term);
          model.entries.push(next);
          log.append(next);
        } else if (each.type === 'surplus') {
          log.deleteSurplus();
        } else if (each.type === 'crash') {
          sql.exec('ROLLBACK TO turn');
          model = structuredClone(durable);
          log = restarted(sql, model.start).log;
        } else if (each.type === 'restart') {
          sql.exec('RELEASE turn');
          sql.exec('SAVEPOINT turn');
          durable = structuredClone(model);
          log = restarted(sql, model.start).log;
        } else if (each.type === 'truncate') {
          term += 1;
          const kept = Math.min(each.at, model.entries.length);
          model.entries.length = kept;
          log.truncateFrom(model.start + kept + 1);
        } else if (each.type === 'compact') {
          const gone = Math.min(each.at, model.entries.length);
          model = { start: model.start + gone, entries: model.entries.slice(gone) };
          log.compactTo(model.start);
        } else {
          model = { start: model.start + each.at, entries: [] };
          log.reset(model.start);
        }
        const last = model.start + model.entries.length;
        expect(log.entries(model.start + 1, last).map((stored) => stored.entry)).toEqual(model.entries);
        const { summaries, log: fresh } = restarted(sql, model.start);
        expect(summaries.map(({ index, term: of }) => [index, of])).toEqual(
          model.entries.map((e) => [e.index, e.term]),
        );
        expect(fresh.entries(model.start + 1, last).map((stored) => stored.entry)).toEqual(model.entries);
      }
    }),
    { numRuns: 300 },
  );
});
