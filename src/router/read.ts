/** Reads: from the leader, confirmed by a quorum; or stale, from whoever answers. Repeating them is always safe. */
import type { Answer, Query } from '../kv/commands.ts';
import { MAX_KEY_BYTES } from '../kv/limits.ts';
import type { Member } from '../peer/protocol.ts';
import type { Budget } from './budget.ts';
import { DEFAULT_GROUP, makeReady } from './founding.ts';
import { askLeader, type LeaderAnswer } from './leader-request.ts';
import { type Failed, failed } from './outcome.ts';
import { parseAnswer } from './peer-replies.ts';
import { askPeer } from './peer-request.ts';
import type { RouterContext } from './survey.ts';

const READ_TRY_MS = 1200;
const STALE_TRY_MS = 700;
/** About what a query takes with a key of the largest size. */
const QUERY_BYTES = MAX_KEY_BYTES + 64;
/** Rounds of all peers in which each one lags behind the revision asked for. */
const MAX_BEHIND_ROUNDS = 3;
const MAX_OVERLOADED_ROUNDS = 2;

export interface Read {
  readonly query: Query;
  readonly consistency: 'linearizable' | 'stale';
  /** Only this peer is asked; null: the leader, or any peer for a stale read. */
  readonly peer: string | null;
}

/**
 * `ageMs`: how old the answering peer's contact with its leader was; null: it had none since its start. `groupId`: of the group that
 * answered.
 */
export type ReadOutcome =
  | { readonly ok: true; readonly answer: Answer; readonly ageMs: number | null; readonly groupId: string }
  | Failed;

export async function read(context: RouterContext, group: string, request: Read, budget: Budget): Promise<ReadOutcome> {
  const { query, consistency, peer } = request;
  if (peer === null && consistency === 'stale') return readStale(context, group, query, budget);
  const common = {
    group,
    company: query.type === 'get' ? ('gets' as const) : null,
    request: () => ({ type: 'query' as const, consistency, query }),
    bytes: QUERY_BYTES,
    timeoutMs: READ_TRY_MS,
    parse: (result: unknown) => parseAnswer(query.type, result),
    budget,
  };
  if (peer === null) return outcome(await askLeader(context, common));
  return outcome(await askPeer(context, { ...common, peer, leads: consistency === 'linearizable', writes: false }));
}

function outcome(answer: LeaderAnswer<Answer>): ReadOutcome {
  if (!answer.ok) return { ok: false, failure: answer.failure };
  const { result, ageMs, groupId } = answer;
  return { ok: true, answer: result, ageMs, groupId };
}

/** Any peer will do: the one that answered last time first, then the others in turn. */
async function readStale(context: RouterContext, group: string, query: Query, budget: Budget): Promise<ReadOutcome> {
  let behindRounds = 0;
  let overloadedRounds = 0;
  let lookups = 0;
  while (!budget.spent) {
    const round = await askInTurn(context, group, query, budget);
    if (round.type === 'answer') return { ok: true, ...round.answered };
    if (round.type === 'refused') return failed('not_understood');
    if (round.type === 'behind') behindRounds += 1;
    if (round.type === 'overloaded') overloadedRounds += 1;
    if (behindRounds >= MAX_BEHIND_ROUNDS) break;
    if (overloadedRounds >= MAX_OVERLOADED_ROUNDS) return failed('overloaded');
    if (round.type === 'unfounded' && !budget.spent) {
      const readiness = await makeReady(context, group, group === DEFAULT_GROUP, budget);
      if (readiness === 'missing') return failed('no_such_group');
      lookups += 1;
      if (readiness === 'ready' && lookups === 1) continue;
    }
    await budget.pause();
  }
  return failed('no_leader');
}

type Round =
  | {
      readonly type: 'answer';
      readonly answered: Pick<Extract<ReadOutcome, { ok: true }>, 'answer' | 'ageMs' | 'groupId'>;
    }
  | { readonly type: 'behind' | 'overloaded' | 'refused' | 'unfounded' | 'silence' };

async function askInTurn(context: RouterContext, group: string, query: Query, budget: Budget): Promise<Round> {
  const memory = context.directory.of(group);
  const trip = {
    company: query.type === 'get' ? ('staleGets' as const) : null,
    request: () => ({ type: 'query' as const, consistency: 'stale' as const, query }),
    bytes: QUERY_BYTES,
    timeoutMs: STALE_TRY_MS,
  };
  let round: Round = { type: 'silence' };
  for (const member of readers(context, group)) {
    if (budget.spent) break;
    const arrival = await memory.calls.ask(member, trip, budget).arrival();
    if (memory.staleReader === member.id) memory.staleReader = null;
    if (arrival.type === 'silence') continue;
    const { view, reply: said } = arrival;
    if (view.groupId === null) {
      // With members known it may be this one alone that was wiped.
      if (round.type === 'silence') round = { type: 'unfounded' };
      continue;
    }
    memory.learn(view);
    if (said.type === 'refused') return { type: 'refused' };
    if (said.type === 'overloaded') round = { type: 'overloaded' };
    const answer = said.type === 'result' ? parseAnswer(query.type, said.result) : null;
    if (answer === null || said.type !== 'result') continue;
    if (answer.type === 'behind') {
      round = { type: 'behind' };
      continue;
    }
    memory.staleReader = member.id;
    return { type: 'answer', answered: { answer, ageMs: said.ageMs, groupId: view.groupId } };
  }
  return round;
}

function readers(context: RouterContext, group: string): Member[] {
  const memory = context.directory.of(group);
  const members = memory.members.length > 0 ? memory.members : context.firstMembers;
  const last = members.findIndex(({ id }) => id === memory.staleReader);
  const start = last >= 0 ? last : Math.floor(context.platform.random() * members.length);
  return [...members.slice(start), ...members.slice(0, start)];
}
