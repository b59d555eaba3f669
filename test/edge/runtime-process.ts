/**
 * A runtime in a process group of its own: this process (Miniflare) and its child (workerd). It is made to be killed, so it
 * knows no orderly end: whoever started it kills the group, and when that one goes first, the group ends itself,
 * and takes its files along.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Miniflare } from 'miniflare';

export interface RuntimeOptions {
  readonly script: string;
  readonly className: string;
  readonly variables: Readonly<Record<string, string>>;
  /** For the objects' databases, and all other files. */
  readonly directory: string;
  /** On 127.0.0.1; 0, the default: the system chooses. */
  readonly port?: number;
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
}

export type RuntimeMessage = { readonly url: string } | { readonly failure: string };

async function start(options: RuntimeOptions): Promise<RuntimeMessage> {
  try {
    const miniflare = new Miniflare({
      modules: true,
      script: options.script,
      compatibilityDate: options.compatibilityDate,
      compatibilityFlags: [...options.compatibilityFlags],
      bindings: { ...options.variables },
      durableObjects: { PEER: { className: options.className, useSQLite: true } },
      durableObjectsPersist: join(options.directory, 'data'),
      // Straight to the Worker: the entry of the development server would read and rewrite requests on the way.
      unsafeDirectSockets: [{ host: '127.0.0.1', port: options.port ?? 0 }],
      // Nothing is asked of the network.
      cf: false,
      // A test that only sees broken connections is to find the reason in the log.
      unsafeHandleRuntimeRestart: () => console.error('workerd ended by itself, and was started again'),
    });
    await miniflare.ready;
    return { url: (await miniflare.unsafeGetDirectURL()).href };
  } catch (error) {
    return { failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

function endWithoutParent(directory: string | null): void {
  try {
    if (directory !== null) rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  } finally {
    process.kill(-process.pid, 'SIGKILL');
  }
}

let directory: string | null = null;
process.on('disconnect', () => endWithoutParent(directory));
process.once('message', async (message) => {
  const options = message as RuntimeOptions;
  directory = options.directory;
  process.send?.(await start(options));
});
