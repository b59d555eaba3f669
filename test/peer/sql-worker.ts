/** A Worker that runs the checks of `Sql` inside Durable Objects: `POST /{check}`, each in an object of its own. */
import { DurableObject } from 'cloudflare:workers';
import { DurableSql } from '../../src/peer/durable-sql.ts';
import { checks } from './sql-conformance.ts';

interface Env {
  readonly PEER: DurableObjectNamespace;
}

export class SqlObject extends DurableObject<Env> {
  override async fetch(request: Request): Promise<Response> {
    const check = checks[decodeURIComponent(new URL(request.url).pathname.slice(1))];
    if (check === undefined) return new Response('there is no such check', { status: 404 });
    try {
      check(new DurableSql(this.ctx.storage.sql));
      return new Response('passed');
    } catch (error) {
      return new Response(error instanceof Error ? (error.stack ?? error.message) : String(error), { status: 500 });
    }
  }
}

export default {
  fetch(request: Request, env: Env): Promise<Response> {
    return env.PEER.get(env.PEER.idFromName(new URL(request.url).pathname)).fetch(request);
  },
};
