/**
 * A second state machine on the same peer: named counters. Small enough to read in a minute, so that the seam is seen to be
 * one, and so that Raft can be tested without the key-value store.
 */
import { decode, encode } from '@msgpack/msgpack';
import type { Sql } from '../../src/peer/sql.ts';
import type { AppliedEntry, SnapshotPage, StateMachine } from '../../src/peer/state-machine.ts';

export interface Add {
  readonly add: number;
  readonly to: string;
}

export class Counters implements StateMachine {
  readonly applyVersion = 1;
  readonly writtenBytes = 0;
  readonly examinedKeys = 0;
  readonly #sql: Sql;
  #logTimeMs = 0;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  createTables(): void {
    this.#sql.exec('CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID');
  }

  restore(summary: Uint8Array | null): void {
    this.#logTimeMs = summary === null ? 0 : (decode(summary) as number);
  }

  summary(): Uint8Array {
    return encode(this.#logTimeMs);
  }

  accepts(command: unknown): boolean {
    const { add, to } = (command ?? {}) as Partial<Add>;
    return Number.isSafeInteger(add) && typeof to === 'string' && to.length > 0 && to.length <= 64;
  }

  commandBytes(): number {
    return 96;
  }

  maxWrittenBytes(): number {
    return 0;
  }

  encodeEntry(commands: readonly unknown[]): Uint8Array {
    return encode(commands);
  }

  understands(data: Uint8Array): boolean {
    const commands = decode(data);
    return Array.isArray(commands) && commands.every((command) => this.accepts(command));
  }

  apply(entry: AppliedEntry): number[] {
    this.#logTimeMs += entry.elapsedMs;
    const commands = entry.data === null ? [] : (decode(entry.data) as Add[]);
    return commands.map(({ add, to }) => {
      const value = this.#value(to) + add;
      this.#sql.exec('INSERT OR REPLACE INTO counters VALUES (?, ?)', to, value);
      return value;
    });
  }

  #value(name: string): number {
    return (this.#sql.exec('SELECT value FROM counters WHERE name = ?', name)[0]?.[0] as number | undefined) ?? 0;
  }

  acceptsQuery(query: unknown): boolean {
    return typeof query === 'string';
  }

  query(query: unknown): number {
    return this.#value(query as string);
  }

  stateHash(): string {
    const rows = this.#sql.exec('SELECT name, value FROM counters ORDER BY name LIMIT 100000');
    return JSON.stringify([this.#logTimeMs, rows]);
  }

  gauges(): Record<string, number> {
    return {};
  }

  housekeep(): boolean {
    return false;
  }

  beginSnapshot(): unknown {
    this.#sql.exec('DROP TABLE IF EXISTS counters_cut');
    this.#sql.exec('CREATE TABLE counters_cut AS SELECT name, value FROM counters');
    return { logTimeMs: this.#logTimeMs, count: this.#sql.exec('SELECT count(*) FROM counters_cut')[0]?.[0] };
  }

  /** Two counters a page, so that a transfer takes many. */
  snapshotPage(after: Uint8Array | null): SnapshotPage {
    const from = after === null ? '' : (decode(after) as string);
    const rows = this.#sql.exec('SELECT name, value FROM counters_cut WHERE name > ? ORDER BY name LIMIT 2', from);
    const last = rows.at(-1)?.[0];
    return { page: encode(rows), next: rows.length < 2 || last === undefined ? null : encode(last) };
  }

  endSnapshot(): void {
    this.#sql.exec('DROP TABLE IF EXISTS counters_cut');
  }

  beginInstall(): void {
    this.abandonInstall();
    this.#sql.exec('CREATE TABLE counters_staged (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID');
  }

  abandonInstall(): void {
    this.#sql.exec('DROP TABLE IF EXISTS counters_staged');
  }

  stagePage(page: Uint8Array): boolean {
    for (const [name, value] of decode(page) as [string, number][]) {
      this.#sql.exec('INSERT INTO counters_staged VALUES (?, ?)', name, value);
    }
    return true;
  }

  finishInstall(header: unknown): boolean {
    const { logTimeMs, count } = header as { logTimeMs: number; count: number };
    if (this.#sql.exec('SELECT count(*) FROM counters_staged')[0]?.[0] !== count) return false;
    this.#sql.exec('DROP TABLE counters');
    this.#sql.exec('ALTER TABLE counters_staged RENAME TO counters');
    this.#logTimeMs = logTimeMs;
    return true;
  }
}
