/**
 * `npx node test/kv/measure.ts`: what the state machine alone costs on node:sqlite in memory. Prints one line a case: time of the
 * processor for each command (of this process: a busy machine changes it less than the clock), and statements and rows changed
 * for each command. No test depends on it.
 */
import type { Command } from '../../src/kv/commands.ts';
import { as, put, Replica } from './replica.ts';

const BATCH = 64;

function rowsChanged(store: Replica): number {
  return store.sql.node.exec('SELECT total_changes()')[0]![0] as number;
}

function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function measure(
  name: string,
  store: Replica,
  entries: readonly Command[][],
  elapsedMs: number,
  afterEach = () => {},
): void {
  const encoded = entries.map((commands) => store.machine.encodeEntry(commands));
  const before = { rows: rowsChanged(store), statements: store.sql.statementCount };
  const begunMs = processorMs();
  for (const data of encoded) {
    store.applyData(data, elapsedMs);
    afterEach();
  }
  const spentMs = processorMs() - begunMs;
  const commands = entries.flat().length;
  console.log(
    [
      name.padEnd(44),
      `${((spentMs / commands) * 1000).toFixed(1)} µs/command`.padStart(18),
      `${(spentMs / entries.length).toFixed(2)} ms/entry`.padStart(16),
      `${((store.sql.statementCount - before.statements) / commands).toFixed(2)} statements`.padStart(18),
      `${((rowsChanged(store) - before.rows) / commands).toFixed(2)} rows changed`.padStart(20),
    ].join(''),
  );
}

function batches(count: number, make: (n: number) => Command): Command[][] {
  return Array.from({ length: count }, (_, i) => Array.from({ length: BATCH }, (_, j) => make(i * BATCH + j)));
}

const value = 'x'.repeat(100);
const one = new Replica();
measure(
  'new keys, one session',
  one,
  batches(300, (n) => put(`k${n}`, value, as('one', n + 1, n))),
  20,
);

const hot = new Replica();
const overwrite = (first: number) => (n: number) => put(`hot${n % 1000}`, value, as('one', first + n + 1, first + n));
const housekeep = () => {
  hot.machine.housekeep();
};
measure('1,000 hot keys, one session', hot, batches(300, overwrite(0)), 20, housekeep);
measure('1,000 hot keys, compaction keeping up', hot, batches(300, overwrite(300 * BATCH)), 2000, housekeep);
measure('and in the long run', hot, batches(300, overwrite(600 * BATCH)), 2000, housekeep);
const single = Array.from({ length: 3000 }, (_, n) => [overwrite(900 * BATCH)(n)]);
measure('one at a time, in the long run', hot, single, 50, housekeep);

const clerks = new Replica();
measure(
  'new keys, each its own new session',
  clerks,
  batches(1024, (n) => put(`k${n}`, value, as(`clerk${n}`, 1))),
  1,
);
measure(
  'new keys, each its own known session',
  clerks,
  batches(300, (n) => put(`j${n}`, value, as(`clerk${n}`, 2, 1))),
  0,
);

const full = new Replica();
measure(
  'one session with a full window',
  full,
  batches(100, (n) => put(`k${n}`, value, as('one', n + 1, Math.max(0, n - 250)))),
  20,
);

const begun = performance.now();
clerks.machine.beginSnapshot();
console.log(
  `beginning a cut with ${clerks.gauge('clerk_sessions')} sessions: ${(performance.now() - begun).toFixed(2)} ms`,
);
measure(
  'the same while a cut is open',
  clerks,
  batches(300, (n) => put(`i${n}`, value, as(`clerk${n}`, 3, 2))),
  0,
);
const paging = performance.now();
let pages = 0;
let slowestMs = 0;
let pageBytes = 0;
let after: Uint8Array | null = null;
do {
  const begin = performance.now();
  const { page, next } = clerks.machine.snapshotPage(after, 1_048_576);
  slowestMs = Math.max(slowestMs, performance.now() - begin);
  pages += 1;
  pageBytes += page.byteLength;
  after = next;
} while (after !== null);
console.log(
  `its ${pages} pages, ${(pageBytes / 1e6).toFixed(1)} MB: ${(performance.now() - paging).toFixed(0)} ms, the slowest ${slowestMs.toFixed(1)} ms`,
);
const listing = performance.now();
for (let i = 0; i < 100; i++) one.page({ limit: 1000 });
console.log(`a page of 1,000 items of 100 bytes: ${((performance.now() - listing) / 100).toFixed(2)} ms`);
