/**
 * Two replicas and a model live the same random life. Each replica also does things on its own: physical deletion, restarts,
 * snapshot cuts that are read while writes go on, installations. None of that may ever be seen.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Command } from '../../src/kv/commands.ts';
import { Model } from './model.ts';
import { commandsOf, type Step, steps } from './random-steps.ts';
import { recomputedHash } from './recomputed-hash.ts';
import { bytes, install, Replica, text } from './replica.ts';

const SETTINGS = { STORAGE_LIMIT_BYTES: '5000', HISTORY_LIMIT_BYTES: '12000', SESSION_LIMIT: '3' };

/** What a cut must show: the state of when it was begun, and the entries since. */
interface OpenCut {
  readonly header: unknown;
  readonly pages: Uint8Array[];
  after: Uint8Array | null;
  before: Uint8Array | null;
  done: boolean;
  readonly hash: string;
  readonly listings: string;
  readonly since: { data: Uint8Array | null; elapsedMs: number }[];
}

class Life {
  readonly model = new Model({ storageLimitBytes: 5000, historyLimitBytes: 12_000, sessions: 3 });
  /**
   * One deletes what was compacted soon, the other never: it only takes it for new versions; and one writes as it applies,
   * the other afterwards.
   */
  readonly replicas = [
    new Replica({ ...SETTINGS, WAITING_SUPERSESSIONS: '1' }),
    new Replica(SETTINGS, { putsOff: true }),
  ] as [Replica, Replica];
  readonly #cuts: [OpenCut | null, OpenCut | null] = [null, null];
  readonly #sent: Command[] = [];
  #generation = 0;

  run(step: Step): void {
    if (step.type === 'entry') this.#entry(commandsOf(step.drafts, this.model, this.#sent), step.elapsedMs);
    else if (step.type === 'wait') for (let i = 0; i < step.minutes; i++) this.#entry(null, 60_000);
    else this.#local(step);
  }

  check(): void {
    for (const replica of this.replicas) {
      expect(listings(replica)).toEqual(this.#modelListings());
      expect(recomputedHash(replica)).toBe(replica.machine.stateHash());
    }
  }

  #entry(commands: Command[] | null, elapsedMs: number): void {
    const data = commands === null ? null : this.replicas[0].machine.encodeEntry(commands);
    const expected = this.model.apply(commands, elapsedMs);
    for (const replica of this.replicas) expect(replica.applyData(data, elapsedMs)).toEqual(expected);
    for (const cut of this.#cuts) cut?.since.push({ data, elapsedMs });
    const [a, b] = this.replicas;
    expect(a.machine.stateHash()).toBe(b.machine.stateHash());
    expect(a.gauge('compacted_revision')).toBe(this.model.compactedRevision);
    expect(a.gauge('live_bytes')).toBe(this.model.liveBytes());
    expect(a.gauge('history_bytes')).toBe(this.model.historyBytes());
    expect(a.count('kv_sessions')).toBe(this.model.sessions.size);
  }

  #local({ replica: at, action, maxBytes }: Extract<Step, { type: 'local' }>): void {
    const replica = this.replicas[at];
    const cut = this.#cuts[at];
    if (action === 'housekeep') replica.machine.housekeep();
    else if (action === 'begin') this.#begin(at);
    else if (action === 'restart') {
      replica.restart();
      this.#cuts[at] = null;
    } else if (action === 'end') {
      replica.machine.endSnapshot();
      this.#cuts[at] = null;
    } else if (cut !== null && action === 'page') this.#page(at, cut, maxBytes);
    else if (cut !== null && action === 'again' && cut.pages.length > 0) {
      // The last page was lost on its way: the same cursor once more, perhaps with another size.
      cut.pages.pop();
      cut.after = cut.before;
      cut.done = false;
      this.#page(at, cut, maxBytes);
    } else if (cut !== null && action === 'transfer') this.#transfer(at, cut, maxBytes);
  }

  #begin(at: 0 | 1): void {
    const { machine } = this.replicas[at];
    this.#cuts[at] = {
      header: machine.beginSnapshot(),
      pages: [],
      after: null,
      before: null,
      done: false,
      hash: machine.stateHash(),
      listings: JSON.stringify(this.#modelListings()),
      since: [],
    };
  }

  #page(at: 0 | 1, cut: OpenCut, maxBytes: number): void {
    if (cut.done) return;
    const { page, next } = this.replicas[at].machine.snapshotPage(cut.after, maxBytes);
    cut.pages.push(page);
    cut.before = cut.after;
    cut.after = next;
    cut.done = next === null;
  }

  /** The rest of the cut goes to the other replica, which becomes what the cut shows, and then catches up. */
  #transfer(at: 0 | 1, cut: OpenCut, maxBytes: number): void {
    while (!cut.done) this.#page(at, cut, maxBytes);
    const other = this.replicas[1 - at]!;
    expect(install(other.machine, ++this.#generation, cut.header, cut.pages)).toBe(true);
    expect(other.machine.stateHash()).toBe(cut.hash);
    expect(JSON.stringify(listings(other))).toBe(cut.listings);
    for (const { data, elapsedMs } of cut.since) other.applyData(data, elapsedMs);
    this.#cuts[1 - at] = null;
    this.check();
  }

  #modelListings(): unknown {
    const all = [];
    for (let revision = this.model.compactedRevision; revision <= this.model.revision; revision++) {
      all.push(
        this.model.list(revision).map(({ key, value, createRevision, modRevision, version }) => {
          return { key, value, createRevision, modRevision, version };
        }),
      );
    }
    return all;
  }
}

/** At every revision that can be listed; and a page of the revision before is refused. */
function listings(replica: Replica): unknown {
  const all = [];
  const compacted = replica.gauge('compacted_revision');
  for (let revision = compacted; revision <= replica.gauge('revision'); revision++) {
    all.push(
      replica.list('', revision, 2).map(({ key, value, createRevision, modRevision, version }) => {
        return { key: text(key), value: text(value), createRevision, modRevision, version };
      }),
    );
  }
  if (compacted > 0) expect(replica.page({ revision: compacted - 1 }).type).toBe('compacted');
  return all;
}

test('replicas agree with each other and with the model, whatever they do on their own', () => {
  fc.assert(
    fc.property(steps, (life) => {
      const world = new Life();
      for (const step of life) world.run(step);
      world.check();
      for (const key of ['a', 'b']) {
        expect(world.replicas[1].value(key)).toBe(world.model.get(key)?.value ?? null);
      }
      const page = world.replicas[0].ask({ type: 'get', key: bytes('no such key') });
      expect(page).toEqual({ type: 'missing', revision: world.model.revision });
    }),
    { numRuns: Number(process.env.KV_RUNS ?? 150) },
  );
});
