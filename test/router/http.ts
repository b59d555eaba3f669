/** The app with objects behind it that are fakes, and the network in between left out. */
import { createApp } from '../../src/router/app.ts';
import type { Env } from '../../src/router/env.ts';
import { FakePeers } from './fake-peers.ts';

export const ORIGIN = 'https://edge.example';

/** What the app needs of a namespace of objects. */
function namespaceOf(peers: FakePeers): DurableObjectNamespace {
  const namespace = {
    idFromName: (name: string) => name,
    get: (name: string, { locationHint }: { locationHint: string }) => ({
      fetch: async (url: string, init: { method: string; body: Uint8Array; signal: AbortSignal }) => {
        const aborted = new Promise<never>((_, reject) => {
          init.signal.addEventListener('abort', () => reject(new Error('aborted')));
        });
        const route = url.slice('https://peer/'.length);
        const reply = await Promise.race([peers.call(name, locationHint, route, init.body), aborted]);
        return new Response(reply as Uint8Array<ArrayBuffer>);
      },
    }),
  };
  return namespace as unknown as DurableObjectNamespace;
}

export class TestServer {
  readonly peers = new FakePeers();
  readonly env: Env;
  readonly app = createApp();

  constructor(variables: Partial<Env> = {}) {
    this.env = { PEER: namespaceOf(this.peers), PEERS: 'weur,enam,wnam', OPEN: 'on', ...variables };
  }

  /** `path` is sent as it is: nothing normalizes it. */
  async fetch(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    const request = new Request(ORIGIN, { method, ...init });
    Object.defineProperty(request, 'url', { value: ORIGIN + path });
    return this.app.fetch(request, this.env);
  }

  async json(method: string, path: string, init: RequestInit = {}): Promise<{ status: number; body: unknown }> {
    const response = await this.fetch(method, path, init);
    return { status: response.status, body: await response.json() };
  }

  /** `<status> <code>`, the code only of problems. */
  async outcome(method: string, path: string, init: RequestInit = {}): Promise<string> {
    const response = await this.fetch(method, path, init);
    const isProblem = response.headers.get('Content-Type') === 'application/problem+json';
    const text = await response.text();
    if (!isProblem || text === '') return String(response.status);
    const { code, status, type, title, detail } = JSON.parse(text);
    for (const field of [type, title, detail]) if (typeof field !== 'string') throw new Error(`not a problem: ${text}`);
    if (status !== response.status) throw new Error(`the problem says ${status}, the reply ${response.status}`);
    return `${status} ${code}`;
  }
}

export type RequestInit = { headers?: Record<string, string>; body?: string | Uint8Array<ArrayBuffer> };
