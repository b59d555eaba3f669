/**
 * The bill: rows written for each put, on each peer, in the long run: deletions, of the log's rows and of old versions, are in
 * it. A whole peer on node:sqlite, with the rows counted as the platform bills them (`test/edge/rows.test.ts` asks the
 * platform itself).
 */
import { describe, expect, test } from 'vitest';
import type { Command } from '../../src/kv/commands.ts';
import { createKeyValueStore } from '../../src/kv/key-value-store.ts';
import { HISTORY_MIN_AGE_MS } from '../../src/kv/limits.ts';
import type { SqlRow, SqlValue } from '../../src/peer/sql.ts';
import { LonePeer, membersOf, settled } from '../peer/lone-peer.ts';
import { NodeSql } from '../simulation/node-sql.ts';
import { as, put } from './replica.ts';

/** A row that is inserted, updated or deleted is one; each entry of a secondary index that is written is another. */
class BilledSql extends NodeSql {
  rows = 0;

  override exec(statement: string, ...parameters: SqlValue[]): SqlRow[] {
    const before = this.#changes();
    const result = super.exec(statement, ...parameters);
    const changed = this.#changes() - before;
    const writesIndex = /^\s*(INSERT INTO kv_sessions|UPDATE kv_sessions SET last_used_ms)/.test(statement);
    this.rows += writesIndex ? 2 * changed : changed;
    return result;
  }

  #changes(): number {
    return super.exec('SELECT total_changes()')[0]![0] as number;
  }
}

const STEP_MS = 200;
const TAIL_ENTRIES = 64;
/** So many entries until everything that is written is also taken away again. */
const WARM_UP = HISTORY_MIN_AGE_MS / STEP_MS + 4 * TAIL_ENTRIES;
const MEASURED = 400;

class Writer {
  readonly sql = new BilledSql();
  readonly #lone = new LonePeer((sql) => createKeyValueStore(sql, {}), {
    sql: this.sql,
    limits: { tailEntries: TAIL_ENTRIES },
  });
  #seq = 0;

  async found(): Promise<void> {
    await this.#lone.post('found', { members: membersOf(1), nonce: this.#lone.peer.nonce });
    await settled();
  }

  /** So many entries, `each` puts in one. */
  async write(entries: number, each: number, keyOf: (seq: number) => string): Promise<void> {
    for (let i = 0; i < entries; i += 1) {
      this.#lone.nowMs += STEP_MS;
      const requests = Array.from({ length: each }, () => this.#request(keyOf));
      const { replies } = await this.#lone.post('client', { requests });
      for (const reply of replies as unknown[]) expect(reply).toMatchObject({ result: { type: 'written' } });
      await settled();
    }
  }

  #request(keyOf: (seq: number) => string): { type: 'submit'; command: Command } {
    this.#seq += 1;
    const acked = Math.max(0, this.#seq - 100);
    return { type: 'submit', command: put(keyOf(this.#seq), 'x'.repeat(64), as('one', this.#seq, acked)) };
  }

  get applied(): number {
    return this.#lone.peer.raft!.lastApplied;
  }
}

async function rowsEach(each: number, keyOf: (seq: number) => string): Promise<number> {
  const writer = new Writer();
  await writer.found();
  await writer.write(WARM_UP, each, keyOf);
  const before = { rows: writer.sql.rows, applied: writer.applied };
  await writer.write(MEASURED, each, keyOf);
  expect(writer.applied - before.applied).toBe(MEASURED);
  return (writer.sql.rows - before.rows) / (MEASURED * each);
}

const newKey = (seq: number) => `key${seq}`;
const hotKey = (keys: number) => (seq: number) => `hot${seq % keys}`;
/** The index on a session's last use: two rows instead of one, once a minute. */
const INDEX = 0.01;
/** A row of supersessions, and its deletion, for some sixty overwrites. */
const SUPERSESSIONS = 0.035;

describe('rows written for a put', () => {
  test('of a new key, alone: its entry, its version, its session and the peer’s own row', async () => {
    const rows = await rowsEach(1, newKey);
    expect(rows).toBeGreaterThanOrEqual(4);
    expect(rows).toBeLessThanOrEqual(4 + INDEX);
  });

  test('of one of 1,000 hot keys, alone: no more, but for a row of supersessions now and then', async () => {
    const rows = await rowsEach(1, hotKey(1000));
    expect(rows).toBeGreaterThan(4);
    expect(rows).toBeLessThanOrEqual(4 + INDEX + SUPERSESSIONS);
  });

  test('of the one hot key', async () => {
    const rows = await rowsEach(1, hotKey(1));
    expect(rows).toBeGreaterThan(4);
    expect(rows).toBeLessThanOrEqual(4 + INDEX + SUPERSESSIONS);
  });

  test('of 20 in an entry: its version, and a share of the rest', async () => {
    const rows = { new: await rowsEach(20, newKey), hot: await rowsEach(20, hotKey(1000)) };
    expect(rows.new).toBeGreaterThanOrEqual(1 + 3 / 20);
    expect(rows.new).toBeLessThanOrEqual(1 + 3 / 20 + INDEX);
    expect(rows.hot).toBeLessThanOrEqual(1 + 3 / 20 + INDEX + SUPERSESSIONS);
  }, 60_000);

  test('and no table grows by overwriting', async () => {
    const writer = new Writer();
    await writer.found();
    const sizes = () =>
      ['log', 'kv_versions', 'kv_supersessions'].map(
        (table) => writer.sql.exec(`SELECT count(*) FROM ${table}`)[0]![0],
      );
    await writer.write(WARM_UP, 1, hotKey(10));
    const before = sizes();
    await writer.write(10 * TAIL_ENTRIES, 1, hotKey(10));
    const [log, versions, supersessions] = sizes() as [number, number, number];
    expect(log).toBeLessThanOrEqual(2 * TAIL_ENTRIES + 2);
    expect(versions).toBe(before[1]);
    expect(supersessions).toBeLessThanOrEqual((before[2] as number) + 1);
  });
});
