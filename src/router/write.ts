/** One write, under a clerk's identity or the router's own, applied once however often it is sent. */

import { commandBytes } from '../kv/command-bytes.ts';
import type { Command, CommandResult, Condition, SessionRef } from '../kv/commands.ts';
import type { Budget } from './budget.ts';
import { type Lease, type LeaseEnd, MAX_IDENTITIES } from './identity.ts';
import { askLeader, type LeaderAnswer } from './leader-request.ts';
import { type Failed, failed } from './outcome.ts';
import { parseCommandResult } from './peer-replies.ts';
import { askPeer } from './peer-request.ts';
import type { RouterContext } from './survey.ts';

/** A try of a write carries up to 1 MiB to the leader and on to a majority. */
export const WRITE_TRY_MS = 1500;
/** All identities of a pool may have expired, if the group was founded anew, say; then a new one does. */
const MAX_LEASES = MAX_IDENTITIES + 1;

export type WriteOperation =
  | {
      readonly op: 'put' | 'append';
      readonly key: Uint8Array;
      readonly condition: Condition | null;
      readonly value: Uint8Array;
      readonly valueDigest: Uint8Array;
    }
  | { readonly op: 'delete'; readonly key: Uint8Array; readonly condition: Condition | null };

export interface Write {
  readonly operation: WriteOperation;
  readonly requestDigest: Uint8Array;
  /** Null: the write brings no identity. */
  readonly clerk: { readonly id: string; readonly seq: number; readonly acked: number } | null;
  /** Only this peer is asked; null: whoever leads. */
  readonly peer: string | null;
}

type WriteResult = { readonly ok: true; readonly result: CommandResult };
export type WriteOutcome = WriteResult | Failed;
type SessionKey = Pick<SessionRef, 'pool' | 'id' | 'seq' | 'acked'>;

export async function write(
  context: RouterContext,
  group: string,
  request: Write,
  budget: Budget,
): Promise<WriteOutcome> {
  const { clerk } = request;
  if (clerk === null) return writeAsRouter(context, group, request, budget);
  const answer = await submit(context, group, request, () => ({ pool: 'clerk', ...clerk }), budget);
  if (!answer.ok) return failureOf(answer);
  const { result } = answer;
  const unknownSession = result.type === 'session_expired' || result.type === 'sessions_full';
  // The session may have held this very request's reply before it went.
  if (answer.uncertain && unknownSession) return failed('outcome_unknown');
  return { ok: true, result };
}

async function writeAsRouter(
  context: RouterContext,
  group: string,
  request: Write,
  budget: Budget,
): Promise<WriteOutcome> {
  const { identities, identitiesForOnePeer } = context.directory.of(group);
  const pool = request.peer === null ? identities : identitiesForOnePeer;
  for (let i = 0; i < MAX_LEASES; i += 1) {
    const lease = await pool.acquire(budget.deadlineMs);
    if (lease === 'full') return failed('overloaded');
    if (lease === 'late') return failed('no_leader');
    let end: LeaseEnd = 'unknown';
    try {
      const written = await writeUnderLease(context, group, request, lease, budget);
      end = written.end;
      if (written.outcome !== null) return written.outcome;
    } finally {
      lease.end(end);
    }
  }
  return failed('no_leader');
}

/** A null outcome: nothing was done, and another identity may be tried. */
async function writeUnderLease(
  context: RouterContext,
  group: string,
  request: Write,
  lease: Lease,
  budget: Budget,
): Promise<{ outcome: WriteOutcome | null; end: LeaseEnd }> {
  const session = (): SessionKey => ({ pool: 'router', id: lease.id, seq: lease.seq, acked: lease.acked });
  const answer = await submit(context, group, request, session, budget);
  if (!answer.ok) return { outcome: failureOf(answer), end: answer.uncertain ? 'unknown' : 'unused' };
  const { result } = answer;
  switch (result.type) {
    case 'session_expired':
    case 'seq_acknowledged':
    case 'seq_reused':
      return { outcome: answer.uncertain ? failed('outcome_unknown') : null, end: 'expired' };
    case 'sessions_full':
      return answer.uncertain
        ? { outcome: failed('outcome_unknown'), end: 'unknown' }
        : { outcome: failed('overloaded'), end: 'unused' };
    default:
      return { outcome: { ok: true, result }, end: 'kept' };
  }
}

/** What a write ends with that got no result: "nothing was done" only if no try of it may have been applied. */
function failureOf({ failure, uncertain }: Failed & { readonly uncertain: boolean }): Failed {
  return uncertain ? failed('outcome_unknown') : { ok: false, failure };
}

function submit(
  context: RouterContext,
  group: string,
  { operation, requestDigest, peer }: Write,
  session: () => SessionKey,
  budget: Budget,
): Promise<LeaderAnswer<CommandResult>> {
  const request = () => {
    const command: Command = { ...operation, session: { ...session(), requestDigest } };
    return { type: 'submit' as const, command };
  };
  const bytes = commandBytes(operation);
  const common = {
    group,
    company: 'writes' as const,
    request,
    bytes,
    timeoutMs: WRITE_TRY_MS,
    parse: (result: unknown) => parseCommandResult(operation.op, result),
    budget,
  };
  return peer === null ? askLeader(context, common) : askPeer(context, { ...common, peer, leads: true, writes: true });
}
