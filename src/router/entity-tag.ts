/** Entity tags and the conditions made of them (RFC 9110, sections 8.8.3 and 13.1). A tag of ours is a revision in quotes. */
import type { Condition } from '../kv/commands.ts';
import { MAX_CONDITION_REVISIONS } from '../kv/limits.ts';
import { invalid } from './problem.ts';

export interface EntityTag {
  readonly weak: boolean;
  /** Between the quotes. */
  readonly opaque: string;
}

const MAX_HEADER_CHARACTERS = 16_384;
/** Elements that say nothing ("a reasonable number of empty list elements", section 5.6.1.2) count too. */
const MAX_ELEMENTS = 1024;
/** White space that could belong to either of two places would be tried in both: time squared. */
const ELEMENT = /[ \t]*(?:(W\/)?"([\x21\x23-\x7e\x80-\u{10ffff}]*)"[ \t]*)?(,|$)/uy;

/** `*`, or at least one tag; null: a syntax error. */
export function parseEntityTags(header: string): '*' | EntityTag[] | null {
  if (header.length > MAX_HEADER_CHARACTERS) return null;
  if (/^[ \t]*\*[ \t]*$/.test(header)) return '*';
  const tags: EntityTag[] = [];
  const element = new RegExp(ELEMENT);
  for (let i = 0; i < MAX_ELEMENTS; i += 1) {
    const match = element.exec(header);
    if (match === null) return null;
    if (match[2] !== undefined) tags.push({ weak: match[1] !== undefined, opaque: match[2] });
    if (match[3] === '') return tags.length > 0 ? tags : null;
  }
  return null;
}

export function entityTag(revision: number): string {
  return `"${revision}"`;
}

/** Null: no revision has this tag (leading zeros, not a number, beyond what a revision can be). */
function revisionOf(opaque: string): number | null {
  if (!/^[1-9][0-9]{0,15}$/.test(opaque)) return null;
  const revision = Number(opaque);
  return Number.isSafeInteger(revision) ? revision : null;
}

/** The condition of a write; throws the 400 problem. */
export function parseWriteCondition(ifMatch: string | null, ifNoneMatch: string | null): Condition | null {
  if (ifMatch !== null && ifNoneMatch !== null) throw invalid('If-Match and If-None-Match exclude each other.');
  if (ifNoneMatch !== null) {
    if (parseEntityTags(ifNoneMatch) === '*') return { type: 'absent' };
    throw invalid('If-None-Match of a write must be *.');
  }
  if (ifMatch === null) return null;
  const tags = parseEntityTags(ifMatch);
  if (tags === null) throw invalid('If-Match must be * or a list of entity tags.');
  if (tags === '*') return { type: 'exists' };
  const revisions = new Set<number>();
  for (const { weak, opaque } of tags) {
    const revision = weak ? null : revisionOf(opaque);
    if (revision !== null) revisions.add(revision);
  }
  if (revisions.size > MAX_CONDITION_REVISIONS)
    throw invalid(`If-Match has more than ${MAX_CONDITION_REVISIONS} tags.`);
  return { type: 'match', revisions: [...revisions].sort((a, b) => a - b) };
}

/** If-None-Match of a read: tells of a modRevision whether the reader has it. Throws the 400 problem. */
export function parseReadCondition(ifNoneMatch: string | null): (modRevision: number) => boolean {
  if (ifNoneMatch === null) return () => false;
  const tags = parseEntityTags(ifNoneMatch);
  if (tags === null) throw invalid('If-None-Match must be * or a list of entity tags.');
  if (tags === '*') return () => true;
  // Weak comparison: the opaque parts decide.
  return (modRevision) => tags.some(({ opaque }) => opaque === String(modRevision));
}
