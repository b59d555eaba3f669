/**
 * A known bug, as a change of one or more places in `src`. The change is made at test time, while the module is loaded: `src`
 * has no switches. What is searched must be there exactly once: when `src` changes, a bug fails loudly instead of becoming
 * none.
 */
export interface Edit {
  /** Below `src`. */
  readonly file: string;
  readonly search: string;
  readonly replacement: string;
}

export interface Bug {
  readonly name: string;
  readonly edits: readonly Edit[];
  /** What may catch it: the simulator's message must match one of them. */
  readonly caughtBy: readonly RegExp[];
  /** Seeds within which it must be caught. */
  readonly seeds: number;
  /** The first of them. Default: 4. Another where a search from there would take too long for `npm test`. */
  readonly from?: number;
  /** Where it was seen: a paper's section, or a project and its issue. */
  readonly seenIn?: string;
}

export class StaleBug extends Error {
  override readonly name = 'StaleBug';
}

/** The text of one file with the bug in it. Throws StaleBug if a place is not found, or found more than once. */
export function applyEdits(bug: Bug, file: string, text: string): string {
  let changed = text;
  for (const { search, replacement } of bug.edits.filter((edit) => edit.file === file)) {
    const found = changed.split(search).length - 1;
    if (found !== 1) throw new StaleBug(`bug "${bug.name}": found ${found} times in src/${file}: ${search}`);
    changed = changed.replace(search, () => replacement);
  }
  return changed;
}
