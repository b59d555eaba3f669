import { expect, test } from 'vitest';
import { encodeEntry } from '../../src/peer/entry-codec.ts';
import { encodeAnswer, encodeEnvelope } from '../../src/peer/message-codec.ts';
import type { Reply, Request } from '../../src/raft/messages.ts';
import { isReply } from '../raft/core-host.ts';
import { RaftLab } from './raft-lab.ts';
import { DEPTH, GROUP_ID, replyBytes, requestBytes } from './raft-wire.ts';

function encodedBytes(message: Request | Reply): number {
  if (isReply(message)) return encodeAnswer(GROUP_ID, [message]).byteLength;
  const envelope = { groupId: GROUP_ID, from: message.from, depth: DEPTH };
  if (message.type !== 'AppendEntries') return encodeEnvelope(envelope, [{ message }]).byteLength;
  const stored = message.entries.map((entry) => ({ entry, data: encodeEntry(entry) }));
  return encodeEnvelope(envelope, [{ message, stored }]).byteLength;
}

/** Elections, long catch-ups, snapshots in chunks; numbers of one to three bytes, commands of 1 to 70,000. */
test('the bytes that the labs count are those of the production codec, for every message of a run', () => {
  const lab = new RaftLab({ seed: 1, servers: 3, unreliable: true, limits: { tailEntries: 20, retainedBytes: 1000 } });
  const seen = new Map<string, number>();
  lab.network.onMessage = (message) => {
    seen.set(message.type, (seen.get(message.type) ?? 0) + 1);
    expect(isReply(message) ? replyBytes(message) : requestBytes(message), message.type).toBe(encodedBytes(message));
  };
  lab.one('first', 3, true);
  for (let round = 0; round < 4; round += 1) {
    const leader = lab.checkOneLeader();
    lab.disconnect(leader + 1);
    for (let n = 0; n < 100; n += 1) lab.propose(leader, lab.randomCommand());
    lab.one('x'.repeat([1, 300, 3000, 70_000][round]!), 2, true);
    lab.connect(leader + 1);
    lab.crash(leader);
    lab.start(leader);
    lab.one(lab.randomCommand(), 3, true);
  }
  expect(lab.snapshotsInstalled).toBeGreaterThan(0);
  expect([...seen.keys()].sort()).toEqual([
    'AppendEntries',
    'AppendEntriesReply',
    'InstallSnapshot',
    'InstallSnapshotReply',
    'RequestVote',
    'RequestVoteReply',
  ]);
});
