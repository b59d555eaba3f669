/** How a request to a group can end without the state machine's word. */
import type { PeerId } from '../peer/protocol.ts';

export type Failure =
  /** Nothing was done: no leader was found in time. */
  | { readonly type: 'no_leader' }
  /** Nothing was done: too much is under way. */
  | { readonly type: 'overloaded' }
  /** Nothing was done: the peers' version does not understand the request. */
  | { readonly type: 'not_understood' }
  /** A write that may have been applied, or may be yet. */
  | { readonly type: 'outcome_unknown' }
  | { readonly type: 'no_such_group' }
  | { readonly type: 'no_such_peer' }
  /** Nothing was done: the one peer asked for cannot be reached, or founding could not reach all. */
  | { readonly type: 'peer_unreachable' }
  /** Nothing was done: the one peer asked for does not lead; whom it follows. */
  | { readonly type: 'not_leader'; readonly leader: PeerId | null };

export type Failed = { readonly ok: false; readonly failure: Failure };

export function failed(type: Exclude<Failure['type'], 'not_leader'>): Failed {
  return { ok: false, failure: { type } };
}
