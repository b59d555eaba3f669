/** Random lives of a store: entries, time, and what each peer does on its own. Seqs are chosen relative to what was used. */
import fc from 'fast-check';
import type { Command, Condition } from '../../src/kv/commands.ts';
import type { Model } from './model.ts';
import { command, type Op } from './replica.ts';

/** Of long ones, few supersessions fit into a row of their queue. */
const LONG = 'k'.repeat(1000);
const KEYS = ['a', 'a\0', 'ab', 'b', 'é', LONG, `${LONG}2`];
const CLERKS = ['x', 'y', 'z', 'u', 'v'];

interface Draft {
  readonly op: Op;
  readonly key: string;
  readonly value: string;
  readonly condition: 'none' | 'exists' | 'absent' | 'match' | 'stale';
  readonly pool: 'clerk' | 'router';
  readonly id: string;
  readonly seq: 'next' | 'first' | 'repeat' | 'older' | 'gap' | 'far';
  readonly acked: 'none' | 'behind' | 'all';
  readonly repeatOf: number;
}

export type Step =
  | { readonly type: 'entry'; readonly drafts: readonly Draft[]; readonly elapsedMs: number }
  | { readonly type: 'wait'; readonly minutes: number }
  | {
      readonly type: 'local';
      readonly replica: 0 | 1;
      readonly action: 'housekeep' | 'restart' | 'begin' | 'page' | 'again' | 'transfer' | 'end';
      readonly maxBytes: number;
    };

const draft: fc.Arbitrary<Draft> = fc.record({
  op: fc.constantFrom('put', 'put', 'append', 'delete'),
  key: fc.constantFrom(...KEYS),
  value: fc.constantFrom('', '1', 'two', 'x'.repeat(100), 'y'.repeat(1500)),
  condition: fc.constantFrom('none', 'none', 'none', 'exists', 'absent', 'match', 'stale'),
  pool: fc.constantFrom('clerk', 'router'),
  id: fc.constantFrom(...CLERKS),
  seq: fc.constantFrom('next', 'next', 'next', 'first', 'repeat', 'older', 'gap', 'far'),
  acked: fc.constantFrom('none', 'none', 'behind', 'all'),
  repeatOf: fc.nat(20),
});

export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        type: fc.constant('entry' as const),
        drafts: fc.array(draft, { maxLength: 6 }),
        elapsedMs: fc.constantFrom(0, 1, 5000, 60_000),
      }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('wait' as const), minutes: fc.constantFrom(1, 2, 11, 61) }) },
    {
      weight: 4,
      arbitrary: fc.record({
        type: fc.constant('local' as const),
        replica: fc.constantFrom(0, 1),
        action: fc.constantFrom('housekeep', 'restart', 'begin', 'page', 'again', 'transfer', 'end'),
        maxBytes: fc.constantFrom(1, 300, 2000, 100_000),
      }),
    },
  ),
  { maxLength: 60, size: 'max' },
);

/** The commands of an entry; repeats come from `sent`, the commands of all entries before, to which these are added. */
export function commandsOf(drafts: readonly Draft[], model: Model, sent: Command[]): Command[] {
  return drafts.map((each) => {
    const old = sent[sent.length - 1 - each.repeatOf];
    const made = each.seq === 'repeat' && old !== undefined ? old : fresh(each, model, sent);
    sent.push(made);
    return made;
  });
}

function fresh(each: Draft, model: Model, sent: readonly Command[]): Command {
  // Commands of this very entry count too: the model does not know them yet.
  const mine = sent.slice(-6).filter(({ session }) => session.pool === each.pool && session.id === each.id);
  const highest = Math.max(model.highestSeq(each.pool, each.id), ...mine.map(({ session }) => session.seq));
  const seq = {
    next: highest + 1,
    first: 1,
    repeat: highest,
    older: highest - each.repeatOf,
    gap: highest + 3,
    far: highest + 256,
  }[each.seq];
  const valid = Math.max(1, model.highestSeq(each.pool, each.id) === 0 && each.seq === 'next' ? 1 : seq);
  const acked = { none: 0, behind: Math.max(0, valid - 4), all: valid - 1 }[each.acked];
  return command(each.op, each.key, each.op === 'delete' ? '' : each.value, {
    condition: conditionOf(each, model),
    session: { pool: each.pool, id: each.id, seq: valid, acked },
  });
}

function conditionOf(each: Draft, model: Model): Condition | null {
  if (each.condition === 'none') return null;
  if (each.condition === 'exists' || each.condition === 'absent') return { type: each.condition };
  const current = model.get(each.key)?.modRevision ?? 0;
  return { type: 'match', revisions: each.condition === 'match' ? [1, current] : [current + 1] };
}
