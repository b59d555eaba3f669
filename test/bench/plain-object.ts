/** What a user would write in twenty lines: one Durable Object that stores keys durably. The floor to compare with. */
import { DurableObject } from 'cloudflare:workers';

interface Env {
  readonly STORE: DurableObjectNamespace<PlainObject>;
}

export class PlainObject extends DurableObject<Env> {
  readonly #sql: SqlStorage;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    this.#sql = context.storage.sql;
    this.#sql.exec('CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID');
  }

  override async fetch(request: Request): Promise<Response> {
    const key = new URL(request.url).pathname;
    if (request.method === 'PUT') {
      const cursor = this.#sql.exec('INSERT OR REPLACE INTO kv VALUES (?, ?)', key, await request.arrayBuffer());
      return Response.json({ rowsWritten: cursor.rowsWritten });
    }
    const [row] = this.#sql.exec<{ value: ArrayBuffer }>('SELECT value FROM kv WHERE key = ?', key);
    return row === undefined ? new Response(null, { status: 404 }) : new Response(row.value);
  }
}

export default {
  fetch: (request, env) => env.STORE.get(env.STORE.idFromName('store')).fetch(request),
} satisfies ExportedHandler<Env>;
