/**
 * The product's Worker, with two things more that only the growth bench needs: a route that puts many keys with one call of
 * the leader's object, and logs of any length.
 *
 * `POST /bench/fill` goes the way of every write from there on: proposed, replicated, flushed and applied by all peers. It
 * only spares what the clients' side would cost a million times.
 */
import { createKeyValueStore } from '../../src/kv/key-value-store.ts';
import { definePeer } from '../../src/peer/durable-object.ts';
import type { ClientRequest, Reply } from '../../src/peer/protocol.ts';
import { decodeBody, encodeBody, objectName } from '../../src/peer/protocol.ts';
import { createApp } from '../../src/router/app.ts';
import { digest } from '../../src/router/digest.ts';
import type { Env } from '../../src/router/env.ts';
import { parseSettings } from '../../src/router/settings.ts';
import { type FillRequest, keyOf } from './growth-fill.ts';

interface GrowthEnv extends Env {
  /** Entries that every log keeps behind what is applied, in place of production's 2,048; empty: as in production. */
  readonly TAIL_ENTRIES?: string;
}

export const KeyValuePeer = definePeer<GrowthEnv>(createKeyValueStore, (env) => {
  if (!env.TAIL_ENTRIES) return parseSettings(env);
  const limits = { tailEntries: Number(env.TAIL_ENTRIES), tailBytes: 1_000_000_000, retainedBytes: 1_000_000_000 };
  return { ...parseSettings(env), limits };
});

const app = createApp();

export default {
  fetch(request, env, context) {
    if (new URL(request.url).pathname !== '/bench/fill') return app.fetch(request, env, context);
    return request.json<FillRequest>().then((fillRequest) => fill(fillRequest, env));
  },
} satisfies ExportedHandler<GrowthEnv>;

/** How many were written; what was not may be sent again, under another identity. */
async function fill({ slot, identity, firstSeq, firstKey, count, valueBytes }: FillRequest, env: GrowthEnv) {
  const value = crypto.getRandomValues(new Uint8Array(Math.min(valueBytes, 65_536)));
  const valueDigest = await digest(value);
  const encoder = new TextEncoder();
  const requests = Array.from({ length: count }, (_, i): ClientRequest => {
    // Nothing is repeated under its seq, so everything before it counts as answered.
    const seq = firstSeq + i;
    const session = { pool: 'router', id: identity, seq, acked: seq - 1, requestDigest: valueDigest };
    const key = encoder.encode(keyOf(firstKey + i));
    return { type: 'submit', command: { op: 'put', key, condition: null, session, value, valueDigest } };
  });
  const name = objectName('default', { slot, incarnation: 1 });
  const stub = env.PEER.get(env.PEER.idFromName(name));
  const response = await stub.fetch('https://peer/client', { method: 'POST', body: encodeBody({ requests }) });
  const body = new Uint8Array(await response.arrayBuffer());
  if (response.status !== 200) return Response.json({ written: 0, why: `status ${response.status}` });
  const { replies } = decodeBody(body) as Reply<'client'>;
  const written = replies.filter((reply) => reply.type === 'result' && isWritten(reply.result)).length;
  const other = replies.find((reply) => reply.type !== 'result' || !isWritten(reply.result));
  return Response.json({ written, why: JSON.stringify(other ?? null) });
}

function isWritten(result: unknown): boolean {
  return (result as { readonly type: string }).type === 'written';
}
