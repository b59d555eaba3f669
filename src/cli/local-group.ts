/** A group of peers on bare `workerd serve`, open to everyone on this machine: for `npm run serve`, benchmarks and tests. */
import { join } from 'node:path';
import { unstable_readConfig } from 'wrangler';
import { GROUP_SIZES, LOCATION_HINTS } from '../router/settings.ts';
import { ROOT } from './bundling.ts';
import { ServeError } from './serve-error.ts';
import { type ServedWorker, serveWorker } from './serve-worker.ts';

export interface LocalGroupOptions {
  /** On 127.0.0.1; 0: the system chooses. */
  readonly port: number;
  /** Of a new group: 1, 3, 5 or 7. */
  readonly peers: number;
  /** Whether POST /chaos/{peer} exists. */
  readonly chaos: boolean;
  /** Of the peers' databases; made if it is not there. Without it they are in a temporary one that goes with the group. */
  readonly dataDirectory?: string;
  /** In place of those of wrangler.toml, or besides them. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Told each line that the Worker or its runtime prints, once it is ready. */
  readonly onLine?: (line: string) => void;
  /** Gives up the start. */
  readonly signal?: AbortSignal;
}

/** The first answer of `/healthz` is awaited. Rejects with ServeError, whose message says what to do otherwise. */
export async function startLocalGroup(options: LocalGroupOptions): Promise<ServedWorker> {
  const { port, peers, chaos, dataDirectory, variables = {}, onLine, signal } = options;
  if (!GROUP_SIZES.includes(peers)) throw new ServeError(`a group has ${GROUP_SIZES.join(', ')} peers, not ${peers}`);
  const deployed = unstable_readConfig({ config: join(ROOT, 'wrangler.toml') });
  const bindings: readonly { name: string; class_name?: string }[] = deployed.durable_objects.bindings;
  return serveWorker({
    entry: join(ROOT, 'src/index.ts'),
    objects: bindings.map(({ name, class_name }) => ({ binding: name, className: class_name ?? name })),
    variables: {
      ...(deployed.vars as Record<string, string>),
      PEERS: LOCATION_HINTS.slice(0, peers).join(','),
      OPEN: 'on',
      CHAOS: chaos ? 'on' : 'off',
      ...variables,
    },
    port,
    ...(dataDirectory === undefined ? {} : { dataDirectory }),
    ...(onLine === undefined ? {} : { onLine }),
    ...(signal === undefined ? {} : { signal }),
    readyPath: '/healthz',
    compatibilityDate: deployed.compatibility_date ?? '2026-07-01',
    compatibilityFlags: deployed.compatibility_flags,
  });
}
