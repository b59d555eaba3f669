/** A group client on simulated time, talking to fake peers. */
import { GroupClient } from '../../src/router/group.ts';
import type { RouterPlatform } from '../../src/router/platform.ts';
import type { Write, WriteOperation } from '../../src/router/write.ts';
import { FakeClock } from './fake-clock.ts';
import { FakePeers } from './fake-peers.ts';

export const LATENCY_MS = 5;
export const HINTS_OF_THREE = ['weur', 'enam', 'wnam'];

export function simulatedPlatform(
  clock: FakeClock,
  peers: FakePeers,
  random: () => number = () => 0.5,
): RouterPlatform {
  let ids = 0;
  return {
    now: () => clock.nowMs,
    random,
    randomId: () => {
      ids += 1;
      return `router-${ids}`;
    },
    setTimer: (delayMs, run) => clock.setTimer(delayMs, run),
    call: (object, hint, route, body) =>
      new Promise((resolve, reject) => {
        clock.setTimer(LATENCY_MS, () => {
          const reply = peers.call(object, hint, route, body);
          reply.then((bytes) => clock.setTimer(LATENCY_MS, () => resolve(bytes)), reject);
        });
      }),
    log: () => {},
  };
}

export class SimulatedRouter {
  readonly clock = new FakeClock();
  readonly peers = new FakePeers();
  readonly groups: GroupClient;

  constructor(hints: readonly string[] = HINTS_OF_THREE) {
    this.groups = new GroupClient(simulatedPlatform(this.clock, this.peers), hints);
  }

  /** Another isolate, which remembers nothing. */
  another(hints: readonly string[] = HINTS_OF_THREE): GroupClient {
    return new GroupClient(simulatedPlatform(this.clock, this.peers), hints);
  }

  run<T>(work: Promise<T>): Promise<T> {
    return this.clock.until(work);
  }

  /** The result, and how long it took. */
  async timed<T>(work: Promise<T>): Promise<{ result: T; tookMs: number }> {
    const startMs = this.clock.nowMs;
    const result = await this.run(work);
    return { result, tookMs: this.clock.nowMs - startMs };
  }
}

const encoder = new TextEncoder();

export function put(key: string, value: string, more: Partial<Write> = {}): Write {
  const operation: WriteOperation = {
    op: 'put',
    key: encoder.encode(key),
    condition: null,
    value: encoder.encode(value),
    valueDigest: testDigest(value),
  };
  return { operation, requestDigest: testDigest(`put ${key} ${value}`), clerk: null, peer: null, ...more };
}

export function append(key: string, value: string, more: Partial<Write> = {}): Write {
  const write = put(key, value, more);
  const { operation } = write;
  return { ...write, operation: { ...operation, op: 'append' } as WriteOperation };
}

export function get(key: string, consistency: 'linearizable' | 'stale' = 'linearizable', peer: string | null = null) {
  return { query: { type: 'get' as const, key: encoder.encode(key) }, consistency, peer };
}

/** 16 bytes that differ where texts differ, well enough for tests (FNV-1a, four lanes). */
function testDigest(text: string): Uint8Array {
  const digest = new Uint8Array(16);
  for (let lane = 0; lane < 4; lane += 1) {
    let hash = 0x811c9dc5 ^ lane;
    for (const byte of encoder.encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
    new DataView(digest.buffer).setUint32(lane * 4, hash);
  }
  return digest;
}
