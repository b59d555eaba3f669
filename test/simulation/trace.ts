/**
 * The trace of a run, for people: one event a line, in fixed columns. Messages are decoded to what they say; after an event,
 * each peer that changed says what is new about it.
 */
import { createHash } from 'node:crypto';
import { decode } from '@msgpack/msgpack';
import type { Instance } from './sim-object.ts';
import type { World } from './world.ts';

const MAX_DETAIL_CHARACTERS = 300;
const COLUMNS = ['time ms', 'peer', 'role', 'term', 'event', 'log', 'commit', 'applied', 'detail'];
const WIDTHS = [10, 17, 12, 5, 20, 11, 6, 7];
/** Numbers stand at the right of their columns. */
const RIGHT = new Set([0, 3, 6, 7]);

export const TRACE_HEADER = columns(COLUMNS);

interface Seen {
  readonly instance: Instance;
  readonly role: string;
  readonly term: number;
  readonly votedFor: number | null;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly lastIncludedIndex: number;
  readonly commitIndex: number;
}

export class Trace {
  readonly on: boolean;
  readonly lines: string[] = [];
  readonly #world: World;
  readonly #hash = createHash('sha256');
  readonly #seen = new Map<string, Seen>();

  constructor(world: World, on: boolean) {
    this.#world = world;
    this.on = on;
  }

  hash(): string {
    return this.#hash.copy().digest('hex');
  }

  note(who: string, event: string, detail = ''): void {
    if (!this.on) return;
    // Whoever says it all in one sentence has no word for the column.
    const [word, said] = event.length > WIDTHS[4]! ? ['', `${event} ${detail}`] : [event, detail];
    this.#write(who, this.#world.objects.get(who)?.instance ?? null, word, said);
  }

  request(from: string, to: string, route: string, number: number, body: Uint8Array): void {
    const { event, detail } = describe(route, body);
    this.note(to, event, `from ${from} (${number}) ${detail}`);
  }

  reply(from: string, to: string, number: number, answer: Uint8Array | Error): void {
    const { event, detail } =
      answer instanceof Error ? { event: 'no answer', detail: answer.message } : describe('answer', answer);
    this.note(from, event, `from ${to} (${number}) ${detail}`);
  }

  /** After an event: what is new about the peers that took part. */
  changes(instances: Iterable<Instance>): void {
    if (!this.on) return;
    for (const instance of instances) if (!instance.dead && instance.peer !== undefined) this.#change(instance);
  }

  #change(instance: Instance): void {
    const { raft } = instance.peer;
    if (raft === null) return;
    const { name } = instance.object;
    const key = instance.superseded ? `${name}~` : name;
    const before = this.#seen.get(key);
    const { lastIndex, lastIncludedIndex } = raft.log;
    const now: Seen = {
      instance,
      role: raft.role,
      term: raft.currentTerm,
      votedFor: raft.votedFor,
      lastIndex,
      lastTerm: raft.log.term(lastIndex) ?? 0,
      lastIncludedIndex,
      commitIndex: raft.commitIndex,
    };
    this.#seen.set(key, now);
    const said = before === undefined || before.instance !== instance ? ['starts'] : differences(before, now);
    if (said.length === 0) return;
    const event = before?.instance === instance && before.role !== now.role ? `is ${now.role}` : 'has';
    this.#write(name, instance, said[0] === 'starts' ? 'starts' : event, said.join(', '));
  }

  #write(who: string, instance: Instance | null, event: string, detail: string): void {
    const raft = instance?.peer?.raft ?? null;
    const time = this.#world.scheduler.nowMs.toFixed(2);
    const label = instance === null ? who : instance.label;
    const said = detail.length > MAX_DETAIL_CHARACTERS ? `${detail.slice(0, MAX_DETAIL_CHARACTERS)}…` : detail;
    const state =
      raft === null
        ? ['', '', event, '', '', '']
        : [
            raft.stopped ? `${raft.role.slice(0, 8)}!` : raft.role,
            `${raft.currentTerm}`,
            event,
            `${raft.log.firstIndex}..${raft.log.lastIndex}`,
            `${raft.commitIndex}`,
            `${raft.lastApplied}`,
          ];
    const line = columns([time, label, ...state, said]);
    this.#hash.update(line);
    this.lines.push(line);
  }
}

function columns(cells: readonly string[]): string {
  const padded = cells.map((cell, i) => {
    const width = WIDTHS[i] ?? 0;
    return RIGHT.has(i) ? cell.padStart(width) : cell.padEnd(width);
  });
  return padded.join('  ').trimEnd();
}

function differences(before: Seen, now: Seen): string[] {
  const said: string[] = [];
  if (now.term !== before.term) said.push(`term ${before.term} → ${now.term}`);
  if (now.votedFor !== null && (now.votedFor !== before.votedFor || now.term !== before.term))
    said.push(`votes for ${now.votedFor}`);
  if (now.role !== before.role) said.push(`was ${before.role}`);
  if (now.lastIncludedIndex > before.commitIndex) said.push(`snapshot to ${now.lastIncludedIndex}`);
  else if (now.lastIndex > before.lastIndex) said.push(`appends ${before.lastIndex + 1}..${now.lastIndex}`);
  else if (now.lastIndex < before.lastIndex) said.push(`truncates from ${now.lastIndex + 1}`);
  else if (now.lastTerm !== before.lastTerm) said.push(`replaces ${now.lastIndex}`);
  if (now.commitIndex > before.commitIndex) said.push(`commits to ${now.commitIndex}`);
  return said;
}

interface Described {
  readonly event: string;
  readonly detail: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** What a body says, short enough for a line. */
function describe(route: string, body: Uint8Array): Described {
  let decoded: unknown;
  try {
    decoded = decode(body);
  } catch {
    return { event: route, detail: `${body.byteLength} B` };
  }
  const { messages, replies, view: _view, ...rest } = decoded as Fields & { messages?: Fields[]; replies?: Fields[] };
  const [message] = messages ?? [];
  if (message !== undefined) return describeMessage(message);
  const [reply] = replies ?? [];
  if (typeof reply?.seq === 'number') return describeMessage(reply);
  return { event: route, detail: text(replies ?? rest) };
}

/** Known from the line itself, or saying nothing: a list of fields that would only make it longer. */
const UNSAID = new Set(['type', 'term', 'from', 'to', 'seq', 'entries', 'page', 'configuration', 'applyVersion']);

function describeMessage(message: Fields): Described {
  const { type, term, entries, page, success } = message;
  const said = Object.entries(message).filter(
    ([name, value]) => !UNSAID.has(name) && value !== null && !(success === true && name.startsWith('conflict')),
  );
  const terms =
    Array.isArray(entries) && entries.length > 0 ? ` entries of terms ${entries.map(([of]) => of).join(' ')}` : '';
  const chunk = page === undefined || page === null ? '' : ` ${text(page)}`;
  return { event: String(type), detail: `term ${term} ${text(Object.fromEntries(said))}${terms}${chunk}` };
}

function text(value: unknown): string {
  const json = JSON.stringify(value, (_key, field: unknown) => (field instanceof Uint8Array ? shown(field) : field));
  return (json ?? '').replaceAll('"', '');
}

/** Keys and values of the simulation are ASCII; anything else is only counted. */
function shown(bytes: Uint8Array): string {
  const printable = bytes.byteLength <= 24 && bytes.every((byte) => byte >= 0x20 && byte < 0x7f);
  return printable ? String.fromCharCode(...bytes) : `<${bytes.byteLength} B>`;
}
