/**
 * The product with one bug, for the test of the chaos run itself: a peer answers every read from its own copy, at once, where a linearizable
 * one must first hear from a quorum that it still leads.
 */

import { KeyValuePeer as Peer } from '../../../src/index.ts';
import { decodeBody, encodeBody, type RouterRoutes } from '../../../src/peer/protocol.ts';

export { default } from '../../../src/index.ts';

export class KeyValuePeer extends Peer {
  override async fetch(request: Request): Promise<Response> {
    if (new URL(request.url).pathname !== '/client') return super.fetch(request);
    const body = withStaleReads(new Uint8Array(await request.arrayBuffer()));
    return super.fetch(new Request(request.url, { method: 'POST', body }));
  }
}

function withStaleReads(body: Uint8Array): Uint8Array<ArrayBuffer> {
  const { requests } = decodeBody(body) as RouterRoutes['client']['request'];
  const changed = requests.map((request) =>
    request.type === 'query' ? { ...request, consistency: 'stale' } : request,
  );
  return encodeBody({ requests: changed });
}
