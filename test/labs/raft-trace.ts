/** One event, one line, in fixed columns: time, server, role, term, log, commit, what happened. */
import type { Reply, Request } from '../../src/raft/messages.ts';
import type { Input } from '../../src/raft/types.ts';
import type { RaftServer } from './raft-server.ts';

export function traceLine(nowMs: number, server: RaftServer, what: Input | string): string {
  const { raft, id, up, connected } = server;
  const state = up ? raft.role.slice(0, 9) : 'down';
  const { firstIndex, lastIndex } = raft.log;
  const log = `[${firstIndex}..${lastIndex}] c${raft.commitIndex} a${raft.lastApplied}`;
  return [
    nowMs.toFixed(2).padStart(10),
    `S${id}${connected ? ' ' : '~'}`,
    state.padEnd(9),
    `t${raft.currentTerm}`.padEnd(5),
    log.padEnd(26),
    typeof what === 'string' ? what : describe(what),
  ].join(' ');
}

function describe(input: Input): string {
  switch (input.type) {
    case 'request':
    case 'reply':
      return describeMessage(input.message);
    case 'callFailed':
      return `call ${input.seq} to S${input.to} failed`;
    case 'durable':
      return `durable t${input.term} ${input.index}`;
    case 'applied':
      return `applied ${input.index}`;
    case 'staged':
      return `chunk ${input.message.chunk}: ${input.outcome}`;
    default:
      return input.type;
  }
}

function describeMessage(message: Request | Reply): string {
  const head = `<- S${message.from} ${message.type} ${message.seq} t${message.term}`;
  switch (message.type) {
    case 'RequestVote':
      return `${head}${message.preVote ? ' pre-vote' : ''} last ${message.lastLogIndex}/${message.lastLogTerm}`;
    case 'RequestVoteReply':
      return `${head}${message.preVote ? ' pre-vote' : ''} ${message.voteGranted ? 'granted' : 'refused'}`;
    case 'AppendEntries': {
      const { prevLogIndex, prevLogTerm, lastIndex, leaderCommit } = message;
      return `${head} after ${prevLogIndex}/${prevLogTerm} to ${lastIndex} commit ${leaderCommit}`;
    }
    case 'AppendEntriesReply':
      return `${head} ${message.success ? `match ${message.matchIndex}` : `conflict ${message.conflictIndex}/${message.conflictTerm}`}`;
    case 'InstallSnapshot':
      return `${head} ${message.lastIncludedIndex}/${message.lastIncludedTerm} chunk ${message.chunk}`;
    case 'InstallSnapshotReply':
      return `${head} ${message.outcome} ${message.chunk}`;
  }
}
