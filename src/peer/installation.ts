/** The receiving side of a snapshot: chunks of one cut are staged in order; another cut begins from zero. */
import type { InstallSnapshot } from '../raft/messages.ts';
import type { Input } from '../raft/types.ts';
import type { StateMachine } from './state-machine.ts';
import type { PeerStorage } from './storage.ts';

type Staged = Extract<Input, { type: 'staged' }>;

export function stageChunk(message: InstallSnapshot, storage: PeerStorage, stateMachine: StateMachine): Staged {
  const { page, cutId, lastIncludedIndex } = message;
  const answer = (outcome: Staged['outcome'], chunk = 0, cursor: Uint8Array | null = null): Staged => ({
    type: 'staged',
    message,
    outcome,
    chunk,
    cursor,
  });
  if (page === null) return answer('refused');
  let staging = storage.staging();
  if (staging === null || staging.cutId !== cutId) {
    // Memory of this cut is lost, or it is a new one: only its first chunk can begin it.
    if (message.chunk !== 0) return answer('staged');
    stateMachine.beginInstall(lastIncludedIndex);
    staging = { cutId, lastIncludedIndex, chunk: 0, cursor: null };
  }
  if (message.chunk !== staging.chunk) return answer('staged', staging.chunk, staging.cursor);
  if (!stateMachine.stagePage(page.data)) {
    storage.dropStaging();
    return answer('refused');
  }
  if (page.next !== null) {
    storage.setStaging({ cutId, lastIncludedIndex, chunk: staging.chunk + 1, cursor: page.next });
    return answer('staged', staging.chunk + 1, page.next);
  }
  storage.setStaging(null);
  if (!stateMachine.finishInstall(page.header)) return answer('refused');
  storage.summaryChanged();
  return answer('installed');
}
