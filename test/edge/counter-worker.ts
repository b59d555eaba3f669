/**
 * A Worker of its own for the second state machine: the same peer class, replicating counters. Its one route,
 * `POST /{object}/{route}`, hands a MessagePack body to an object as it is, and the object's answer back.
 */
import { definePeer } from '../../src/peer/durable-object.ts';
import { Counters } from '../simulation/counter.ts';

interface Env {
  readonly PEER: DurableObjectNamespace;
  readonly CHAOS: string;
}

export const CounterPeer = definePeer<Env>(
  (sql) => new Counters(sql),
  () => ({ heartbeatMs: 200, electionTimeoutMs: 1000 }),
);

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const [, object = '', route = ''] = new URL(request.url).pathname.split('/').map(decodeURIComponent);
    const stub = env.PEER.get(env.PEER.idFromName(object));
    return stub.fetch(`https://peer/${route}`, { method: 'POST', body: await request.arrayBuffer() });
  },
};
