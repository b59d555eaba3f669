/** The storage limit counts bytes; the platform's limit is on what SQLite makes of them. They must not be far apart. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { HISTORY_LIMIT_BYTES, MAX_STORAGE_LIMIT_BYTES } from '../../src/kv/limits.ts';
import { DEFAULT_LIMITS } from '../../src/raft/types.ts';
import { as, put, Replica } from './replica.ts';

const OBJECT_BYTES = 10_000_000_000;
const MAX_RATIO = 1.1;
const BATCH = 50;

function diskBytes({ sql }: Replica): number {
  const pragma = (name: string) => sql.node.exec(`PRAGMA ${name}`)[0]![0] as number;
  return (pragma('page_count') - pragma('freelist_count')) * pragma('page_size');
}

/** Keys in no order, as they come: the tree's pages are then the least full. */
function keyOf(number: number, bytes: number): string {
  return createHash('sha256').update(String(number)).digest('hex').repeat(16).slice(0, bytes);
}

test.each([
  [16, 10],
  [16, 100],
  [16, 500],
  [16, 900],
  [16, 950],
  [16, 1000],
  [16, 1100],
  [16, 1500],
  [16, 2000],
  [16, 3000],
  [16, 4000],
  [16, 4600],
  [16, 5100],
  [16, 9000],
  [16, 100_000],
  [16, 1_000_000],
  [1000, 1],
  [1000, 1000],
  [500, 4000],
])('keys of %i B with values of %i B take little more on disk than they count', (keyBytes, valueBytes) => {
  const replica = new Replica();
  const before = diskBytes(replica);
  const count = valueBytes > 50_000 ? 20 : 1000;
  let seq = 0;
  for (let i = 0; i < count; i += BATCH) {
    const commands = Array.from({ length: Math.min(BATCH, count - i) }, (_, j) => {
      seq += 1;
      return put(keyOf(i + j, keyBytes), 'x'.repeat(valueBytes), as('c', seq, seq - 1));
    });
    replica.apply(commands, 10);
  }
  const ratio = (diskBytes(replica) - before) / replica.gauge('live_bytes');
  expect(ratio).toBeLessThan(MAX_RATIO);
});

test('the largest storage limit leaves room for a second copy, which is staged while a snapshot is installed', () => {
  const logBytes = 2 * DEFAULT_LIMITS.retainedBytes;
  const counted = 2 * MAX_STORAGE_LIMIT_BYTES + HISTORY_LIMIT_BYTES + logBytes;
  expect(MAX_RATIO * counted).toBeLessThan(OBJECT_BYTES);
});
