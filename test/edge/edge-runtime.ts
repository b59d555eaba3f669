/**
 * The product on the real runtime (workerd), as a client sees it: an address that speaks HTTP. And what a client cannot do:
 * kill it, and start it again on the same data.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { ROOT } from '../../src/cli/bundling.ts';
import { bundleWorker } from './bundle.ts';
import { type Reply, type RequestOptions, send } from './raw-http.ts';
import type { RuntimeMessage, RuntimeOptions } from './runtime-process.ts';

export interface EdgeOptions {
  /** Peers of a new group. */
  readonly peers?: 1 | 3 | 5 | 7;
  /** The Worker's variables; those of wrangler.toml, OPEN and CHAOS are there already. `null` takes one away. */
  readonly variables?: Readonly<Record<string, string | null>>;
  /** The Worker, below the project's root. */
  readonly entry?: string;
  readonly className?: string;
  /** On 127.0.0.1; 0, the default: the system chooses, anew at each start. */
  readonly port?: number;
}

const HINTS = ['weur', 'enam', 'wnam', 'eeur', 'apac', 'oc', 'sam'];
const START_TIMEOUT_MS = 60_000;
const KILL_TIMEOUT_MS = 20_000;
const WHOLE_TIMEOUT_MS = 60_000;
const POLL_MS = 25;
/** Connections of each runtime's client. */
const MAX_SOCKETS = 1100;
/** An idle connection is given up before the server closes it, so that no request meets that. */
const IDLE_CONNECTION_MS = 2000;
const newAgent = (): Agent => new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS, timeout: IDLE_CONNECTION_MS });

export const sleep = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));

/** Asks until `attempt` gives something other than null; fails with what `describe` says after `timeoutMs`. */
export async function eventually<T>(
  describe: string,
  attempt: () => Promise<T | null>,
  timeoutMs = WHOLE_TIMEOUT_MS,
): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs;
  let last: unknown = null;
  while (performance.now() < deadlineMs) {
    const value = await attempt().catch((error: unknown) => {
      last = error;
      return null;
    });
    if (value !== null) return value;
    await sleep(POLL_MS);
  }
  throw new Error(`not within ${timeoutMs} ms: ${describe}`, { cause: last });
}

/** What wrangler.toml says (strings and lists of strings only), so that the tests run what is deployed. */
function wranglerSetting<T>(name: string, byDefault: T): T {
  const text = readFileSync(join(ROOT, 'wrangler.toml'), 'utf8');
  const value = new RegExp(`^${name} = (.*)$`, 'm').exec(text)?.[1];
  return value === undefined ? byDefault : JSON.parse(value);
}

function variablesOf({ peers = 3, variables = {} }: EdgeOptions): Record<string, string> {
  const all: Record<string, string | null> = {
    PEERS: HINTS.slice(0, peers).join(','),
    HEARTBEAT_MS: wranglerSetting('HEARTBEAT_MS', ''),
    ELECTION_TIMEOUT_MS: wranglerSetting('ELECTION_TIMEOUT_MS', ''),
    STORAGE_LIMIT_BYTES: wranglerSetting('STORAGE_LIMIT_BYTES', ''),
    CORS_ORIGIN: '',
    OPEN: 'on',
    CHAOS: 'on',
    ...variables,
  };
  return Object.fromEntries(Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== null));
}

export interface PeerJson {
  readonly id: string;
  readonly role: 'leader' | 'follower' | 'candidate' | 'unfounded' | null;
  readonly locationHint: string;
  readonly reachable: boolean;
  readonly term: number;
  readonly commitIndex: number;
  readonly lastApplied: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly snapshotIndex: number;
  readonly logBytes: number;
  readonly stateHash: string;
  readonly lastContactMs: number | null;
}

export interface ClusterJson {
  readonly group: string;
  readonly groupId: string | null;
  readonly leader: string | null;
  readonly term: number;
  readonly quiesced: boolean;
  readonly peers: readonly PeerJson[];
}

export class EdgeRuntime {
  /** Everything that it leaves on disk is in here. */
  readonly directory: string;
  readonly #options: RuntimeOptions;
  #process: ChildProcess | null = null;
  #origin: URL | null = null;
  #agent = newAgent();

  private constructor(directory: string, options: RuntimeOptions) {
    this.directory = directory;
    this.#options = options;
  }

  static async start(options: EdgeOptions = {}): Promise<EdgeRuntime> {
    const { entry = 'src/index.ts', className = 'KeyValuePeer', port = 0 } = options;
    const script = await bundleWorker(entry);
    const directory = await mkdtemp(join(tmpdir(), 'edgeraft-edge-'));
    const runtime = new EdgeRuntime(directory, {
      script,
      className,
      variables: variablesOf(options),
      directory,
      port,
      compatibilityDate: wranglerSetting('compatibility_date', '2026-07-01'),
      compatibilityFlags: wranglerSetting('compatibility_flags', []),
    });
    try {
      await runtime.restart();
      return runtime;
    } catch (error) {
      await runtime.stop();
      throw error;
    }
  }

  get origin(): URL {
    if (this.#origin === null) throw new Error('the runtime does not run');
    return this.#origin;
  }

  /** What the runtime has printed so far. */
  async log(): Promise<string> {
    return readFile(join(this.directory, 'log'), 'utf8');
  }

  /** Sends a request as it is written; rejects when the connection breaks, or the reply does not come. */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Reply> {
    return send(this.origin, method, path, { agent: this.#agent, ...options });
  }

  // ---- life and death

  /** Starts it (again) on the data that is there. */
  async restart(): Promise<void> {
    if (this.#process !== null) throw new Error('the runtime runs already');
    const temporary = join(this.directory, 'tmp');
    await mkdir(temporary, { recursive: true });
    const log = createWriteStream(join(this.directory, 'log'), { flags: 'a' });
    const child = fork(join(ROOT, 'test/edge/runtime-process.ts'), {
      // Its own group, so that one signal reaches workerd too; and its own place for temporary files.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: '', TMPDIR: temporary },
    });
    this.#process = child;
    child.stdout?.pipe(log, { end: false });
    child.stderr?.pipe(log, { end: false });
    child.once('exit', () => log.end());
    const message = await new Promise<RuntimeMessage>((resolve) => {
      const timer = setTimeout(() => resolve({ failure: 'it did not start in time' }), START_TIMEOUT_MS);
      const settle = (outcome: RuntimeMessage): void => {
        clearTimeout(timer);
        resolve(outcome);
      };
      child.once('message', (outcome) => settle(outcome as RuntimeMessage));
      child.once('exit', () => settle({ failure: 'it ended while it started' }));
      child.send(this.#options);
    });
    if ('failure' in message) throw new Error(`the runtime: ${message.failure}\n${await this.log().catch(() => '')}`);
    this.#origin = new URL(message.url);
  }

  /** kill -9 of everything that is the runtime: what is not on disk is gone. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child?.pid === undefined) return;
    const exited = child.exitCode !== null || child.signalCode !== null;
    const gone = exited ? Promise.resolve() : new Promise((resolve) => child.once('exit', resolve));
    killGroup(child.pid);
    await gone;
    this.#process = null;
    this.#agent.destroy();
    this.#agent = newAgent();
    const origin = this.#origin;
    this.#origin = null;
    if (origin === null) return;
    // Its sockets and its locks of files go together.
    await eventually(
      'the killed runtime refuses connections',
      () =>
        send(origin, 'GET', '/healthz', { timeoutMs: 1000 }).then(
          () => null,
          (error: { code?: string }) => (error.code === 'ECONNREFUSED' ? true : null),
        ),
      KILL_TIMEOUT_MS,
    );
  }

  /** Ends it, and removes all that it left on disk. */
  async stop(): Promise<void> {
    await this.kill();
    this.#agent.destroy();
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }

  // ---- what many tests ask

  async cluster(group?: string): Promise<ClusterJson> {
    const reply = await this.request('GET', group === undefined ? '/cluster' : `/groups/${group}/cluster`);
    if (reply.status !== 200) throw new Error(`/cluster: ${reply.status} ${reply.text}`);
    return reply.json;
  }

  /** Sets a fault; the order is repeated until the peer has it. */
  async fault(peer: string, fault: Readonly<Record<string, unknown>>): Promise<void> {
    await eventually(`${JSON.stringify(fault)} at peer ${peer}`, async () => {
      const { status } = await this.request('POST', `/chaos/${peer}`, { body: JSON.stringify(fault) });
      return status === 200 ? true : null;
    });
  }

  /** Waits until one peer leads and all others follow it, with one state on all: for groups that nobody writes to. */
  whole(timeoutMs: number = WHOLE_TIMEOUT_MS): Promise<ClusterJson> {
    return this.#awaitCluster(
      'the group is whole',
      timeoutMs,
      (cluster) => isGathered(cluster) && hasOneState(cluster),
    );
  }

  /** The same under load: everybody has what was committed when this was called, or later. */
  async gathered(timeoutMs: number = WHOLE_TIMEOUT_MS): Promise<ClusterJson> {
    const { peers } = await this.cluster();
    const index = Math.max(...peers.map(({ commitIndex }) => commitIndex ?? 0));
    return this.#awaitCluster(
      'all follow one leader',
      timeoutMs,
      (cluster) => isGathered(cluster) && cluster.peers.every(({ lastApplied }) => lastApplied >= index),
    );
  }

  async #awaitCluster(
    describe: string,
    timeoutMs: number,
    fits: (cluster: ClusterJson) => boolean,
  ): Promise<ClusterJson> {
    let last: ClusterJson | null = null;
    const attempt = async (): Promise<ClusterJson | null> => {
      last = await this.cluster();
      return fits(last) ? last : null;
    };
    try {
      return await eventually(describe, attempt, timeoutMs);
    } catch (error) {
      throw new Error(`${String(error)}: ${JSON.stringify(last)}`, { cause: error });
    }
  }
}

function isGathered({ leader, term, peers }: ClusterJson): boolean {
  return (
    leader !== null &&
    peers.every((peer) => peer.reachable && peer.term === term) &&
    peers.every(({ id, role }) => role === (id === leader ? 'leader' : 'follower'))
  );
}

function hasOneState({ peers: [first, ...others] }: ClusterJson): boolean {
  return others.every((peer) => peer.lastApplied === first?.lastApplied && peer.stateHash === first.stateHash);
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as { code?: string }).code !== 'ESRCH') throw error;
  }
}

/** A runtime for all tests of a file (or of a `describe`): started before them, gone after them whatever happens. */
export function runtimeForTests(options: EdgeOptions = {}): { readonly edge: EdgeRuntime } {
  let started: EdgeRuntime | null = null;
  beforeAll(async () => {
    started = await EdgeRuntime.start(options);
  }, START_TIMEOUT_MS);
  afterAll(async () => {
    await started?.stop();
  }, KILL_TIMEOUT_MS * 2);
  return {
    get edge(): EdgeRuntime {
      if (started === null) throw new Error('the runtime has not been started');
      return started;
    },
  };
}
