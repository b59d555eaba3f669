/**
 * Network faults for tests, behind the variable CHAOS: messages between this peer and the others of its group, and
 * their replies, are lost or late. Stored, so that they outlive a crash of the peer and a kill of the runtime.
 */
import { decode, encode } from '../encoding/message-pack.ts';
import type { PeerId } from '../raft/types.ts';
import type { Platform } from './platform.ts';
import type { Fault } from './protocol.ts';

interface FaultState {
  isolated: boolean;
  /** Nothing from this peer arrives here. */
  cutFrom: PeerId | null;
  dropRate: number;
  minDelayMs: number;
  maxDelayMs: number;
}

const NONE: FaultState = { isolated: false, cutFrom: null, dropRate: 0, minDelayMs: 0, maxDelayMs: 0 };

export class MessageLost extends Error {
  override readonly name = 'MessageLost';
}

export class Faults {
  readonly #platform: Platform;
  #state: FaultState = NONE;

  constructor(platform: Platform) {
    this.#platform = platform;
    if (platform.sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'peer_faults'").length === 0)
      return;
    const data = platform.sql.exec('SELECT data FROM peer_faults')[0]?.[0];
    if (data instanceof Uint8Array) this.#state = decode(data) as FaultState;
  }

  /** Each kind replaces itself; heal ends all. A crash is not a state, and is not stored. */
  set(fault: Exclude<Fault, { action: 'crash' }>): void {
    this.#state = apply(this.#state, fault);
    const { sql } = this.#platform;
    sql.exec('CREATE TABLE IF NOT EXISTS peer_faults (only INTEGER PRIMARY KEY CHECK (only = 1), data BLOB NOT NULL)');
    sql.exec('INSERT OR REPLACE INTO peer_faults VALUES (1, ?)', encode(this.#state));
  }

  get active(): boolean {
    const { isolated, cutFrom, dropRate, maxDelayMs } = this.#state;
    return isolated || cutFrom !== null || dropRate > 0 || maxDelayMs > 0;
  }

  /** A call to another peer: the request may be lost on the way, or its reply. */
  async outgoing<T>(to: PeerId, call: () => Promise<T>): Promise<T> {
    if (!this.active) return call();
    await this.#travel(null);
    const reply = await call();
    await this.#travel(to);
    return reply;
  }

  /** A request of another peer, and the reply to it. */
  async incoming<T>(from: PeerId, handle: () => Promise<T>): Promise<T> {
    if (!this.active) return handle();
    await this.#travel(from);
    const reply = await handle();
    await this.#travel(null);
    return reply;
  }

  /** One message on its way; `from` is set for one that comes to this peer. Throws MessageLost. */
  async #travel(from: PeerId | null): Promise<void> {
    const { isolated, cutFrom, dropRate, minDelayMs, maxDelayMs } = this.#state;
    if (isolated || (from !== null && from === cutFrom) || this.#platform.random() < dropRate)
      throw new MessageLost('lost');
    const delayMs = minDelayMs + this.#platform.random() * (maxDelayMs - minDelayMs);
    if (delayMs > 0) await new Promise<void>((resolve) => void this.#platform.setTimer(delayMs, resolve));
  }
}

function apply(state: FaultState, fault: Exclude<Fault, { action: 'crash' }>): FaultState {
  switch (fault.action) {
    case 'isolate':
      return { ...state, isolated: true };
    case 'cut':
      return { ...state, cutFrom: fault.from };
    case 'drop':
      return { ...state, dropRate: fault.rate };
    case 'delay':
      return { ...state, minDelayMs: fault.minMs, maxDelayMs: fault.maxMs };
    case 'heal':
      return NONE;
  }
}
