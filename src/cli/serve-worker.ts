/**
 * A Worker on bare `workerd serve`: no development server in between, so it is as fast as this machine's runtime can be.
 * Loopback only. workerd never outlives this process, however this process ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { buildSync, stop as stopBundler } from 'esbuild';
import { BUNDLING } from './bundling.ts';
import { type ObjectBinding, SOCKET_NAME, workerdConfig } from './serve-config.ts';
import { ServeError } from './serve-error.ts';
import { guardProcess } from './serve-guard.ts';
import { lockData } from './serve-lock.ts';

export interface WorkerOptions {
  /** The Worker's source; bundled here. */
  readonly entry: string;
  readonly objects: readonly ObjectBinding[];
  readonly variables: Readonly<Record<string, string>>;
  /** On 127.0.0.1; 0: the system chooses. */
  readonly port: number;
  /** Of the objects' databases; made if it is not there. Without it they are in a temporary one that goes with the Worker. */
  readonly dataDirectory?: string;
  /** The Worker is ready when a GET of this path is answered with less than 500. */
  readonly readyPath: string;
  readonly compatibilityDate: string;
  readonly compatibilityFlags?: readonly string[];
  /** Told each line that the Worker or its runtime prints, once it is ready; until then they are told when it fails. */
  readonly onLine?: (line: string) => void;
  /** Gives up the start: it rejects with the signal's reason, and leaves nothing behind. Once it is ready, see `stop`. */
  readonly signal?: AbortSignal;
}

export interface WorkerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last lines that workerd printed. */
  readonly lastLines: readonly string[];
}

export interface ServedWorker {
  /** Without a slash at its end. */
  readonly url: string;
  /** workerd's. */
  readonly pid: number;
  /** Settles once workerd has ended, by itself or not, and its temporary files are gone. */
  readonly exited: Promise<WorkerExit>;
  /** Ends workerd; may be called again. */
  stop(): Promise<void>;
}

/** The package's main module is the path of this machine's binary. */
const WORKERD: string = createRequire(import.meta.url)('workerd').default;
const MODULE_FILE = 'worker.js';
const START_TIMEOUT_MS = 60_000;
const READY_POLL_MS = 20;
const READY_REQUEST_TIMEOUT_MS = 5000;
/** From SIGTERM to SIGKILL: requests in hand get this long. */
const STOP_TIMEOUT_MS = 3000;
const KEPT_LINES = 20;
const CONTROL_DESCRIPTOR = 3;

/** Rejects with ServeError when it does not start; nothing is left behind then. */
export async function serveWorker(options: WorkerOptions): Promise<ServedWorker> {
  const directory = await mkdtemp(join(tmpdir(), 'edgeraft-serve-'));
  const dataDirectory = resolve(options.dataDirectory ?? join(directory, 'data'));
  const remove = () => rm(directory, { recursive: true, force: true, maxRetries: 3 });
  try {
    const unlock = await lockData(dataDirectory);
    const clear = async () => {
      await Promise.all([unlock(), remove()]);
    };
    try {
      const configFile = await writeWorker(options, directory, dataDirectory);
      options.signal?.throwIfAborted();
      const workerd = new Workerd(configFile, directory, clear, options.onLine);
      return await workerd.ready(options).catch(async (error: unknown) => {
        await workerd.stop();
        throw error;
      });
    } catch (error) {
      await unlock();
      throw error;
    }
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Writes the bundle and the configuration; returns the latter's path. */
async function writeWorker(options: WorkerOptions, directory: string, dataDirectory: string): Promise<string> {
  bundle(options.entry, join(directory, MODULE_FILE));
  const configFile = join(directory, 'worker.capnp');
  const { port, objects, variables, compatibilityDate, compatibilityFlags = [] } = options;
  const config = { port, moduleFile: MODULE_FILE, objects, variables, dataDirectory, compatibilityDate };
  await writeFile(configFile, workerdConfig({ ...config, compatibilityFlags }));
  return configFile;
}

function bundle(entry: string, outfile: string): void {
  try {
    buildSync({ ...BUNDLING, entryPoints: [entry], outfile });
  } catch (error) {
    throw new ServeError(`${entry} does not compile: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    // Otherwise its process, and a thread for it, would stay for as long as the runtime runs.
    void stopBundler();
  }
}

class Workerd {
  readonly #child: ChildProcess;
  readonly #guard: ChildProcess;
  readonly #lastLines: string[] = [];
  readonly #exited: Promise<WorkerExit>;
  #isReady = false;
  #ended = false;

  constructor(configFile: string, directory: string, clear: () => Promise<void>, onLine?: (line: string) => void) {
    const args = ['serve', `--control-fd=${CONTROL_DESCRIPTOR}`, configFile];
    // A group of its own: a Ctrl-C in the terminal is for this process, which then stops workerd in order.
    this.#child = spawn(WORKERD, args, { stdio: ['ignore', 'pipe', 'pipe', 'pipe'], detached: true });
    this.#guard = guardProcess(this.#child, directory);
    this.#exited = this.#end(clear);
    for (const stream of [this.#child.stdout, this.#child.stderr]) this.#keepLines(stream, onLine);
  }

  /** Its port, then a real answer. Rejects when it ends before, or is not wanted any more. */
  async ready({ port, readyPath, signal }: WorkerOptions): Promise<ServedWorker> {
    const failure = Promise.race([this.#failure(port, AbortSignal.timeout(START_TIMEOUT_MS)), abortion(signal)]);
    const over = new AbortController();
    try {
      const url = `http://127.0.0.1:${await Promise.race([this.#listeningPort(), failure])}`;
      await Promise.race([answers(`${url}${readyPath}`, over.signal), failure]);
      this.#isReady = true;
      return { url, pid: this.#child.pid ?? 0, exited: this.#exited, stop: () => this.stop() };
    } finally {
      over.abort();
    }
  }

  async stop(): Promise<void> {
    if (!this.#ended) this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  /** https://github.com/cloudflare/workerd: `--control-fd` reports each socket's port, one JSON object a line. */
  async #listeningPort(): Promise<number> {
    const control = this.#child.stdio[CONTROL_DESCRIPTOR] as Readable;
    for await (const line of createInterface({ input: control })) {
      const event: { event?: string; socket?: string; port?: number } = JSON.parse(line);
      if (event.event === 'listen' && event.socket === SOCKET_NAME && event.port !== undefined) return event.port;
    }
    // It has ended: #failure says why.
    return new Promise(() => {});
  }

  async #failure(port: number, deadline: AbortSignal): Promise<never> {
    const timeout = once(deadline, 'abort').then(() => null);
    const exit = await Promise.race([this.#exited, timeout]);
    const said = this.#lastLines.join('\n');
    if (exit === null) throw new ServeError(`workerd was not ready within ${START_TIMEOUT_MS / 1000} s\n${said}`);
    if (/Address already in use/i.test(said)) throw new ServeError(`port ${port} is in use`);
    throw new ServeError(`workerd ended at its start (${endOf(exit)})\n${said}`);
  }

  async #end(clear: () => Promise<void>): Promise<WorkerExit> {
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((settle) => {
      this.#child.once('close', (...exit) => settle(exit));
      this.#child.once('error', (error) => this.#lastLines.push(error.message));
    });
    this.#ended = true;
    this.#guard.kill('SIGKILL');
    await clear();
    return { code, signal, lastLines: this.#lastLines };
  }

  #keepLines(stream: Readable | null, onLine?: (line: string) => void): void {
    if (stream === null) return;
    createInterface({ input: stream }).on('line', (line) => {
      if (this.#isReady) onLine?.(line);
      this.#lastLines.push(line);
      if (this.#lastLines.length > KEPT_LINES) this.#lastLines.shift();
    });
  }
}

export function endOf({ code, signal }: WorkerExit): string {
  return signal === null ? `status ${code}` : `signal ${signal}`;
}

/** Rejects with the signal's reason once it is given. */
async function abortion(signal: AbortSignal | undefined): Promise<never> {
  if (signal === undefined) return new Promise(() => {});
  if (!signal.aborted) await once(signal, 'abort');
  throw signal.reason;
}

/** Asks until it is answered, or nobody waits any more. */
async function answers(url: string, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    const signal = AbortSignal.any([over, AbortSignal.timeout(READY_REQUEST_TIMEOUT_MS)]);
    const isReady = await fetch(url, { signal }).then(isAnswer, () => false);
    if (isReady) return;
    await new Promise((settle) => setTimeout(settle, READY_POLL_MS));
  }
}

async function isAnswer(response: Response): Promise<boolean> {
  await response.body?.cancel();
  return response.status < 500;
}
