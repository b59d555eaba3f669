/**
 * The live versions of the keys that an entry writes: read many keys a statement, since in the runtime a statement costs more
 * than what it finds; before anything is written, so that writes may wait for answers to leave (peer/write-behind.ts); and kept
 * up to date while the entry's commands are executed.
 */
import type { Sql, SqlRow } from '../peer/sql.ts';
import { liveVersion, liveVersionOf, type Version } from './versions.ts';

/** Keys read by one statement: one of these numbers, so that statements are few and stay prepared. */
const KEYS_PER_STATEMENT = [4, 16, 64];
const MAX_KEYS_PER_STATEMENT = 64;
/** Keys read at a time, by several statements: an entry has rarely more. */
const KEYS_AHEAD = 256;

const statements = new Map(KEYS_PER_STATEMENT.map((count) => [count, statementFor(count)]));

function statementFor(count: number): string {
  return `WITH keys(n, key) AS (VALUES ${Array.from({ length: count }, (_, n) => `(${n}, ?)`).join(', ')})
    SELECT keys.n, found.mod_revision, found.create_revision, found.version, found.tombstone, found.digest,
        coalesce(length(found.value), 0)
      FROM keys CROSS JOIN kv_versions AS found ON found.key = keys.key AND found.mod_revision =
        (SELECT newest.mod_revision FROM kv_versions AS newest
           WHERE newest.key = keys.key ORDER BY newest.mod_revision DESC LIMIT 1)`;
}

export class LiveVersions {
  readonly #sql: Sql;
  readonly #keys: readonly Uint8Array[];
  readonly #names: readonly string[];
  /** Keys before this one were read. */
  #read = 0;
  /** By the keys' names; null: such a key has no value. */
  readonly #versions = new Map<string, Version | null>();

  /** `keys`: in the order in which they will be asked for. */
  constructor(sql: Sql, keys: readonly Uint8Array[]) {
    this.#sql = sql;
    this.#keys = keys;
    this.#names = keys.map(nameOf);
  }

  /** The live version of the key of that number. */
  get(number: number): Version | null {
    if (number >= this.#read) this.#readFrom(number);
    return this.#versions.get(this.#names[number]!) ?? null;
  }

  /** It has another one now. */
  set(number: number, version: Version): void {
    this.#versions.set(this.#names[number]!, version.tombstone ? null : version);
  }

  #readFrom(number: number): void {
    const end = Math.min(number + KEYS_AHEAD, this.#keys.length);
    for (this.#read = number; this.#read < end; ) this.#readSome(end);
  }

  /** A key that was read before is read again, as it is by now. */
  #readSome(end: number): void {
    const from = this.#read;
    const keys = this.#keys.slice(from, Math.min(end, from + MAX_KEYS_PER_STATEMENT));
    this.#read += keys.length;
    const found = keys.length < KEYS_PER_STATEMENT[0]! ? this.#readEach(keys) : this.#readAll(keys);
    for (let i = 0; i < keys.length; i += 1) this.#versions.set(this.#names[from + i]!, found[i] ?? null);
  }

  #readEach(keys: readonly Uint8Array[]): (Version | null)[] {
    return keys.map((key) => liveVersion(this.#sql, key));
  }

  #readAll(keys: readonly Uint8Array[]): (Version | null)[] {
    const count = KEYS_PER_STATEMENT.find((each) => each >= keys.length) ?? MAX_KEYS_PER_STATEMENT;
    const nothing = Array.from({ length: count - keys.length }, () => null);
    const found: (Version | null)[] = [];
    for (const [n, ...columns] of this.#sql.exec(statements.get(count)!, ...keys, ...nothing)) {
      found[n as number] = liveVersionOf(keys[n as number]!, columns as SqlRow);
    }
    return found;
  }
}

/** One character a byte: what a Map can look up. */
function nameOf(key: Uint8Array): string {
  return String.fromCharCode(...key);
}
