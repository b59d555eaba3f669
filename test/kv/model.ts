/**
 * What the HTTP contract says of keys, conditions, sessions, history and quota, in the plainest data there is: every version
 * of every key for ever in one list, every reply in a map. Nothing of it is shared with the implementation but limits.
 */
import type { Command, CommandResult, KeptResult } from '../../src/kv/commands.ts';
import * as limits from '../../src/kv/limits.ts';
import { text } from './replica.ts';

interface ModelVersion {
  readonly key: string;
  readonly value: string | null;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
}

interface ModelSession {
  lastUsedMs: number;
  acked: number;
  highest: number;
  readonly replies: Map<number, { digest: string; result: KeptResult }>;
}

export interface ModelLimits {
  readonly storageLimitBytes: number;
  readonly historyLimitBytes: number;
  readonly sessions: number;
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const bytesIn = (value: string | null) => Buffer.byteLength(value ?? '');
const byteOrder = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

export class Model {
  logTimeMs = 0;
  revision = 0;
  compactedRevision = 0;
  readonly versions: ModelVersion[] = [];
  readonly sessions = new Map<string, ModelSession>();
  #history: { revision: number; timeMs: number; bytes: number }[] = [];
  readonly #limits: ModelLimits;

  constructor(modelLimits: ModelLimits) {
    this.#limits = modelLimits;
  }

  apply(commands: readonly Command[] | null, elapsedMs: number): CommandResult[] {
    this.logTimeMs += elapsedMs;
    const used = new Set<string>();
    this.#expire();
    const results = (commands ?? []).map((command) => this.#once(command, used));
    this.#compact(
      2 * results.length + 16,
      commands === null ? Number.POSITIVE_INFINITY : this.#limits.historyLimitBytes,
    );
    return results;
  }

  /** Live items at a revision, in order. */
  list(revision: number, prefix = ''): ModelVersion[] {
    const newest = new Map<string, ModelVersion>();
    for (const version of this.versions) if (version.modRevision <= revision) newest.set(version.key, version);
    return [...newest.values()]
      .filter((version) => version.value !== null && version.key.startsWith(prefix))
      .sort((a, b) => byteOrder(a.key, b.key));
  }

  get(key: string): ModelVersion | null {
    const newest = this.versions.findLast((version) => version.key === key);
    return newest === undefined || newest.value === null ? null : newest;
  }

  highestSeq(pool: string, id: string): number {
    return this.sessions.get(`${pool} ${id}`)?.highest ?? 0;
  }

  #once(command: Command, used: Set<string>): CommandResult {
    const { pool, id, seq, acked, requestDigest } = command.session;
    const name = `${pool} ${id}`;
    let session = this.sessions.get(name);
    if (session === undefined) {
      if (seq !== 1) return { type: 'session_expired' };
      if (!this.#makeRoom(pool, used)) return { type: 'sessions_full' };
      session = { lastUsedMs: 0, acked: 0, highest: 0, replies: new Map() };
      this.sessions.set(name, session);
    }
    used.add(name);
    session.lastUsedMs = roundedUp(pool, this.logTimeMs);
    session.acked = Math.max(session.acked, acked);
    if (seq <= session.acked || seq < session.highest - 256) return { type: 'seq_acknowledged' };
    const first = session.replies.get(seq);
    if (first !== undefined) {
      return first.digest === hex(requestDigest) ? { ...first.result, replayed: true } : { type: 'seq_reused' };
    }
    const result = this.#write(command);
    session.replies.set(seq, { digest: hex(requestDigest), result });
    session.highest = Math.max(session.highest, seq);
    return { ...result, replayed: false };
  }

  #write(command: Command): KeptResult {
    const key = text(command.key);
    const current = this.get(key);
    const { condition } = command;
    const holds =
      condition === null ||
      (condition.type === 'absent' && current === null) ||
      (condition.type === 'exists' && current !== null) ||
      (condition.type === 'match' && current !== null && condition.revisions.includes(current.modRevision));
    if (!holds) return { type: 'precondition_failed', modRevision: current?.modRevision ?? null };
    if (command.op === 'delete') {
      if (current === null) return { type: 'deleted', revision: this.revision, deleted: 0 };
      this.#supersede(size(key, current.value) + size(key, null));
      this.versions.push({ key, value: null, createRevision: 0, modRevision: this.revision, version: 0 });
      return { type: 'deleted', revision: this.revision, deleted: 1 };
    }
    const value = (command.op === 'append' ? (current?.value ?? '') : '') + text(command.value);
    const growth = size(key, value) - (current === null ? 0 : size(key, current.value));
    if (growth > 0 && this.liveBytes() + growth > this.#limits.storageLimitBytes) return { type: 'storage_full' };
    if (current === null) this.revision += 1;
    else this.#supersede(size(key, current.value));
    this.versions.push({
      key,
      value,
      createRevision: current?.createRevision ?? this.revision,
      modRevision: this.revision,
      version: (current?.version ?? 0) + 1,
    });
    return {
      type: 'written',
      created: current === null,
      revision: this.revision,
      version: (current?.version ?? 0) + 1,
    };
  }

  liveBytes(): number {
    return this.list(this.revision).reduce((sum, version) => sum + size(version.key, version.value), 0);
  }

  historyBytes(): number {
    return this.#history.reduce((sum, item) => sum + item.bytes, 0);
  }

  #supersede(bytes: number): void {
    this.revision += 1;
    this.#history.push({ revision: this.revision, timeMs: this.logTimeMs, bytes });
  }

  #compact(budget: number, historyLimitBytes: number): void {
    for (let i = 0; i < budget; i++) {
      const head = this.#history[0];
      if (head === undefined) return;
      const old = this.logTimeMs - head.timeMs >= limits.HISTORY_MIN_AGE_MS;
      if (!old && this.historyBytes() <= historyLimitBytes) return;
      this.compactedRevision = head.revision;
      this.#history = this.#history.slice(1);
    }
  }

  #inOrderOfUse(): [string, ModelSession][] {
    const idAndPool = (name: string) => name.split(' ').reverse().join(' ');
    return [...this.sessions].sort(
      ([a, { lastUsedMs: x }], [b, { lastUsedMs: y }]) => x - y || (idAndPool(a) < idAndPool(b) ? -1 : 1),
    );
  }

  #expire(): void {
    const unused = this.#inOrderOfUse().filter(([, session]) => this.logTimeMs - session.lastUsedMs >= 3_600_000);
    for (const [name] of unused.slice(0, 16)) this.sessions.delete(name);
  }

  #makeRoom(pool: string, used: Set<string>): boolean {
    const ofPool = this.#inOrderOfUse().filter(([name]) => name.startsWith(pool));
    if (ofPool.length < this.#limits.sessions) return true;
    const protectedMs = pool === 'clerk' ? 600_000 : 60_000;
    const oldest = ofPool.find(([name]) => !used.has(name));
    if (oldest === undefined || this.logTimeMs - oldest[1].lastUsedMs < protectedMs) return false;
    this.sessions.delete(oldest[0]);
    return true;
  }
}

function size(key: string, value: string | null): number {
  // https://www.sqlite.org/fileformat2.html: U = 4096, X = 1002, M = 489; a row has 40 bytes of its own, 56 are for slack,
  // and a quarter of what a local row has above 250.
  const p = bytesIn(key) + bytesIn(value) + 40;
  const k = 489 + ((p - 489) % 4092);
  const local = p <= 1002 ? p : k <= 1002 ? k : 489;
  const loose = p > 1002 || p < 250 ? 0 : Math.floor((p - 250) / 4);
  return local + loose + 4096 * Math.ceil((p - local) / 4092) + 56;
}

function roundedUp(pool: string, logTimeMs: number): number {
  const step = pool === 'clerk' ? 60_000 : 10_000;
  return Math.ceil(logTimeMs / step) * step;
}
