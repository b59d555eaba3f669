/**
 * What a leader and a candidate are answered: garbage, answers of others, of before, of another group. None counts as an answer: only
 * what a majority has truly said commits an entry or elects, only what all who live have truly said lets a leader sleep, and once the
 * others speak plainly again, all goes on.
 * Longer, or again: see test/attack/runs.ts.
 */
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import type { Loose } from '../attack/recorded-run.ts';
import { runs, seed, timeoutOf } from '../attack/runs.ts';
import { Tally } from '../attack/tally.ts';
import { Counters } from '../simulation/counter.ts';
import { type Call, LonePeer, membersOf, settled } from './lone-peer.ts';

const PEERS = 5;
const MAJORITY = 3;
const OTHERS = [2, 3, 4, 5];
const STEP_MS = 50;
const tally = new Tally();
afterAll(() => tally.print(`Answers to a leader, seed ${seed}`));

/** A leader-to-be, and others that answer by the book, unless the test answers in their place. */
class Group {
  readonly lone: LonePeer;
  /** Of each other peer: the log that it truly has, and the votes that it truly gave, by term. */
  readonly matched = new Map(OTHERS.map((id) => [id, 0]));
  readonly grants = new Map<number, Set<number>>();
  /** Who truly sleeps, and in which round. */
  readonly sleeps = new Map<number, number>();
  /** Answers that were given, for replays. */
  readonly said: Loose[] = [];

  constructor(quiesceAfterMs = 0) {
    this.lone = new LonePeer((sql) => new Counters(sql), { quiesceAfterMs });
  }

  async found(): Promise<void> {
    const { lone } = this;
    const founding = lone.post('found', { members: membersOf(PEERS), nonce: lone.peer.nonce });
    await settled();
    for (const call of lone.calls.splice(0)) call.answer({ nonce: 'n', groupId: null, hasLog: false });
    for (let i = 0; i < 3; i += 1) await settled();
    for (const call of lone.calls.splice(0)) call.answer({ stored: true });
    expect((await founding).complete).toBe(true);
    for (let i = 0; i < 3; i += 1) await settled();
  }

  /** What the called peer says by the book; it keeps its word from now on. `busy`: it cannot sleep now. */
  honest({ to, body }: Call, busy = false): Loose {
    const [message] = body.messages as Loose[];
    const id = Number(to.at(-3));
    const base = { term: message.term, from: id, to: 1, seq: message.seq };
    if (message.type === 'RequestVote') {
      this.sleeps.delete(id);
      if (!message.preVote) this.grants.set(message.term, (this.grants.get(message.term) ?? new Set()).add(id));
      // To a pre-vote it answers in its own term.
      const term = message.preVote ? message.term - 1 : message.term;
      const vote = { ...base, term, type: 'RequestVoteReply', preVote: message.preVote, voteGranted: true };
      return this.#said({ ...vote, retryAfterMs: null }, body.groupId);
    }
    const matched = this.matched.get(id) ?? 0;
    const success = message.prevLogIndex <= matched;
    if (success) this.matched.set(id, Math.max(matched, message.lastIndex));
    const conflict = success ? 0 : matched;
    const reply = {
      ...base,
      type: 'AppendEntriesReply',
      applyVersion: 1,
      success,
      matchIndex: success ? message.lastIndex : 0,
      quiesced: success && this.#sleeps(id, message, busy),
    };
    return this.#said({ ...reply, conflictIndex: conflict, conflictTerm: conflict === 0 ? 0 : 1 }, body.groupId);
  }

  /** A newer round wakes it; it sleeps when it is asked to and has no more, and no less, than the leader. */
  #sleeps(id: number, { quiesce, quiesceRound, lastIndex, leaderCommit }: Loose, busy: boolean): boolean {
    if (quiesceRound > (this.sleeps.get(id) ?? 0)) this.sleeps.delete(id);
    const equal = lastIndex === this.matched.get(id) && leaderCommit === lastIndex;
    if (quiesce && equal && !busy && !this.sleeps.has(id)) this.sleeps.set(id, quiesceRound);
    return quiesce && this.sleeps.get(id) === quiesceRound;
  }

  #said(reply: Loose, groupId: unknown): Loose {
    const answer = { version: 1, groupId, replies: [reply] };
    this.said.push(answer);
    return answer;
  }

  /** What counts was truly said. */
  check(): void {
    const { raft } = this.lone.peer;
    expect(this.lone.aborted).toBeNull();
    if (raft === null) throw new Error('it belongs to a group');
    const copies = 1 + [...this.matched.values()].filter((index) => index >= raft.commitIndex).length;
    expect(copies, `copies of entry ${raft.commitIndex}`).toBeGreaterThanOrEqual(MAJORITY);
    if (raft.role !== 'leader' || raft.currentTerm === 1) return;
    expect(1 + (this.grants.get(raft.currentTerm)?.size ?? 0), 'votes of its term').toBeGreaterThanOrEqual(MAJORITY);
  }

  /** A leader that sleeps is told so by all who were not silent for long, in that round. True: it sleeps. */
  checkSleep(): boolean {
    const { raft } = this.lone.peer;
    if (raft?.role !== 'leader' || raft.asleep === null) return false;
    for (const { id, silent, matchIndex } of raft.progress.values()) {
      if (silent) continue;
      expect(this.sleeps.get(id), `round in which peer ${id} sleeps`).toBe(raft.asleep.round);
      expect(this.matched.get(id)).toBe(matchIndex);
    }
    return true;
  }

  async pass(stepMs: number): Promise<Call[]> {
    this.lone.nowMs += stepMs;
    this.lone.peer.onAlarm(this.lone.nowMs);
    for (let i = 0; i < 3; i += 1) await settled();
    return this.lone.calls.splice(0);
  }
}

const pick = <T>(values: readonly T[], draw: number): T => values[draw % values.length] as T;
const NO_NUMBERS: readonly unknown[] = [Number.NaN, -1, 0.5, 2 ** 53, '1', null, undefined, {}, []];

/** In place of the right answer, which is given to be bent; the peer itself has said nothing. Null: not for this one. */
const WRONG: Readonly<Record<string, (right: Loose, draw: number, group: Group) => unknown>> = {
  'any bytes': (_, draw) => pick<unknown>([null, 0, '', [], {}, [[]], new Uint8Array(9), { replies: [] }], draw),
  'another version': (right, draw) => ({ ...right, version: pick<unknown>([0, 2, '1', null], draw) }),
  'another group': (right, draw) => ({ ...right, groupId: pick<unknown>(['x', '', null, 7, 'y'.repeat(65)], draw) }),
  'no reply': (right) => ({ ...right, replies: [] }),
  'too many replies': (right) => ({ ...right, replies: new Array(17).fill(right.replies[0]) }),
  'from another': ({ replies: [reply], ...right }, draw) => ({
    ...right,
    replies: [
      {
        ...reply,
        from: pick(
          [1, ...OTHERS, 6].filter((id) => id !== reply.from),
          draw,
        ),
      },
    ],
  }),
  'to another': ({ replies: [reply], ...right }, draw) => ({
    ...right,
    replies: [{ ...reply, to: pick([2, 3, 99], draw) }],
  }),
  'to another question': ({ replies: [reply], ...right }, draw) => ({
    ...right,
    replies: [{ ...reply, seq: pick([0, reply.seq + 1, Math.max(0, reply.seq - 1), 2 ** 53 - 1], draw) }],
  }),
  'said before': (_, draw, { said }) => (said.length === 0 ? null : pick(said, draw)),
  'no number': ({ replies: [reply], ...right }, draw) => {
    const fields = Object.keys(reply).filter((name) => typeof reply[name] === 'number');
    return { ...right, replies: [{ ...reply, [pick(fields, draw >> 4)]: pick(NO_NUMBERS, draw) }] };
  },
  'a missing field': ({ replies: [reply], ...right }, draw) => {
    const { [pick(Object.keys(reply), draw)]: _, ...rest } = reply;
    return { ...right, replies: [rest] };
  },
  'of another kind': ({ replies: [reply], ...right }, draw) => {
    const { term, from, to, seq } = reply;
    const base = { term, from, to, seq };
    const kinds: Loose[] = [
      { ...base, type: 'RequestVoteReply', preVote: draw % 2 === 0, voteGranted: true, retryAfterMs: null },
      { ...base, type: 'InstallSnapshotReply', cutId: 'c', outcome: 'installed', chunk: 0, cursor: null },
      {
        ...base,
        type: 'AppendEntriesReply',
        applyVersion: 1,
        success: true,
        matchIndex: 1,
        conflictIndex: 0,
        conflictTerm: 0,
        quiesced: false,
      },
    ].filter(({ type }) => type !== reply.type);
    return { ...right, replies: [pick(kinds, draw)] };
  },
};

/** Answers a call by the book, or as `kind` says. */
function answer(group: Group, call: Call, kind: string, draw: number): void {
  const asked = (call.body.messages as Loose[])[0].type;
  const wrong = WRONG[kind];
  tally.note(asked, wrong === undefined ? 'by the book' : kind, kind === 'lost' ? 'lost' : 'answered');
  if (kind === 'lost') return call.fail();
  if (wrong === undefined) return call.answer(group.honest(call, kind === 'busy'));
  // Bent from what it would have said; it says nothing, so it has promised nothing.
  const book = new Group();
  for (const [id, index] of group.matched) book.matched.set(id, index);
  for (const [id, round] of group.sleeps) book.sleeps.set(id, round);
  call.answer(wrong(book.honest(call), draw, group) ?? {});
}

test('what nobody truly said counts for nothing', { timeout: timeoutOf(60_000) }, async () => {
  const step = fc.record({
    kinds: fc.array(fc.constantFrom('honest', 'honest', 'honest', 'lost', ...Object.keys(WRONG)), {
      minLength: 8,
      maxLength: 8,
    }),
    draw: fc.nat(),
    passesMs: fc.constantFrom(STEP_MS, STEP_MS, 100, 300),
    write: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40, size: 'max' }), async (steps) => {
      const group = new Group();
      await group.found();
      const written: Promise<unknown>[] = [];
      for (const { kinds, draw, passesMs, write } of steps) {
        if (write) {
          const requests = [{ type: 'submit', command: { add: 1, to: 'x' } }];
          written.push(group.lone.post('client', { requests }));
        }
        const calls = await group.pass(passesMs);
        calls.forEach((call, i) => {
          answer(group, call, kinds[i % kinds.length] ?? 'lost', draw + i);
        });
        for (let i = 0; i < 3; i += 1) await settled();
        group.check();
      }
      // They speak plainly again: everything is committed, everywhere, and every client has its answer.
      for (let i = 0; i < 100 && !isWhole(group); i += 1) {
        for (const call of await group.pass(STEP_MS)) answer(group, call, 'honest', i);
        for (let j = 0; j < 3; j += 1) await settled();
        group.check();
      }
      expect(isWhole(group), 'everybody has everything').toBe(true);
      await Promise.all(written);
    }),
    runs(60),
  );
});

test('a leader sleeps only when all who live have truly said that they do', {
  timeout: timeoutOf(60_000),
}, async () => {
  const QUIESCE_AFTER_MS = 300;
  const BUSY = new Array(6).fill('busy');
  const step = fc.record({
    // Mostly the truth, or the leader would never sleep.
    kinds: fc.array(fc.constantFrom(...new Array(40).fill('honest'), ...BUSY, 'lost', ...Object.keys(WRONG)), {
      minLength: 8,
      maxLength: 8,
    }),
    draw: fc.nat(),
    write: fc.constantFrom(true, ...new Array(9).fill(false)),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), async (steps) => {
      const group = new Group(QUIESCE_AFTER_MS);
      await group.found();
      const written: Promise<unknown>[] = [];
      const take = async (kinds: readonly string[], draw: number, write: boolean): Promise<void> => {
        const requests = [{ type: 'submit', command: { add: 1, to: 'x' } }];
        if (write) written.push(group.lone.post('client', { requests }));
        for (const [i, call] of (await group.pass(STEP_MS)).entries()) {
          answer(group, call, kinds[i % kinds.length] ?? 'lost', draw + i);
        }
        for (let i = 0; i < 3; i += 1) await settled();
        group.check();
        if (group.checkSleep()) tally.note('the leader', 'idle', 'sleeps');
      };
      for (const { kinds, draw, write } of steps) await take(kinds, draw, write);
      // They speak plainly again. A write wakes them; afterwards all of them go to sleep.
      await take(['honest'], 0, true);
      for (let i = 0; i < 100 && !group.checkSleep(); i += 1) await take(['honest'], i, false);
      expect(group.checkSleep(), 'the leader sleeps').toBe(true);
      expect(isWhole(group), 'everybody has everything').toBe(true);
      await Promise.all(written);
    }),
    runs(60),
  );
});

function isWhole({ lone, matched }: Group): boolean {
  const { raft } = lone.peer;
  if (raft?.role !== 'leader' || raft.commitIndex !== raft.log.lastIndex) return false;
  return [...matched.values()].every((index) => index === raft.log.lastIndex);
}

test('leaders and candidates were answered in every way', () => {
  tally.expectReached({ AppendEntries: ['answered', 'lost'], RequestVote: ['answered', 'lost'] });
  tally.expectReached({ 'the leader': ['sleeps'] });
});
