/** What a leader and a candidate may be answered instead of the truth: garbage, answers of others, of before, of another group. */
import { type Loose, noMessagePack, pick } from '../attack/bend.ts';
import { type AttackedGroup, OTHERS } from './attacked-group.ts';
import { type Call, Octets } from './lone-peer.ts';

const NO_NUMBERS: readonly unknown[] = [Number.NaN, -1, 0.5, 2 ** 53, '1', null, undefined, {}, []];

/** In place of the right answer, which is given to be bent; the peer itself has said nothing. Null: not for this one. */
export const WRONG: Readonly<Record<string, (right: Loose, draw: number, group: AttackedGroup) => unknown>> = {
  'any bytes': (_, draw) => pick<unknown>([null, 0, '', [], {}, [[]], new Uint8Array(9), { replies: [] }], draw),
  'no MessagePack': (right, draw) => new Octets(noMessagePack(right, draw)),
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

/** The same for a chunk of a snapshot. */
export const WRONG_ABOUT_A_CHUNK: typeof WRONG = {
  ...WRONG,
  'another cut': ({ replies: [reply], ...right }, draw) => ({
    ...right,
    replies: [{ ...reply, outcome: 'installed', cutId: pick(['', 'x', `${reply.cutId} `, 'y'.repeat(64)], draw) }],
  }),
  'no cut': ({ replies: [reply], ...right }, draw) => ({
    ...right,
    replies: [{ ...reply, cutId: pick<unknown>([null, 7, [], 'y'.repeat(65), new Uint8Array(32)], draw) }],
  }),
  'no outcome': ({ replies: [reply], ...right }, draw) => ({
    ...right,
    replies: [{ ...reply, outcome: pick<unknown>(['done', '', 'Installed', null, true, 0, ['installed']], draw) }],
  }),
  'no cursor': ({ replies: [reply], ...right }, draw) => ({
    ...right,
    replies: [{ ...reply, cursor: pick<unknown>(['text', 7, {}, [1], true, new Uint8Array(4097)], draw) }],
  }),
};

/** How a call is answered; for the table. */
export interface Answered {
  readonly asked: string;
  readonly how: string;
  readonly end: 'answered' | 'lost';
}

/** Answers a call by the book, or as `kind` says: one of WRONG (or of WRONG_ABOUT_A_CHUNK, to a chunk), `lost`, `busy`. */
export function answer(group: AttackedGroup, call: Call, kind: string, draw: number): Answered {
  const asked: string = (call.body.messages as Loose[])[0].type;
  const wrong = (asked === 'InstallSnapshot' ? WRONG_ABOUT_A_CHUNK : WRONG)[kind];
  if (kind === 'lost') {
    call.fail();
    return { asked, how: 'by the book', end: 'lost' };
  }
  if (wrong === undefined) call.answer(group.honest(call, kind === 'busy'));
  // Bent from what it would have said; it says nothing, so it has promised nothing.
  else call.answer(wrong(group.followers.copy().answer(call, false), draw, group) ?? {});
  return { asked, how: wrong === undefined ? 'by the book' : kind, end: 'answered' };
}
