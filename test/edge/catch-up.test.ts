/**
 * A peer is cut off while thousands of writes go by. The others keep their logs short all the while, so it comes back by a
 * snapshot; and then it is, byte for byte, what the others are.
 */
import { describe, expect, test } from 'vitest';
import { type Item, listAll } from './contract.ts';
import { type EdgeRuntime, eventually, type PeerJson, runtimeForTests } from './edge-runtime.ts';
import { eachOf } from './stubborn-clerk.ts';

const MAX_LOG_BYTES = 4 * 1024 * 1024;
const CONCURRENCY = 64;
const HOT_KEYS = 20;
const PROGRESS_EVERY = 5000;
/** Writes after which the logs are looked at. */
const LOOK_EVERY = 100;

interface Load {
  readonly writes: number;
  /** Added to each value. */
  readonly paddingBytes: number;
}

/** What write number `n` does: half of them to new keys, half to hot ones; some are appends, some deletes, a few large. */
function writeOf(n: number, { paddingBytes }: Load): { method: string; path: string; body?: string } {
  const hot = `/kv/hot-${n % HOT_KEYS}`;
  const body = `value ${n} ${'.'.repeat(n % 500 === 0 ? 20_000 : paddingBytes + (n % 90))}`;
  if (n % 2 === 0) return { method: 'PUT', path: `/kv/new-${n}`, body };
  if (n % 25 === 1) return { method: 'DELETE', path: hot };
  return n % 5 === 1 ? { method: 'PATCH', path: hot, body: `${n},` } : { method: 'PUT', path: hot, body };
}

async function writeMany(edge: EdgeRuntime, load: Load, logs: LogSizes): Promise<void> {
  const { writes: count } = load;
  let done = 0;
  const startMs = performance.now();
  await eachOf(
    Array.from({ length: count }, (_, n) => n),
    CONCURRENCY,
    async (n) => {
      const { method, path, body } = writeOf(n, load);
      await eventually(`write ${n}`, async () => {
        const reply = await edge.request(method, path, body === undefined ? {} : { body });
        if (reply.status < 300) return true;
        expect(['429 overloaded', '503 no_leader', '504 outcome_unknown']).toContain(reply.outcome);
        return null;
      });
      done += 1;
      if (done % LOOK_EVERY === 0) await logs.look();
      if (done % PROGRESS_EVERY === 0) {
        const rate = Math.round((done / (performance.now() - startMs)) * 1000);
        console.log(`${done} of ${count} writes, ${rate} a second, logs of at most ${logs.bytes} bytes`);
      }
    },
  );
}

/** The largest log that was seen of some peers. */
class LogSizes {
  readonly #edge: EdgeRuntime;
  readonly #ids: readonly string[];
  bytes = 0;
  looks = 0;

  constructor(edge: EdgeRuntime, ids: readonly string[]) {
    this.#edge = edge;
    this.#ids = ids;
  }

  async look(): Promise<void> {
    const { peers } = await eventually('/cluster answers', () => this.#edge.cluster());
    for (const { id, logBytes } of peers) {
      if (this.#ids.includes(id)) this.bytes = Math.max(this.bytes, logBytes ?? 0);
    }
    this.looks += 1;
  }
}

const peerOf = (peers: readonly PeerJson[], id: string): PeerJson => {
  const found = peers.find((peer) => peer.id === id);
  if (found === undefined) throw new Error(`no peer ${id}`);
  return found;
};

/** Everything that one peer has. */
function contentOf(edge: EdgeRuntime, id: string): Promise<Item[]> {
  return listAll(edge, `peer=${id}&consistency=stale&encoding=base64&limit=1000`);
}

async function catchUp(edge: EdgeRuntime, load: Load, away: (followers: string[]) => string[]): Promise<void> {
  await edge.request('PUT', '/kv/before', { body: 'all have this' });
  const { leader, peers } = await edge.whole();
  const isolated = away(peers.map(({ id }) => id).filter((id) => id !== leader));
  const others = peers.map(({ id }) => id).filter((id) => !isolated.includes(id));
  const leftAt = peerOf(peers, isolated[0] ?? '').lastIndex;
  await Promise.all(isolated.map((id) => edge.fault(id, { action: 'isolate' })));

  const logs = new LogSizes(edge, others);
  await writeMany(edge, load, logs);
  expect(logs.looks).toBeGreaterThanOrEqual(load.writes / LOOK_EVERY);
  expect(logs.bytes).toBeLessThan(MAX_LOG_BYTES);
  const before = await edge.cluster();
  for (const id of isolated) expect(peerOf(before.peers, id).lastIndex).toBe(leftAt);
  // Nothing but a snapshot can help them: what they need is no longer in any log.
  for (const id of others) expect(peerOf(before.peers, id).firstIndex).toBeGreaterThan(leftAt + 1);

  const healedMs = performance.now();
  await Promise.all(isolated.map((id) => edge.fault(id, { action: 'heal' })));
  const after = await edge.whole(120_000);
  console.log(`caught up within ${Math.round(performance.now() - healedMs)} ms`);
  for (const id of isolated) {
    const { snapshotIndex, firstIndex, logBytes } = peerOf(after.peers, id);
    expect(snapshotIndex).toBeGreaterThan(leftAt);
    expect(firstIndex).toBeGreaterThan(leftAt + 1);
    expect(logBytes).toBeLessThan(MAX_LOG_BYTES);
  }
  // `whole` has seen equal hashes at an equal index; the contents are compared as well.
  const reference = await contentOf(edge, others[0] ?? '');
  expect(reference.length).toBeGreaterThan(load.writes / 2);
  for (const id of [...others.slice(1), ...isolated]) {
    const content = await contentOf(edge, id);
    expect(content.length).toBe(reference.length);
    expect(JSON.stringify(content) === JSON.stringify(reference), `peer ${id} has what peer ${others[0]} has`).toBe(
      true,
    );
  }
}

describe('three peers', () => {
  const context = runtimeForTests({ peers: 3 });

  test('20,000 writes go by one of them', { timeout: 300_000 }, async () => {
    await catchUp(context.edge, { writes: 20_000, paddingBytes: 0 }, (followers) => followers.slice(0, 1));
  });
});

describe('five peers', () => {
  const context = runtimeForTests({ peers: 5 });

  test('3,000 writes go by two of them', { timeout: 180_000 }, async () => {
    await catchUp(context.edge, { writes: 3000, paddingBytes: 1500 }, (followers) => followers.slice(0, 2));
  });
});
