/**
 * What a peer keeps in SQLite: who it is; hard state, applied index and the state machine's summary in one row; the log; and
 * where a snapshot installation stands. All writes of a turn commit together. An object that belongs to no group has no tables.
 */
import { decode, encode } from '../encoding/message-pack.ts';
import { invariant } from '../raft/invariant.ts';
import {
  type Configuration,
  DEFAULT_LIMITS,
  type Effects,
  type Entry,
  type HardState,
  type Member,
  type PeerId,
  type RaftLimits,
  type RestoredState,
} from '../raft/types.ts';
import type { StoredEntry } from './message-codec.ts';
import type { Sql, SqlValue } from './sql.ts';
import type { StateMachine } from './state-machine.ts';
import { StoredLog } from './stored-log.ts';

/** A summary is written in every turn that applies something. */
const MAX_SUMMARY_BYTES = 64 * 1024;

export interface Identity {
  readonly groupId: string;
  readonly id: PeerId;
}

interface StateRow {
  readonly hardState: HardState;
  readonly lastApplied: number;
  readonly lastIncludedIndex: number;
  readonly lastIncludedTerm: number;
}

export interface Staging {
  readonly cutId: string;
  readonly lastIncludedIndex: number;
  readonly chunk: number;
  readonly cursor: Uint8Array | null;
}

export class PeerStorage {
  readonly #sql: Sql;
  readonly #log: StoredLog;
  readonly #stateMachine: StateMachine;
  #state: StateRow | null = null;
  #stateDirty = false;
  /** As it is stored; null: not read yet. */
  #staging: { readonly stored: Staging | null } | null = null;

  constructor(sql: Sql, stateMachine: StateMachine, limits: Partial<RaftLimits> = {}) {
    this.#sql = sql;
    this.#log = new StoredLog(sql, { ...DEFAULT_LIMITS, ...limits });
    this.#stateMachine = stateMachine;
  }

  hasTables(): boolean {
    return this.#sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'peer_identity'").length > 0;
  }

  createTables(identity: Identity, foundingMembers: readonly Member[] | null): void {
    this.#sql.exec(`CREATE TABLE peer_identity (
      only INTEGER PRIMARY KEY CHECK (only = 1), group_id TEXT NOT NULL, peer_id INTEGER NOT NULL,
      founding_members BLOB, configuration BLOB)`);
    this.#sql.exec(`CREATE TABLE peer_state (
      only INTEGER PRIMARY KEY CHECK (only = 1), current_term INTEGER NOT NULL, voted_for INTEGER,
      last_applied INTEGER NOT NULL, last_included_index INTEGER NOT NULL, last_included_term INTEGER NOT NULL,
      summary BLOB)`);
    this.#log.createTable();
    this.#sql.exec(`CREATE TABLE peer_staging (
      only INTEGER PRIMARY KEY CHECK (only = 1), cut_id TEXT NOT NULL, last_included_index INTEGER NOT NULL,
      chunk INTEGER NOT NULL, page_cursor BLOB)`);
    const members = foundingMembers === null ? null : encode(foundingMembers);
    this.#sql.exec('INSERT INTO peer_identity VALUES (1, ?, ?, ?, NULL)', identity.groupId, identity.id, members);
    this.#sql.exec('INSERT INTO peer_state VALUES (1, 0, NULL, 0, 0, 0, NULL)');
  }

  identity(): Identity {
    const [row] = this.#sql.exec('SELECT group_id, peer_id FROM peer_identity');
    invariant(row !== undefined, 'an object with tables knows who it is');
    return { groupId: row[0] as string, id: row[1] as number };
  }

  /** The members that a founding was begun with, on the peer that founds. */
  foundingMembers(): Member[] | null {
    const members = this.#sql.exec('SELECT founding_members FROM peer_identity')[0]?.[0];
    return members instanceof Uint8Array ? (decode(members) as Member[]) : null;
  }

  /** What the core begins with; the state machine gets its summary back. */
  restore(): RestoredState {
    const [row] = this.#sql.exec(
      'SELECT current_term, voted_for, last_applied, last_included_index, last_included_term, summary FROM peer_state',
    );
    invariant(row !== undefined, 'an object with tables has a state');
    this.#stateMachine.restore(row[5] as Uint8Array | null);
    const [currentTerm, votedFor, lastApplied, lastIncludedIndex, lastIncludedTerm] = row as number[];
    const hardState = { currentTerm: currentTerm as number, votedFor: votedFor as SqlValue as PeerId | null };
    this.#state = {
      hardState,
      lastApplied: lastApplied as number,
      lastIncludedIndex: lastIncludedIndex as number,
      lastIncludedTerm: lastIncludedTerm as number,
    };
    const configuration = this.#sql.exec('SELECT configuration FROM peer_identity')[0]?.[0];
    return {
      ...this.#state,
      configuration: configuration instanceof Uint8Array ? (decode(configuration) as Configuration) : null,
      entries: this.#log.restore(this.#state.lastIncludedIndex),
    };
  }

  // ---- the effects of a step

  /** Entries that are about to be sent, and written after that. */
  remember(entries: readonly Entry[]): void {
    for (const entry of entries) this.#log.remember(entry);
  }

  writeLog(effects: Pick<Effects, 'reset' | 'truncateFrom' | 'append' | 'compact' | 'hardState'>): void {
    if (effects.hardState !== null) this.#setState({ hardState: effects.hardState });
    if (effects.reset !== null) {
      this.#log.reset(effects.reset.lastIncludedIndex);
      this.#begin(effects.reset);
      this.setLastApplied(effects.reset.lastIncludedIndex);
    }
    if (effects.truncateFrom !== null) this.#log.truncateFrom(effects.truncateFrom);
    for (const entry of effects.append) this.#log.append(entry);
    if (effects.compact !== null) {
      this.#log.compactTo(effects.compact.lastIncludedIndex);
      this.#begin(effects.compact);
    }
  }

  /** The log begins after lastIncludedIndex. */
  #begin(start: { lastIncludedIndex: number; lastIncludedTerm: number; configuration: Configuration }): void {
    const { lastIncludedIndex, lastIncludedTerm, configuration } = start;
    const encoded = encode(configuration);
    // Most compactions do not move past a configuration: a row less.
    this.#sql.exec('UPDATE peer_identity SET configuration = ? WHERE configuration IS NOT ?', encoded, encoded);
    this.#setState({ lastIncludedIndex, lastIncludedTerm });
  }

  setLastApplied(lastApplied: number): void {
    this.#setState({ lastApplied });
  }

  #setState(change: Partial<StateRow>): void {
    invariant(this.#state !== null, 'state is restored before it is changed');
    this.#state = { ...this.#state, ...change };
    this.#stateDirty = true;
  }

  /** The state machine has another summary: its state was replaced. */
  summaryChanged(): void {
    this.#stateDirty = true;
  }

  /** Writes the one row of state, if a turn has changed it: once a turn, before anything is sent. */
  flushState(): void {
    if (!this.#stateDirty || this.#state === null) return;
    const { hardState, lastApplied, lastIncludedIndex, lastIncludedTerm } = this.#state;
    const summary = this.#stateMachine.summary();
    invariant((summary?.byteLength ?? 0) <= MAX_SUMMARY_BYTES, 'a summary is small');
    this.#sql.exec(
      `UPDATE peer_state SET current_term = ?, voted_for = ?, last_applied = ?, last_included_index = ?,
        last_included_term = ?, summary = ?`,
      hardState.currentTerm,
      hardState.votedFor,
      lastApplied,
      lastIncludedIndex,
      lastIncludedTerm,
      summary,
    );
    this.#stateDirty = false;
  }

  entries(fromIndex: number, toIndex: number): StoredEntry[] {
    return this.#log.entries(fromIndex, toIndex);
  }

  /** Lazy deletion, of the log's rows and by the state machine, bounded in each call. True: there is more to do. */
  housekeep(): boolean {
    this.#dropOutlivedStaging();
    return this.#log.deleteSurplus() || this.#stateMachine.housekeep();
  }

  // ---- snapshot installation

  staging(): Staging | null {
    this.#staging ??= { stored: this.#storedStaging() };
    return this.#staging.stored;
  }

  #storedStaging(): Staging | null {
    const [row] = this.#sql.exec('SELECT cut_id, last_included_index, chunk, page_cursor FROM peer_staging');
    if (row === undefined) return null;
    const [cutId, lastIncludedIndex, chunk, cursor] = row as [string, number, number, Uint8Array | null];
    return { cutId, lastIncludedIndex, chunk, cursor };
  }

  /** The log was faster than the snapshot, from the next leader for example: nobody sends the rest, and what is there would stay. */
  #dropOutlivedStaging(): void {
    const staging = this.staging();
    if (staging !== null && (this.#state?.lastApplied ?? 0) >= staging.lastIncludedIndex) this.dropStaging();
  }

  /** Of the peer and of the state machine. */
  dropStaging(): void {
    this.#stateMachine.abandonInstall();
    this.setStaging(null);
  }

  setStaging(staging: Staging | null): void {
    this.#staging = { stored: staging };
    if (staging === null) this.#sql.exec('DELETE FROM peer_staging');
    else
      this.#sql.exec(
        'INSERT OR REPLACE INTO peer_staging VALUES (1, ?, ?, ?, ?)',
        staging.cutId,
        staging.lastIncludedIndex,
        staging.chunk,
        staging.cursor,
      );
  }
}
