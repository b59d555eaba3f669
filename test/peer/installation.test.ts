/** What was staged of a snapshot does not stay when nobody will send the rest of it. */
import { describe, expect, test } from 'vitest';
import { createKeyValueStore } from '../../src/kv/key-value-store.ts';
import { stageChunk } from '../../src/peer/installation.ts';
import { PeerStorage } from '../../src/peer/storage.ts';
import type { InstallSnapshot } from '../../src/raft/messages.ts';
import { DEFAULT_LIMITS } from '../../src/raft/types.ts';
import { as, put, Replica } from '../kv/replica.ts';
import { NodeSql } from '../simulation/node-sql.ts';

/** A follower's storage, and the pages of a snapshot up to `lastIncludedIndex` to send to it. */
function setUp(lastIncludedIndex: number) {
  const sql = new NodeSql();
  const machine = createKeyValueStore(sql, {});
  const open = () => {
    const storage = new PeerStorage(sql, machine, DEFAULT_LIMITS);
    storage.restore();
    return storage;
  };
  const storage = new PeerStorage(sql, machine, DEFAULT_LIMITS);
  storage.createTables({ groupId: 'g', id: 2 }, null);
  machine.createTables();
  storage.restore();
  const leader = new Replica();
  for (let i = 0; i < 20; i += 1) leader.do(put(`key ${i}`, 'x'.repeat(100), as('c', i + 1, i)));
  const header = leader.machine.beginSnapshot();
  const { page, next } = leader.machine.snapshotPage(null, 500);
  const message = { cutId: 'cut', lastIncludedIndex, chunk: 0, page: { header, data: page, next } };
  const stage = (change: object = {}) => {
    return stageChunk({ ...message, ...change } as unknown as InstallSnapshot, storage, machine).outcome;
  };
  const stagedTables = () => sql.exec("SELECT count(*) FROM sqlite_master WHERE name = 'kv_staged_versions'")[0]?.[0];
  return { storage, open, stage, stagedTables, page: message.page };
}

describe('a snapshot of which a part was staged', () => {
  test('is dropped once the log has brought all of it', () => {
    const { storage, stage, stagedTables } = setUp(10);
    expect(stage()).toBe('staged');
    storage.setLastApplied(9);
    storage.housekeep();
    expect([stagedTables(), storage.staging()?.chunk]).toEqual([1, 1]);
    storage.setLastApplied(10);
    storage.housekeep();
    expect([stagedTables(), storage.staging()]).toEqual([0, null]);
  });

  test('is dropped by the next instance, too', () => {
    const { storage, open, stage, stagedTables } = setUp(10);
    stage();
    storage.setLastApplied(11);
    storage.flushState();
    const next = open();
    next.housekeep();
    expect([stagedTables(), next.staging()]).toEqual([0, null]);
  });

  test('is dropped when a page of it is damaged', () => {
    const { storage, stage, stagedTables, page } = setUp(10);
    expect(stage()).toBe('staged');
    expect(stage({ chunk: 1, page: { ...page, data: Uint8Array.of(1, 2, 3) } })).toBe('refused');
    expect([stagedTables(), storage.staging()]).toEqual([0, null]);
  });
});
