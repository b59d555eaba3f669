/** Messages for tests of one peer: only what a test is about has to be said. */
import type {
  AppendEntries,
  AppendEntriesReply,
  InstallSnapshot,
  RequestVote,
  RequestVoteReply,
} from '../../src/raft/messages.ts';
import { configurationOf, encodeText, entryOf } from './entries.ts';

const to = 1;
let nextSeq = 1_000_000;

export function requestVote(message: Partial<RequestVote>): RequestVote {
  nextSeq += 1;
  return {
    type: 'RequestVote',
    term: 2,
    from: 2,
    to,
    seq: nextSeq,
    preVote: false,
    lastLogIndex: 1,
    lastLogTerm: 1,
    unanswered: [],
    ...message,
  };
}

export function preVote(message: Partial<RequestVote>): RequestVote {
  return requestVote({ ...message, preVote: true });
}

/** Entries of the given terms, after prevLogIndex. */
export function appendEntries(
  message: Partial<Omit<AppendEntries, 'entries' | 'lastIndex'>> & { terms?: readonly number[] },
): AppendEntries {
  const { terms = [], prevLogIndex = 1, ...rest } = message;
  nextSeq += 1;
  return {
    type: 'AppendEntries',
    term: 2,
    from: 2,
    to,
    seq: nextSeq,
    prevLogTerm: 1,
    leaderCommit: 0,
    quiesceRound: 0,
    quiesce: false,
    prevLogIndex,
    lastIndex: prevLogIndex + terms.length,
    entries: terms.map((term, i) => entryOf(prevLogIndex + 1 + i, term)),
    ...rest,
  };
}

/** A chunk with the given commands; the last one unless `next` says otherwise. */
export function installSnapshot(
  message: Partial<InstallSnapshot> & { items?: readonly string[]; next?: number; total?: number },
): InstallSnapshot {
  const { items = [], next, total = items.length, ...rest } = message;
  nextSeq += 1;
  return {
    type: 'InstallSnapshot',
    term: 2,
    from: 2,
    to,
    seq: nextSeq,
    cutId: 'cut',
    lastIncludedIndex: 5,
    lastIncludedTerm: 1,
    configuration: configurationOf(3),
    chunk: 0,
    cursor: null,
    page: {
      applyVersion: 1,
      data: encodeText(JSON.stringify(items)),
      next: next === undefined ? null : encodeText(String(next)),
      header: total,
    },
    ...rest,
  };
}

/** What a follower would answer that has everything the message carried. */
export function accepted(message: AppendEntries, reply: Partial<AppendEntriesReply> = {}): AppendEntriesReply {
  return {
    type: 'AppendEntriesReply',
    term: message.term,
    from: message.to,
    to: message.from,
    seq: message.seq,
    applyVersion: 1,
    success: true,
    matchIndex: message.lastIndex,
    conflictIndex: 0,
    conflictTerm: 0,
    quiesced: false,
    ...reply,
  };
}

export function rejected(message: AppendEntries, conflictIndex: number, conflictTerm: number): AppendEntriesReply {
  return accepted(message, { success: false, matchIndex: 0, conflictIndex, conflictTerm });
}

export function voteFor(message: RequestVote, reply: Partial<RequestVoteReply> = {}): RequestVoteReply {
  return {
    type: 'RequestVoteReply',
    term: message.preVote ? message.term - 1 : message.term,
    from: message.to,
    to: message.from,
    seq: message.seq,
    preVote: message.preVote,
    voteGranted: true,
    retryAfterMs: null,
    ...reply,
  };
}
