/**
 * What a peer may reply to a router that is no reply: each kind bends the right one so that nothing of it may count. Whether the peer has
 * done what it was asked is another question.
 */
import { encodeBody, MAX_BODY_BYTES } from '../../src/peer/protocol.ts';
import { type Loose, noMessagePack, pick } from '../attack/bend.ts';

type Bend = (right: Loose, draw: number) => Uint8Array<ArrayBuffer>;

/** By the type of what stands there: what no field of that type may be. A null may become a value of some types, but of none of these. */
const NO_VALUES: Readonly<Record<string, readonly unknown[]>> = {
  number: ['1', {}, [], true, Number.NaN],
  string: [7, {}, [], true, 'y'.repeat(200), new Uint8Array(16)],
  boolean: [0, 1, 'true', {}, null],
  bytes: ['text', 7, [], {}],
  null: [{}, [], true, Number.NaN],
  array: [{}, 'x', 7, null, true],
  object: ['x', 7, null, [], true],
};

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (value instanceof Uint8Array) return 'bytes';
  return Array.isArray(value) ? 'array' : typeof value;
}

/** Every field of it, however deep, with whom it belongs to; not the metrics, of which any may be there or not. */
function* fieldsOf(value: Loose): Generator<{ readonly owner: Loose; readonly name: string }> {
  if (typeOf(value) !== 'object' && typeOf(value) !== 'array') return;
  for (const name of Object.keys(value)) {
    if (!Array.isArray(value)) yield { owner: value, name };
    if (name !== 'metrics') yield* fieldsOf(value[name]);
  }
}

/** A copy with one field changed. */
function bent(right: Loose, draw: number, change: (owner: Loose, name: string) => void): Uint8Array<ArrayBuffer> {
  const copy = structuredClone(right);
  const { owner, name } = pick([...fieldsOf(copy)], draw);
  change(owner, name);
  return encodeBody(copy);
}

/** Every reply has one. */
const withoutView: Bend = (right, draw) =>
  encodeBody({ ...right, view: pick<unknown>([undefined, null, 'mine', [], {}], draw) });

const TOO_LARGE = new Uint8Array(MAX_BODY_BYTES + 1);

export const MALFORMED: Readonly<Record<string, Bend>> = {
  'no MessagePack': noMessagePack,
  'too large': () => TOO_LARGE,
  'any value': (_, draw) => encodeBody(pick<unknown>([null, 0, '', 'ok', true, [], {}, [[]], new Uint8Array(9)], draw)),
  'without a view': withoutView,
  'a missing field': (right, draw) =>
    bent(right, draw, (owner, name) => {
      delete owner[name];
    }),
  'a field of another kind': (right, draw) =>
    bent(right, draw >> 3, (owner, name) => {
      owner[name] = pick(NO_VALUES[typeOf(owner[name])] as unknown[], draw);
    }),
  'an unknown word': (right, draw) => {
    const { replies, status } = right;
    if (status !== undefined) return encodeBody({ ...right, status: { ...status, role: pick(['king', ''], draw) } });
    if (replies === undefined) return withoutView(right, draw);
    const type = pick(['sure', '', 'Result', 'written'], draw);
    return encodeBody({ ...right, replies: replies.map((reply: Loose) => ({ ...reply, type })) });
  },
  'results of no kind': ({ replies, ...right }, draw) => {
    if (replies === undefined) return withoutView(right, draw);
    const result = pick<unknown>(
      [null, 'written', {}, [], { type: 'done' }, { type: 'written' }, { type: 'page' }],
      draw,
    );
    return encodeBody({ ...right, replies: replies.map((reply: Loose) => ({ ...reply, result })) });
  },
  'fewer replies': ({ replies, ...right }, draw) =>
    replies === undefined ? withoutView(right, draw) : encodeBody({ ...right, replies: replies.slice(1) }),
  'more replies than there may be': ({ replies, ...right }, draw) =>
    replies === undefined
      ? withoutView(right, draw)
      : encodeBody({ ...right, replies: new Array(1025).fill(replies[0] ?? { type: 'refused' }) }),
};
