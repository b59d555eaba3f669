/**
 * What a leader knows of one follower, in one of three states (after etcd-io/raft):
 *
 *                 rejected / call failed
 *        ┌──────────────────────────────────────┐
 *        ▼            accepted                  │
 *     ┌───────┐ ───────────────────────▶ ┌─────────────┐
 *     │ probe │                          │  replicate  │
 *     └───────┘ ◀─┐                      └─────────────┘
 *        │        │ installed, or a new leader
 *        │ needs what is compacted
 *        ▼        │
 *     ┌──────────┐│
 *     │ snapshot │┘
 *     └──────────┘
 *
 * probe: where the logs agree is not known; one message at a time. replicate: messages follow each other without waiting
 * for replies, in a window. snapshot: chunks of a cut, one at a time.
 */
import type { PeerId } from './types.ts';

export interface CallInFlight {
  readonly sentMs: number;
  readonly kind: 'append' | 'snapshot';
  readonly prevLogIndex: number;
  /** The read round that was open when this was sent: its reply confirms that round, and no later one. */
  readonly round: number;
}

export class Progress {
  readonly id: PeerId;
  state: 'probe' | 'replicate' | 'snapshot' = 'probe';
  matchIndex = 0;
  nextIndex: number;
  readonly inFlight = new Map<number, CallInFlight>();
  /** The newest call that asks where the logs agree; null: nobody asks. */
  probeSeq: number | null = null;
  /** The last call failed: the peer is probed now and then, with nothing in the message, one call at a time. */
  silent = false;
  silentSinceMs = Number.NEGATIVE_INFINITY;
  /** It refused a snapshot: only heartbeats until then. */
  pausedUntilMs = Number.NEGATIVE_INFINITY;
  lastSentMs = Number.NEGATIVE_INFINITY;
  /** When a reply in this term last came; being elected, restored or woken counts as one: it is given time to answer. */
  lastContactMs: number;
  /** The same, without being restored or woken; −Infinity: none since this instance was restored asleep. */
  lastAnswerMs: number;
  /** The newest version of entries that it can apply, as it announced; 0: not heard yet. */
  applyVersion = 0;
  sentRound = 0;
  ackedRound = 0;
  /** Where the transfer of the cut stands. */
  chunk = 0;
  cursor: Uint8Array | null = null;

  constructor(id: PeerId, nextIndex: number, nowMs: number) {
    this.id = id;
    this.nextIndex = nextIndex;
    this.lastContactMs = nowMs;
    this.lastAnswerMs = nowMs;
  }

  becomeProbe(nextIndex: number): void {
    this.state = 'probe';
    this.nextIndex = Math.max(nextIndex, this.matchIndex + 1);
    this.probeSeq = null;
  }

  becomeReplicate(): void {
    this.state = 'replicate';
    this.nextIndex = this.matchIndex + 1;
    this.probeSeq = null;
  }

  becomeSnapshot(): void {
    this.state = 'snapshot';
    this.probeSeq = null;
    this.chunk = 0;
    this.cursor = null;
  }

  /** Nobody waits for what is under way any more. */
  forgetCalls(): void {
    this.inFlight.clear();
    this.probeSeq = null;
  }

  /** Whether a probe of a silent peer is under way; what was sent before it fell silent is most likely lost. */
  get probingSilence(): boolean {
    for (const call of this.inFlight.values()) if (call.sentMs >= this.silentSinceMs) return true;
    return false;
  }

  get oldestCallSentMs(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const call of this.inFlight.values()) oldest = Math.min(oldest, call.sentMs);
    return oldest;
  }
}
