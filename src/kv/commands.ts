/**
 * What the router asks of the key-value state machine, and what it answers: plain data, carried by MessagePack from
 * router to leader, and inside log entries.
 */

/** When a write may happen. Compared with the key's modRevision at the moment of `apply`. */
export type Condition =
  /** If-Match: one of these revisions. An empty list matches nothing. */
  | { readonly type: 'match'; readonly revisions: readonly number[] }
  /** If-Match: * */
  | { readonly type: 'exists' }
  /** If-None-Match: * */
  | { readonly type: 'absent' };

/** Who repeats this write, so that it is applied once (RIFL; Raft dissertation, section 6.3). */
export interface SessionRef {
  /** Clerks of users, or a router's own identity: two pools, with caps of their own; the same id may be in both. */
  readonly pool: 'clerk' | 'router';
  /** 1-64 of `A-Za-z0-9_-`. */
  readonly id: string;
  /** 1 to 2^53-1. */
  readonly seq: number;
  /** Every seq up to this one has its reply; 0 to seq-1. */
  readonly acked: number;
  /** SHA-256 of method, key, conditions and body, first 16 bytes: tells a repeat from another request. */
  readonly requestDigest: Uint8Array;
}

interface CommandBase {
  /** UTF-8, 1-1,024 bytes. */
  readonly key: Uint8Array;
  readonly condition: Condition | null;
  readonly session: SessionRef;
}

export interface PutCommand extends CommandBase {
  readonly op: 'put' | 'append';
  /** Put: the new value; append: the bytes to append. 0-1,048,576 bytes. */
  readonly value: Uint8Array;
  /** SHA-256 of `value`, first 16 bytes, computed by the router (`apply` is synchronous and would need JavaScript for it). */
  readonly valueDigest: Uint8Array;
}

export interface DeleteCommand extends CommandBase {
  readonly op: 'delete';
}

export type Command = PutCommand | DeleteCommand;

/** Results that are kept in the session and replayed. */
export type KeptResult =
  | { readonly type: 'written'; readonly created: boolean; readonly revision: number; readonly version: number }
  | { readonly type: 'deleted'; readonly revision: number; readonly deleted: 0 | 1 }
  /** modRevision: of the key as it is, null without one. */
  | { readonly type: 'precondition_failed'; readonly modRevision: number | null }
  /** An append whose result would pass 1 MiB. */
  | { readonly type: 'value_too_large' }
  | { readonly type: 'storage_full' };

export type SessionRefusal = 'session_expired' | 'seq_reused' | 'seq_acknowledged' | 'sessions_full';

export type CommandResult =
  | (KeptResult & { readonly replayed: boolean })
  /** Nothing was done, and the seq was not used up. */
  | { readonly type: SessionRefusal };

export type Query =
  | { readonly type: 'get'; readonly key: Uint8Array }
  | {
      readonly type: 'list';
      readonly prefix: Uint8Array;
      /** Only keys greater than this one; null: from the first. */
      readonly after: Uint8Array | null;
      /** 1-1000. */
      readonly limit: number;
      /** The revision to read at; null: the newest. */
      readonly revision: number | null;
    };

export interface KeyValue {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
}

/** `revision` is always the store's revision at that moment, except in a page, where it is the listing's. */
export type Answer =
  | { readonly type: 'value'; readonly item: KeyValue; readonly revision: number }
  | { readonly type: 'missing'; readonly revision: number }
  /**
   * Items in the order of their keys' bytes, at most `limit` and about 1 MiB of keys and values. `more`: the listing goes on
   * after `nextAfter` (null without more), which lies at or behind the last item. A page stops early where too many deleted
   * keys lie in a row: then it may hold fewer items than would fit, even none, with `more` true. `storeRevision`: the newest.
   */
  | {
      readonly type: 'page';
      readonly items: readonly KeyValue[];
      readonly more: boolean;
      readonly nextAfter: Uint8Array | null;
      readonly revision: number;
      readonly storeRevision: number;
    }
  /** The revision asked for is older than compactedRevision. */
  | { readonly type: 'compacted'; readonly revision: number }
  /** The revision asked for is newer than this peer's state (a stale read on a peer that lags). */
  | { readonly type: 'behind'; readonly revision: number };
