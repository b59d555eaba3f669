/** How messages and peers look in a scenario file. Log positions are written index/term. */
import type { Reply, Request } from '../../src/raft/messages.ts';
import type { Entry } from '../../src/raft/types.ts';
import type { CoreHost } from './core-host.ts';

export function describeMessage(message: Request | Reply): string {
  return `${message.from} → ${message.to}  ${body(message)}`;
}

function body(message: Request | Reply): string {
  const { term } = message;
  switch (message.type) {
    case 'RequestVote': {
      const what = message.preVote ? 'PreVote' : 'RequestVote';
      return `${what} for term ${term}, log ends at ${message.lastLogIndex}/${message.lastLogTerm}`;
    }
    case 'RequestVoteReply': {
      const retry = message.retryAfterMs === null ? '' : `, there is a leader; ask again in ${message.retryAfterMs} ms`;
      return `${message.voteGranted ? 'yes' : 'no'} (term ${term})${retry}`;
    }
    case 'AppendEntries': {
      const entries = describeEntries(message.entries);
      const what = entries !== '' ? `append ${entries}` : message.quiesce ? 'sleep, if equal,' : 'heartbeat';
      return `${what} after ${message.prevLogIndex}/${message.prevLogTerm}, committed ${message.leaderCommit} (term ${term})`;
    }
    case 'AppendEntriesReply':
      if (message.success && message.quiesced) return `yes, asleep at ${message.matchIndex} (term ${term})`;
      if (message.success) return `yes, equal up to ${message.matchIndex} (term ${term})`;
      return `no, at most up to ${message.conflictIndex}/${message.conflictTerm} (term ${term})`;
    case 'InstallSnapshot':
      return `snapshot of ${message.lastIncludedIndex}/${message.lastIncludedTerm}, chunk ${message.chunk}${
        message.page?.next === null ? ', the last' : ''
      } (term ${term})`;
    case 'InstallSnapshotReply':
      return message.outcome === 'staged' ? `staged, next is chunk ${message.chunk}` : message.outcome;
  }
}

/** Long runs of one term are shortened to their ends. */
function describeEntries(entries: readonly Entry[]): string {
  const words: string[] = [];
  for (let i = 0; i < entries.length; ) {
    const { index, term } = entries[i]!;
    let run = 1;
    while (entries[i + run]?.term === term) run += 1;
    if (run > 4) words.push(`${index}/${term} … ${index + run - 1}/${term}`);
    else for (let j = 0; j < run; j += 1) words.push(`${index + j}/${term}`);
    i += run;
  }
  return words.join(' ');
}

/** Terms of the log, one an entry; what is compacted stands in front, in brackets. */
function describeLog({ disk }: CoreHost): string {
  const terms = disk.entries.map(({ term }) => String(term));
  if (disk.lastIncludedIndex > 0) terms.unshift(`[${disk.lastIncludedIndex}/${disk.lastIncludedTerm}]`);
  return terms.join(' ');
}

export function describePeers(hosts: Iterable<CoreHost>, isDown: (id: number) => boolean): string[] {
  const rows = [['peer', 'role', 'term', 'committed', 'log (terms)']];
  for (const host of hosts) {
    const { raft } = host;
    const role = isDown(host.id) ? 'down' : raft.role;
    rows.push([host.id, role, raft.currentTerm, raft.commitIndex, describeLog(host)].map(String));
  }
  return table(rows);
}

export function describeStates(hosts: Iterable<CoreHost>): string[] {
  return table([...hosts].map((host) => [`${host.id}`, host.disk.state.join(' ') || '(nothing)']));
}

export function describeProgress({ raft }: CoreHost): string[] {
  const rows = [['peer', 'state', 'match', 'next', 'in flight']];
  for (const { id, state, matchIndex, nextIndex, inFlight, silent } of raft.progress.values()) {
    rows.push([`${id}`, silent ? `${state}, silent` : state, `${matchIndex}`, `${nextIndex}`, `${inFlight.size}`]);
  }
  return table(rows);
}

function table(rows: readonly (readonly string[])[]): string[] {
  const columns = rows[0]?.length ?? 0;
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
