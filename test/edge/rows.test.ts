/**
 * The bill on the real runtime: rows written for each put and peer, as the platform counts them. The history is kept short and
 * the values are large, so that within a few dozen puts everything that is written is also taken away, or taken over, again.
 * What it costs in the long run with small values, `test/kv/rows.test.ts` counts.
 */
import { expect, test } from 'vitest';
import { type EdgeRuntime, runtimeForTests } from './edge-runtime.ts';

const PUTS = 200;
const LARGE_BYTES = 32 * 1024;
const PUTS_AT_ONCE = 2000;
const SMALL_BYTES = 1024;
/** What is expected is 4 and a little. */
const MUST_ALONE = 5;

const shared = runtimeForTests({ variables: { HISTORY_LIMIT_BYTES: '1000000' } });

interface Written {
  readonly rows: number;
  readonly entries: number;
}

/** Rows written by each peer, once all have applied everything. */
async function written(edge: EdgeRuntime): Promise<Map<string, Written>> {
  const { peers } = await edge.whole();
  const { text } = await edge.request('GET', '/metrics');
  const metric = (name: string, peer: string): number =>
    Number(new RegExp(`${name}\\{.*peer="${peer}"\\} (\\d+)`).exec(text)?.[1]);
  return new Map(
    peers.map(({ id, lastApplied }) => [id, { rows: metric('rows_written_total', id), entries: lastApplied }]),
  );
}

interface Cost {
  /** Of the peer that wrote most. */
  readonly rowsEach: number;
  readonly putsPerEntry: number;
}

async function cost(edge: EdgeRuntime, puts: number, run: () => Promise<void>): Promise<Cost> {
  const before = await written(edge);
  await run();
  const after = await written(edge);
  const grown = [...after].map(([peer, { rows, entries }]) => ({
    rows: rows - before.get(peer)!.rows,
    entries: entries - before.get(peer)!.entries,
  }));
  const rows = Math.max(...grown.map((each) => each.rows));
  return { rowsEach: rows / puts, putsPerEntry: puts / grown[0]!.entries };
}

async function put(edge: EdgeRuntime, key: string, bytes: number): Promise<void> {
  const { status } = await edge.request('PUT', `/kv/${key}`, { body: 'x'.repeat(bytes) });
  expect([200, 201, 204]).toContain(status);
}

async function oneAtATime(edge: EdgeRuntime, keyOf: (n: number) => string): Promise<void> {
  for (let n = 0; n < PUTS; n += 1) await put(edge, keyOf(n), LARGE_BYTES);
}

async function atOnce(edge: EdgeRuntime, connections: number, keyOf: (n: number) => string): Promise<void> {
  let n = 0;
  const connection = async (): Promise<void> => {
    while (n < PUTS_AT_ONCE) await put(edge, keyOf(n++), SMALL_BYTES);
  };
  await Promise.all(Array.from({ length: connections }, connection));
}

const hotKey = (n: number) => `hot${n % 20}`;

test('one put at a time', async () => {
  const { edge } = shared;
  await oneAtATime(edge, hotKey);
  const hot = await cost(edge, PUTS, () => oneAtATime(edge, hotKey));
  const fresh = await cost(edge, PUTS, () => oneAtATime(edge, (n) => `new${n}`));
  console.log(`rows a put and peer, alone: new keys ${fresh.rowsEach}, hot keys ${hot.rowsEach}`);
  for (const { rowsEach } of [hot, fresh]) {
    // Less than its entry, its version, its session and the peer's own row would be a counter that counts nothing.
    expect(rowsEach).toBeGreaterThanOrEqual(4);
    expect(rowsEach).toBeLessThanOrEqual(MUST_ALONE);
  }
}, 120_000);

test('many puts at a time share all but their versions', async () => {
  const { edge } = shared;
  const { rowsEach, putsPerEntry } = await cost(edge, PUTS_AT_ONCE, () => atOnce(edge, 64, hotKey));
  console.log(`rows a put and peer, 64 at once: ${rowsEach}, ${putsPerEntry} puts an entry`);
  expect(rowsEach).toBeGreaterThan(1);
  expect(rowsEach).toBeLessThanOrEqual(1.2 + 4 / putsPerEntry);
}, 120_000);
