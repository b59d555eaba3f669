/** After everything has healed: all that the store holds, by linearizable reads, and peer by peer. */
import type { Output } from '../../linearizability/history.ts';
import { type ClusterJson, type EdgeRuntime, eventually } from '../edge-runtime.ts';
import { eachOf } from '../stubborn-clerk.ts';
import type { KeySpace } from './key-space.ts';
import type { Finding, RunRecord } from './run-record.ts';
import type { StoreClient } from './store-client.ts';
import { readListing } from './workload.ts';

const HEALING_LIMIT_MS = 120_000;
const READERS = 16;
const READER = 'final';
const PAGE_ITEMS = 1000;

/** Waits until all peers follow one leader with one state, and `/healthz` says so too. */
export async function awaitWhole(edge: EdgeRuntime): Promise<ClusterJson> {
  await eventually(
    'the group is healthy',
    async () => ((await edge.request('GET', '/healthz')).status === 200 ? true : null),
    HEALING_LIMIT_MS,
  );
  return edge.whole(HEALING_LIMIT_MS);
}

/** Reads every key, and lists them all; both go into the record. Returns the values of the keys that are only appended to. */
export async function readEverything(
  client: StoreClient,
  record: RunRecord,
  keys: KeySpace,
): Promise<Map<string, string | null>> {
  const values = new Map<string, string | null>();
  await eachOf(keys.keys(), READERS, async (key) => {
    const [call, output] = await eventually(`a read of ${key}`, async (): Promise<[number, Output] | null> => {
      const sentMs = record.now();
      const answer = await client.get(key);
      return answer === null ? null : [sentMs, answer];
    });
    record.read(READER, key, call, output);
    if (keys.isAppended(key)) values.set(key, output.type === 'value' ? output.value : null);
  });
  const listing = await eventually('a listing of everything', async () => {
    const listed = await readListing(client, record, '', PAGE_ITEMS);
    return listed?.complete === true ? listed : null;
  });
  record.listings.push({ clientId: READER, ...listing });
  return values;
}

/** Whether all peers hold the same, key by key: the state hash is kept up to date, this looks at what is there. */
export async function compareContents(edge: EdgeRuntime): Promise<Finding[]> {
  const { peers } = await awaitWhole(edge);
  const contents = await Promise.all(peers.map(({ id }) => contentOf(edge, id)));
  const findings: Finding[] = [];
  for (const [i, content] of contents.entries()) {
    if (content === contents[0]) continue;
    const message = `peer ${peers[i]?.id} does not hold what peer ${peers[0]?.id} holds`;
    findings.push({ message, key: null, atMs: null });
  }
  return findings;
}

/** Everything that one peer has, as text. */
async function contentOf(edge: EdgeRuntime, id: string): Promise<string> {
  let text = '';
  for (let cursor: string | null = ''; cursor !== null; ) {
    const next = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const path = `/kv?peer=${id}&consistency=stale&encoding=base64&limit=${PAGE_ITEMS}${next}`;
    const page = await eventually(`the content of peer ${id}`, async () => {
      const reply = await edge.request('GET', path);
      return reply.status === 200 ? reply.json : null;
    });
    text += page.items.map((item: unknown) => `${JSON.stringify(item)}\n`).join('');
    cursor = page.cursor;
  }
  return text;
}
