/**
 * What the clerks write: pieces, each of them unique, so that any value tells which writes made it. A piece may be padded, to
 * give the log weight; the history keeps values without their padding, and a value that is damaged anywhere
 * becomes one that nobody has written.
 */
export interface Piece {
  /** As the history knows it. */
  readonly text: string;
  /** As it is sent. */
  readonly sent: string;
}

const NAME = /<([a-z0-9-]+)\.(\d+)(?:\+(\d+))?>/y;
/** Of a damaged value, in the history. */
const SHOWN_CHARACTERS = 200;

/** Piece number `n` of `writer` (letters, digits, hyphens). */
export function piece(writer: string, n: number, paddingBytes = 0): Piece {
  const text = paddingBytes === 0 ? `<${writer}.${n}>` : `<${writer}.${n}+${paddingBytes}>`;
  return { text, sent: text + '.'.repeat(paddingBytes) };
}

/** The value without its padding. */
export function withoutPadding(value: string): string {
  let text = '';
  let at = 0;
  while (at < value.length) {
    NAME.lastIndex = at;
    const match = NAME.exec(value);
    if (match === null) return damaged(value, at);
    const from = at + match[0].length;
    at = from + Number(match[3] ?? 0);
    for (let i = from; i < at; i += 1) if (value[i] !== '.') return damaged(value, i);
    text += match[0];
  }
  return text;
}

function damaged(value: string, at: number): string {
  const around = value.slice(Math.max(0, at - SHOWN_CHARACTERS / 2), at + SHOWN_CHARACTERS / 2);
  return `damaged at ${at} of ${value.length}: ${around}`;
}

/** The pieces of a value without padding, in their order; null if it consists of anything else. */
export function piecesOf(text: string): string[] | null {
  const pieces: string[] = [];
  for (let at = 0; at < text.length; ) {
    NAME.lastIndex = at;
    const match = NAME.exec(text);
    if (match === null) return null;
    pieces.push(match[0]);
    at += match[0].length;
  }
  return pieces;
}

/** Who wrote a piece, and which of his it is. */
export function authorOf(text: string): { readonly writer: string; readonly n: number } | null {
  NAME.lastIndex = 0;
  const match = NAME.exec(text);
  return match === null ? null : { writer: match[1] ?? '', n: Number(match[2]) };
}
