/**
 * What a server of the labs keeps: hard state, log, and the state machine (every command that was applied, in order). Changed by
 * writes only, so that one disk can follow another: what is in memory takes each write at once, what survives a crash when it is flushed.
 *
 * The labs number commands from 1; here entry 1 is the configuration, and a new leader's no-op is an entry as well. So a *command's
 * number*, the labs' index, is how many commands the log has up to and including it. Logs that agree up to an entry agree
 * on its number.
 */
import type { Configuration, Entry, HardState, RestoredState } from '../../src/raft/types.ts';
import { configurationOf, decodeText, summaryOf } from '../raft/entries.ts';
import { LabFailure } from './lab.ts';
import { encodedConfigurationBytes, encodedEntryBytes } from './raft-wire.ts';

export interface Staging {
  readonly cutId: string;
  readonly chunk: number;
  readonly cursor: Uint8Array | null;
  readonly values: readonly string[];
}

interface LogStart {
  readonly lastIncludedIndex: number;
  readonly lastIncludedTerm: number;
  readonly configuration: Configuration;
}

export type Write =
  | { readonly type: 'hardState'; readonly hardState: HardState }
  | { readonly type: 'truncate'; readonly fromIndex: number }
  | { readonly type: 'append'; readonly entries: readonly Entry[] }
  | { readonly type: 'compact'; readonly start: LogStart }
  | { readonly type: 'reset'; readonly start: LogStart }
  | { readonly type: 'apply'; readonly toIndex: number }
  | { readonly type: 'stage'; readonly staging: Staging | null }
  | { readonly type: 'install'; readonly values: readonly string[] };

/** What is known of an entry, once for all servers: messages carry entries as they are. */
interface EntryFacts {
  /** Commands in the log up to here. */
  readonly commands: number;
  readonly previousTerm: number;
  /** Null: no command. */
  readonly value: string | null;
}

const facts = new WeakMap<Entry, EntryFacts>();

export function commandValue(entry: Entry): string | null {
  return facts.get(entry)?.value ?? null;
}

/** Index and term beside a log row's data, and the one row of hard state and indexes: eight bytes a number. */
const ROW_BYTES = 16;
const STATE_ROW_BYTES = 40;

export class RaftDisk {
  hardState: HardState = { currentTerm: 1, votedFor: null };
  lastIncludedIndex = 0;
  lastIncludedTerm = 0;
  configuration: Configuration | null = null;
  /** From lastIncludedIndex + 1 on. */
  entries: Entry[] = [];
  /** Commands that are compacted. */
  compactedCommands = 0;
  lastApplied = 0;
  /** Never changed in place but for what is appended: a cut holds on to it. */
  values: string[] = [];
  staging: Staging | null = null;

  /** A founded group: entry 1, the configuration, in term 1. */
  static founded(servers: number): RaftDisk {
    const disk = new RaftDisk();
    const payload = { type: 'configuration', configuration: configurationOf(servers) } as const;
    disk.#append({ index: 1, term: 1, applyVersion: 1, elapsedMs: 0, payload });
    return disk;
  }

  copy(): RaftDisk {
    const copy = Object.assign(new RaftDisk(), this);
    copy.entries = [...this.entries];
    copy.values = [...this.values];
    return copy;
  }

  get lastIndex(): number {
    return this.lastIncludedIndex + this.entries.length;
  }

  entry(index: number): Entry | undefined {
    return this.entries[index - this.lastIncludedIndex - 1];
  }

  term(index: number): number | undefined {
    return index === this.lastIncludedIndex ? this.lastIncludedTerm : this.entry(index)?.term;
  }

  range(fromIndex: number, toIndex: number): Entry[] {
    const offset = this.lastIncludedIndex + 1;
    if (fromIndex < offset || toIndex > this.lastIndex)
      throw new LabFailure('entries are asked for that are not in the log');
    return this.entries.slice(fromIndex - offset, toIndex + 1 - offset);
  }

  /** Commands in the log up to `index`. */
  commandsUpTo(index: number): number {
    const entry = this.entry(index);
    return entry === undefined ? this.compactedCommands : facts.get(entry)!.commands;
  }

  restored(): RestoredState {
    const { hardState, lastIncludedIndex, lastIncludedTerm, configuration, lastApplied } = this;
    const entries = this.entries.map(summaryOf);
    return { hardState, lastIncludedIndex, lastIncludedTerm, configuration, lastApplied, entries };
  }

  /** What Raft keeps without the state machine, in bytes: the labs' LogSize. */
  get logBytes(): number {
    const configuration = this.configuration === null ? 0 : encodedConfigurationBytes(this.configuration);
    const rows = this.entries.reduce((sum, entry) => sum + ROW_BYTES + encodedEntryBytes(entry), 0);
    return STATE_ROW_BYTES + configuration + rows;
  }

  write(write: Write): void {
    switch (write.type) {
      case 'hardState':
        this.hardState = write.hardState;
        return;
      case 'truncate':
        this.entries.length = Math.min(this.entries.length, write.fromIndex - this.lastIncludedIndex - 1);
        return;
      case 'append':
        for (const entry of write.entries) this.#append(entry);
        return;
      case 'compact':
        return this.#compact(write.start);
      case 'reset':
        return this.#reset(write.start);
      case 'apply':
        return this.#apply(write.toIndex);
      case 'stage':
        this.staging = write.staging;
        return;
      case 'install':
        this.values = [...write.values];
        return;
    }
  }

  /** The same entry always follows the same one: with that, by induction, logs match (5.3). */
  #append(entry: Entry): void {
    if (entry.index !== this.lastIndex + 1) throw new LabFailure('the log on disk has no gaps');
    const previousTerm = this.term(entry.index - 1) ?? 0;
    const known = facts.get(entry);
    if (known === undefined) {
      const value = entry.payload.type === 'command' ? decodeText(entry.payload.data) : null;
      const commands = this.commandsUpTo(entry.index - 1) + (value === null ? 0 : 1);
      facts.set(entry, { commands, previousTerm, value });
    } else if (known.previousTerm !== previousTerm) {
      throw new LabFailure(
        `log matching: ${entry.index}/${entry.term} after ${known.previousTerm} and ${previousTerm}`,
      );
    }
    this.entries.push(entry);
  }

  #compact(start: LogStart): void {
    const { lastIncludedIndex } = start;
    if (lastIncludedIndex > this.lastApplied) throw new LabFailure('what is not applied is compacted');
    this.compactedCommands = this.commandsUpTo(lastIncludedIndex);
    this.entries.splice(0, lastIncludedIndex - this.lastIncludedIndex);
    Object.assign(this, start);
  }

  #reset(start: LogStart): void {
    this.entries = [];
    Object.assign(this, start);
    this.lastApplied = start.lastIncludedIndex;
    this.compactedCommands = this.values.length;
  }

  #apply(toIndex: number): void {
    for (let index = this.lastApplied + 1; index <= toIndex; index += 1) {
      const entry = this.entry(index);
      if (entry === undefined) throw new LabFailure('an entry that is to be applied is not in the log');
      const value = commandValue(entry);
      if (value !== null) this.values.push(value);
    }
    this.lastApplied = toIndex;
  }
}
