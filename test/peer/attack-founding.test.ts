/**
 * What a founder is answered: garbage, half answers, answers of other members, members that were reset meanwhile. A group is founded when
 * every member truly holds its groupId, and not before; a request to found is answered whatever happens, and once the others speak
 * plainly, it succeeds. Longer, or again: see test/attack/runs.ts.
 */
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { type Loose, noMessagePack, pick } from '../attack/bend.ts';
import { runs, seed, timeoutOf } from '../attack/runs.ts';
import { Tally } from '../attack/tally.ts';
import { Counters } from '../simulation/counter.ts';
import { type Call, LonePeer, membersOf, Octets, settled } from './lone-peer.ts';

const tally = new Tally();
afterAll(() => tally.print(`Answers to a founder, seed ${seed}`));

/** A member as it truly is. */
class Unfounded {
  nonce: string;
  groupId: string | null = null;

  constructor(nonce: string) {
    this.nonce = nonce;
  }

  /** Its instance ended: what it made in memory is another one now. */
  reset(): void {
    this.nonce += '+';
  }

  answer({ route, body }: Call): Loose {
    if (route === 'founding/ask') return { nonce: this.nonce, groupId: this.groupId, hasLog: false };
    if (this.groupId === null && body.nonce === this.nonce) this.groupId = body.groupId as string;
    return { stored: this.groupId === body.groupId };
  }
}

/** In place of the right answer, which is given to be bent. */
const WRONG: Readonly<Record<string, (right: Loose, draw: number) => unknown>> = {
  'any bytes': (_, draw) => pick<unknown>([null, 0, '', 'stored', [], {}, [[]], true, new Uint8Array(9)], draw),
  'no MessagePack': (right, draw) => new Octets(noMessagePack(right, draw)),
  'a missing field': (right, draw) => {
    const { [pick(Object.keys(right), draw)]: _, ...rest } = right;
    return rest;
  },
  'a field of another kind': (right, draw) => {
    const odd = [undefined, 7, [], {}, new Uint8Array(16), 'y'.repeat(65), Number.NaN];
    return { ...right, [pick(Object.keys(right), draw >> 4)]: pick<unknown>(odd, draw) };
  },
  'of another question': (right, draw) =>
    'stored' in right ? { nonce: 'n', groupId: null, hasLog: false } : { stored: draw % 2 === 0 },
  'of another group': (right, draw) => ('stored' in right ? null : { ...right, groupId: pick(['', 'x'], draw) }),
  'another nonce': (right, draw) =>
    'stored' in right ? null : { ...right, nonce: pick(['', 'old', right.nonce.slice(1)], draw) },
  'has a log': (right) => ('stored' in right ? null : { ...right, hasLog: true }),
};

class Founding {
  readonly lone = new LonePeer((sql) => new Counters(sql));
  readonly members: ReadonlyMap<string, Unfounded>;
  readonly #all: ReturnType<typeof membersOf>;

  constructor(size: number) {
    this.#all = membersOf(size);
    const others = this.#all
      .slice(1)
      .map(({ id }): [string, Unfounded] => [`default/${id}.1`, new Unfounded(`n${id}`)]);
    this.members = new Map(others);
  }

  /** One request of a router; every call that it leads to is answered as the next kind says. True: it is founded. */
  async attempt(kinds: readonly string[], draw: number): Promise<boolean> {
    const { lone } = this;
    let ended: { readonly complete: unknown } | null = null;
    lone.post('found', { members: this.#all, nonce: lone.peer.nonce }).then((reply) => {
      ended = { complete: reply.complete };
    });
    // A question and a store for each member: two rounds, and nothing after them.
    for (let round = 0; round < 4 && ended === null; round += 1) {
      await settled(3);
      // Once it is founded it leads, and calls for more.
      const calls = lone.calls.splice(0).filter(({ route }) => route !== 'raft');
      calls.forEach((call, i) => {
        this.#answer(call, pick(kinds, 4 * round + i), draw + i);
      });
      this.#check();
    }
    await settled(3);
    this.#check();
    expect(ended, 'the request was answered').not.toBeNull();
    expect((ended as unknown as { complete: boolean }).complete).toBe(this.isFounded);
    return this.isFounded;
  }

  #answer(call: Call, kind: string, draw: number): void {
    const member = this.members.get(call.to);
    if (member === undefined) throw new Error(`${call.to} is no member`);
    const wrong = WRONG[kind];
    if (kind === 'reset') member.reset();
    tally.note(call.route, kind, kind === 'lost' ? 'lost' : 'answered');
    // What is lost, or answered wrongly, may have been done all the same.
    const acts = wrong === undefined ? kind !== 'lost' || draw % 2 === 0 : draw % 2 === 0;
    const right = acts ? member.answer(call) : Object.assign(new Unfounded(member.nonce), member).answer(call);
    if (kind === 'lost') call.fail();
    else call.answer(wrong === undefined ? right : wrong(right, draw));
  }

  get isFounded(): boolean {
    return (this.lone.peer.raft?.log.lastIndex ?? 0) > 0;
  }

  #check(): void {
    const { aborted, peer } = this.lone;
    expect(aborted).toBeNull();
    if (!this.isFounded) return;
    for (const [name, { groupId }] of this.members) expect(groupId, name).toBe(peer.identity?.groupId);
  }
}

test('a group is founded when every member truly holds its groupId, whatever the founder is told', {
  timeout: timeoutOf(60_000),
}, async () => {
  const kind = fc.constantFrom('honest', 'honest', 'honest', 'lost', 'reset', ...Object.keys(WRONG));
  const attempt = fc.record({ kinds: fc.array(kind, { minLength: 12, maxLength: 12 }), draw: fc.nat() });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(3, 5, 7), fc.array(attempt, { minLength: 1, maxLength: 8 }), async (size, all) => {
      const founding = new Founding(size);
      for (const { kinds, draw } of all) if (await founding.attempt(kinds, draw)) break;
      if (!founding.isFounded) expect(await founding.attempt(['honest'], 0)).toBe(true);
    }),
    runs(200),
  );
});

test('every question and every store was answered in every way', () => {
  tally.expectReached({ 'founding/ask': ['answered', 'lost'], 'founding/store': ['answered', 'lost'] });
});
