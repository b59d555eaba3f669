/** What a hunt and its processes tell each other. */

/** Instead of a bug's name: nothing is changed, through the same loader. */
export const UNCHANGED = 'unchanged';

export interface BugJob {
  readonly seed: number;
}

export type BugReport =
  | { readonly type: 'passed'; readonly events: number }
  | { readonly type: 'caught'; readonly message: string };
