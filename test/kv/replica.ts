/** One key-value store on its own storage, for tests: commands in, results out; every write by one line. */
import { createHash } from 'node:crypto';
import { decode, encode } from '@msgpack/msgpack';
import type { Answer, Command, CommandResult, Condition, KeyValue, SessionRef } from '../../src/kv/commands.ts';
import { createKeyValueStore } from '../../src/kv/key-value-store.ts';
import type { Settings } from '../../src/kv/settings.ts';
import type { Sql, SqlRow, SqlValue } from '../../src/peer/sql.ts';
import type { StateMachine } from '../../src/peer/state-machine.ts';
import { WriteBehind } from '../../src/peer/write-behind.ts';
import { NodeSql } from '../simulation/node-sql.ts';

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'utf8'));
export const text = (value: Uint8Array): string => Buffer.from(value).toString('utf8');
export const digestOf = (value: Uint8Array | string): Uint8Array =>
  new Uint8Array(createHash('sha256').update(value).digest().subarray(0, 16));

/** Counts statements, and can list the plans of all it ran. */
export class CountingSql implements Sql {
  readonly node = new NodeSql();
  readonly statements = new Set<string>();
  statementCount = 0;
  rowsRead = 0;

  exec(statement: string, ...parameters: SqlValue[]): SqlRow[] {
    this.statementCount += 1;
    this.statements.add(statement);
    const rows = this.node.exec(statement, ...parameters);
    this.rowsRead += rows.length;
    return rows;
  }
}

export interface WriteOptions {
  readonly condition?: Condition | null;
  readonly session?: Partial<SessionRef>;
}

export type Op = 'put' | 'append' | 'delete';

let nextIdentity = 1;

/** A command; without a session of its own it gets a fresh identity of the router's pool. */
export function command(op: Op, key: string, value = '', options: WriteOptions = {}): Command {
  const condition = options.condition ?? null;
  const session: SessionRef = {
    pool: 'router',
    id: `anonymous-${nextIdentity++}`,
    seq: 1,
    acked: 0,
    requestDigest: digestOf(JSON.stringify([op, key, value, condition])),
    ...options.session,
  };
  const base = { key: bytes(key), condition, session };
  if (op === 'delete') return { op, ...base };
  return { op, ...base, value: bytes(value), valueDigest: digestOf(value) };
}

export const put = (key: string, value: string, options?: WriteOptions) => command('put', key, value, options);
export const append = (key: string, value: string, options?: WriteOptions) => command('append', key, value, options);
export const remove = (key: string, options?: WriteOptions) => command('delete', key, '', options);
/** A clerk's identity and seq, for the options of a command. */
export const as = (id: string, seq: number, acked = 0): WriteOptions => ({
  session: { pool: 'clerk', id, seq, acked },
});

type Page = Extract<Answer, { type: 'page' }>;

export class Replica {
  readonly sql: CountingSql;
  machine: StateMachine;
  index = 0;
  readonly #settings: Settings;
  /** As a leader has it: the writes of an entry are put off until it is applied. */
  readonly #behind: WriteBehind;
  readonly #putsOff: boolean;

  constructor(settings: Settings = {}, { putsOff = false } = {}) {
    this.#settings = settings;
    this.sql = new CountingSql();
    this.#behind = new WriteBehind(this.sql);
    this.#putsOff = putsOff;
    this.machine = createKeyValueStore(this.#behind, settings);
    this.machine.createTables();
    this.machine.restore(null);
  }

  /** Memory is lost, storage is not, and the peer's own row with the summary neither. */
  restart(): void {
    const summary = this.machine.summary();
    this.machine = createKeyValueStore(this.#behind, this.#settings);
    this.machine.restore(summary);
  }

  /** One entry of these commands, through its bytes. */
  apply(commands: readonly Command[], elapsedMs = 0): CommandResult[] {
    for (const each of commands) if (!this.machine.accepts(each)) throw new Error('not accepted');
    return this.applyData(this.machine.encodeEntry(commands), elapsedMs);
  }

  applyData(data: Uint8Array | null, elapsedMs = 0): CommandResult[] {
    if (data !== null && !this.machine.understands(data)) throw new Error('not understood');
    this.index += 1;
    if (this.#putsOff) this.#behind.putOff();
    const results = this.machine.apply({ index: this.index, term: 1, elapsedMs, data }) as CommandResult[];
    this.#behind.writeNow();
    return results;
  }

  do(one: Command, elapsedMs = 0): CommandResult {
    return this.apply([one], elapsedMs)[0]!;
  }

  /** Log time passes, in entries without commands. */
  wait(ms: number): void {
    for (let left = ms; left > 0; left -= 60_000) this.applyData(null, Math.min(left, 60_000));
  }

  ask(query: unknown): Answer {
    if (!this.machine.acceptsQuery(query)) throw new Error('query not accepted');
    return this.machine.query(query) as Answer;
  }

  get(key: string): KeyValue | null {
    const reply = this.ask({ type: 'get', key: bytes(key) });
    return reply.type === 'value' ? reply.item : null;
  }

  value(key: string): string | null {
    const item = this.get(key);
    return item === null ? null : text(item.value);
  }

  page(query: { prefix?: string; after?: Uint8Array | null; limit?: number; revision?: number | null } = {}): Answer {
    const { prefix = '', after = null, limit = 1000, revision = null } = query;
    return this.ask({ type: 'list', prefix: bytes(prefix), after, limit, revision });
  }

  /** All pages of one listing. */
  list(prefix = '', revision: number | null = null, limit = 1000): KeyValue[] {
    const items: KeyValue[] = [];
    let after: Uint8Array | null = null;
    do {
      const page: Answer = this.page({ prefix, after, limit, revision });
      if (page.type !== 'page') throw new Error(page.type);
      items.push(...page.items);
      after = page.nextAfter;
      revision ??= (page as Page).revision;
    } while (after !== null);
    return items;
  }

  housekeepAll(): void {
    for (let calls = 0; this.machine.housekeep(); calls++)
      if (calls > 10_000) throw new Error('housekeeping never ends');
  }

  gauge(name: string): number {
    const value = this.machine.gauges()[name];
    if (value === undefined) throw new Error(`no gauge ${name}`);
    return value;
  }

  count(table: string): number {
    return this.sql.exec(`SELECT count(*) FROM ${table}`)[0]![0] as number;
  }
}

/** All pages of an open cut. */
export function cutPages(machine: StateMachine, maxBytes: number): Uint8Array[] {
  const pages: Uint8Array[] = [];
  let after: Uint8Array | null = null;
  do {
    const { page, next } = machine.snapshotPage(after, maxBytes);
    pages.push(page);
    after = next;
  } while (after !== null);
  return pages;
}

/** Installs pages on a machine, the header through its bytes. */
export function install(machine: StateMachine, generation: number, header: unknown, pages: Uint8Array[]): boolean {
  machine.beginInstall(generation);
  for (const page of pages) if (!machine.stagePage(page)) return false;
  return machine.finishInstall(decode(encode(header)));
}
