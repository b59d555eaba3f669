/** A peer as a Durable Object: the platform's side of the seams in platform.ts. */
import { DurableObject } from 'cloudflare:workers';
import { DurableSql } from './durable-sql.ts';
import { Peer, type PeerSettings } from './peer.ts';
import type { Platform } from './platform.ts';
import { MAX_BODY_BYTES } from './protocol.ts';
import { handleRoute, RouteError } from './routes.ts';
import type { StateMachineFactory } from './state-machine.ts';
import { WriteBehind } from './write-behind.ts';

/** What a peer reads of the Worker's environment. */
export interface PeerEnv {
  readonly PEER: DurableObjectNamespace;
  readonly CHAOS?: string;
}

class DurablePlatform implements Platform {
  readonly sql: WriteBehind;
  readonly #billed: DurableSql;
  readonly objectName: string;
  readonly #context: DurableObjectState;
  readonly #namespace: DurableObjectNamespace;

  constructor(context: DurableObjectState, namespace: DurableObjectNamespace) {
    if (context.id.name === undefined) throw new Error('a peer is an object with a name');
    this.#context = context;
    this.#namespace = namespace;
    this.#billed = new DurableSql(context.storage.sql);
    this.sql = new WriteBehind(this.#billed);
    this.objectName = context.id.name;
  }

  rows() {
    return { read: this.#billed.rowsRead, written: this.#billed.rowsWritten };
  }

  now(): number {
    return Date.now();
  }

  random(): number {
    return Math.random();
  }

  randomId(): string {
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join(
      '',
    );
  }

  sync(): Promise<void> {
    return this.#context.storage.sync();
  }

  setTimer(delayMs: number, run: () => void): () => void {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  }

  setAlarm(atMs: number): void {
    this.#context.waitUntil(this.#context.storage.setAlarm(atMs));
  }

  deleteAlarm(): void {
    this.#context.waitUntil(this.#context.storage.deleteAlarm());
  }

  async call(
    name: string,
    locationHint: string,
    route: string,
    body: Uint8Array,
    timeoutMs: number,
  ): Promise<Uint8Array> {
    const hint = locationHint as DurableObjectLocationHint;
    // A new stub each time: one whose object was reset stays broken.
    const stub = this.#namespace.get(this.#namespace.idFromName(name), { locationHint: hint });
    const controller = new AbortController();
    // Cleared below: a timer that is left pending keeps the object in memory, billed.
    const timer = setTimeout(() => controller.abort(), timeoutMs);
    try {
      const response = await stub.fetch(`https://peer/${route}`, { method: 'POST', body, signal: controller.signal });
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (response.status !== 200) throw new Error(`status ${response.status}`);
      return bytes;
    } finally {
      clearTimeout(timer);
    }
  }

  abort(reason: string): void {
    this.#context.abort(reason);
  }

  async deleteAll(): Promise<void> {
    await this.#context.storage.deleteAlarm();
    await this.#context.storage.deleteAll();
  }

  log(event: Record<string, unknown>): void {
    console.log(event);
  }
}

/** A Durable Object class whose objects are peers of groups that replicate the given state machine. */
export function definePeer<E extends PeerEnv>(
  createStateMachine: StateMachineFactory,
  parseSettings: (env: E) => PeerSettings,
) {
  return class extends DurableObject<E> {
    readonly #peer: Peer;

    constructor(context: DurableObjectState, env: E) {
      super(context, env);
      const platform = new DurablePlatform(context, env.PEER);
      const stateMachine = createStateMachine(platform.sql, env as unknown as Record<string, string | undefined>);
      this.#peer = new Peer(platform, stateMachine, parseSettings(env));
    }

    override async fetch(request: Request): Promise<Response> {
      const route = new URL(request.url).pathname.slice(1);
      try {
        const length = Number(request.headers.get('Content-Length') ?? 0);
        if (length > MAX_BODY_BYTES) throw new RouteError(413, 'body too large');
        const body = new Uint8Array(await request.arrayBuffer());
        return new Response(await handleRoute(this.#peer, route, body, { chaos: this.env.CHAOS === 'on' }));
      } catch (error) {
        if (error instanceof RouteError) return new Response(error.message, { status: error.status });
        return new Response(error instanceof Error ? error.name : 'error', { status: 503 });
      }
    }

    override async alarm(alarm: AlarmInvocationInfo): Promise<void> {
      // Never throws: the platform would retry with a back-off, and drop the alarm in the end.
      try {
        this.#peer.onAlarm(alarm.scheduledTime);
      } catch (error) {
        console.log({ level: 'error', event: 'alarm_failed', reason: String(error) });
      }
    }
  };
}
