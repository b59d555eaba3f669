/** The group of the growth bench: served with a Worker that can fill it quickly, measured at its process. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unstable_readConfig } from 'wrangler';
import { ROOT } from '../../src/cli/bundling.ts';
import { type ServedWorker, serveWorker } from '../../src/cli/serve-worker.ts';
import type { FillRequest } from './growth-fill.ts';
import { BenchGroup, sleep } from './served-group.ts';

const PEERS = 'wnam,enam,weur';
/** Identities that fill at a time: entries follow each other without a pause. */
const STREAMS = 4;
/** Of values in one call, so that it makes one entry. */
const CALL_BYTES = 1_500_000;
const CALL_COMMANDS = 1024;
const ATTEMPTS = 50;
const RETRY_MS = 100;
const CONNECTIONS = 8;

export interface GrowthGroup {
  readonly group: BenchGroup;
  /** workerd's: all peers and the router are in it. */
  readonly pid: number;
  /** Rejects when workerd ends by itself; never resolves. */
  readonly failure: Promise<never>;
  stop(): Promise<void>;
}

/** `tailEntries`: see growth-worker.ts; null: logs as in production. */
export async function serveGrowthGroup(tailEntries: number | null, dataDirectory?: string): Promise<GrowthGroup> {
  const { vars, compatibility_date } = unstable_readConfig({ config: join(ROOT, 'wrangler.toml') });
  const tail = tailEntries === null ? '' : String(tailEntries);
  const served: ServedWorker = await serveWorker({
    entry: join(ROOT, 'test/bench/growth-worker.ts'),
    objects: [{ binding: 'PEER', className: 'KeyValuePeer' }],
    variables: { ...(vars as Record<string, string>), PEERS, OPEN: 'on', CHAOS: 'on', TAIL_ENTRIES: tail },
    port: 0,
    ...(dataDirectory === undefined ? {} : { dataDirectory }),
    readyPath: '/healthz',
    compatibilityDate: compatibility_date ?? '2026-07-01',
  });
  const group = new BenchGroup(served.url, CONNECTIONS);
  let stopping = false;
  const failure = served.exited.then(({ code, signal, lastLines }): Promise<never> => {
    if (stopping) return new Promise(() => {});
    throw new Error(`workerd has ended by itself (${signal ?? code}):\n${lastLines.join('\n')}`);
  });
  const stop = async (): Promise<void> => {
    stopping = true;
    group.close();
    await served.stop();
  };
  return { group, pid: served.pid, failure, stop };
}

export interface Fill {
  readonly firstKey: number;
  readonly keys: number;
  readonly valueBytes: number;
  /** Keys in one entry; default: as many as fit. */
  readonly keysPerEntry?: number;
  /** After so many the first one comes again; a multiple of keysPerEntry. Default: each key once. */
  readonly distinctKeys?: number;
}

/** Puts the keys, many to an entry. `onProgress` is told how many are there. */
export async function fill(
  group: BenchGroup,
  { firstKey, keys, valueBytes, keysPerEntry, distinctKeys = keys }: Fill,
  onProgress: (done: number) => void,
): Promise<void> {
  const perCall = keysPerEntry ?? Math.max(1, Math.min(CALL_COMMANDS, Math.floor(CALL_BYTES / (valueBytes + 100))));
  let next = 0;
  let done = 0;
  const stream = async (): Promise<void> => {
    let identity = new FillIdentity();
    while (next < keys) {
      const at = next;
      const count = Math.min(perCall, keys - at);
      next += count;
      for (let attempt = 1; ; attempt += 1) {
        const why = await identity.put(group, { firstKey: firstKey + (at % distinctKeys), count, valueBytes });
        if (why === null) break;
        if (attempt === ATTEMPTS) throw new Error(`filling does not go on: ${why}`);
        identity = new FillIdentity();
        await sleep(RETRY_MS);
      }
      done += count;
      onProgress(done);
    }
  };
  await Promise.all(Array.from({ length: keysPerEntry === 1 ? 1 : STREAMS }, stream));
}

/** One after the other, so that its seqs are in order. */
class FillIdentity {
  readonly #id = `fill-${Math.random().toString(36).slice(2)}`;
  #nextSeq = 1;
  #slot = 0;

  /** Null: all of them were written. */
  async put(group: BenchGroup, keys: Pick<FillRequest, 'firstKey' | 'count' | 'valueBytes'>): Promise<string | null> {
    if (this.#slot === 0) {
      this.#slot = Number((await group.cluster()).leader ?? 1);
      // The first request of an identity is alone; what it puts is put again with the rest.
      const why = await this.#send(group, { ...keys, count: 1 });
      if (why !== null) return why;
    }
    return this.#send(group, keys);
  }

  async #send(group: BenchGroup, keys: Pick<FillRequest, 'firstKey' | 'count' | 'valueBytes'>): Promise<string | null> {
    const request: FillRequest = { ...keys, slot: this.#slot, identity: this.#id, firstSeq: this.#nextSeq };
    this.#nextSeq += keys.count;
    const { status, body } = await group.request('POST', '/bench/fill', JSON.stringify(request));
    if (status !== 200) return `status ${status}: ${body}`;
    const { written, why } = JSON.parse(body.toString()) as { written: number; why: string };
    return written === keys.count ? null : why;
  }
}

/** Peak and present resident memory of a process, in MiB, as the kernel counts it. */
export function memoryMib(pid: number): { readonly peak: number; readonly present: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mib = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN) / 1024;
  return { peak: mib('VmHWM'), present: mib('VmRSS') };
}

/** From now on the peak is that of what follows. https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}
