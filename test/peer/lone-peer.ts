/** One peer on a platform whose every answer the test gives itself. */
import { Peer } from '../../src/peer/peer.ts';
import type { Platform } from '../../src/peer/platform.ts';
import { decodeBody, encodeBody } from '../../src/peer/protocol.ts';
import { handleRoute } from '../../src/peer/routes.ts';
import type { Sql } from '../../src/peer/sql.ts';
import type { StateMachine } from '../../src/peer/state-machine.ts';
import { WriteBehind } from '../../src/peer/write-behind.ts';
import type { RaftLimits } from '../../src/raft/types.ts';
import { DEFAULT_LIMITS } from '../../src/raft/types.ts';
import { NodeSql } from '../simulation/node-sql.ts';

/** All that can go on without this test has gone on, `turns` times. */
export async function settled(turns = 1): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** An answer that is not encoded: it may be no MessagePack. */
export class Octets {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

export interface Call {
  readonly to: string;
  readonly route: string;
  readonly body: Record<string, unknown>;
  /** What is to be encoded, or octets as they are. */
  readonly answer: (body: unknown) => void;
  readonly fail: () => void;
}

export class LonePeer {
  readonly sql: NodeSql;
  readonly calls: Call[] = [];
  readonly events: Record<string, unknown>[] = [];
  nowMs = 1_700_000_000_000;
  aborted: string | null = null;
  alarmMs: number | null = null;
  deleteFails = false;
  deleted = false;
  peer: Peer;

  constructor(
    createStateMachine: (sql: Sql) => StateMachine,
    { sql = new NodeSql(), limits = {} as Partial<RaftLimits>, name = 'default/1.1', quiesceAfterMs = 0 } = {},
  ) {
    this.sql = sql;
    const writeBehind = new WriteBehind(sql);
    const platform: Platform = {
      rows: () => ({ read: 0, written: 0 }),
      sql: writeBehind,
      objectName: name,
      now: () => this.nowMs,
      random: () => 0.5,
      randomId: () => Array.from({ length: 32 }, () => Math.floor(Math.random() * 16).toString(16)).join(''),
      sync: () => new Promise((resolve) => setImmediate(resolve)),
      setTimer: (_delayMs, run) => {
        // At once, whatever the delay, and in one order in every run: a replay must do the same.
        const timer = setImmediate(run);
        return () => clearImmediate(timer);
      },
      setAlarm: (atMs) => {
        this.alarmMs = atMs;
      },
      deleteAlarm: () => {
        this.alarmMs = null;
      },
      call: (to, _hint, route, body) =>
        new Promise((resolve, reject) => {
          const sent = decodeBody(body) as Record<string, unknown>;
          this.calls.push({
            to,
            route,
            body: sent,
            answer: (reply) => resolve(reply instanceof Octets ? reply.bytes : encodeBody(reply)),
            fail: () => reject(new Error('lost')),
          });
        }),
      abort: (reason) => {
        this.aborted ??= reason;
      },
      deleteAll: async () => {
        this.alarmMs = null;
        await settled();
        if (this.deleteFails) throw new Error('storage: not now');
        this.deleted = true;
      },
      log: (event) => this.events.push(event),
    };
    this.peer = new Peer(platform, createStateMachine(sql), {
      heartbeatMs: 100,
      electionTimeoutMs: 500,
      quiesceAfterMs,
      limits: { ...DEFAULT_LIMITS, ...limits },
    });
  }

  async post(route: string, body: unknown): Promise<Record<string, unknown>> {
    return decodeBody(await handleRoute(this.peer, route, encodeBody(body), { chaos: true })) as Record<
      string,
      unknown
    >;
  }
}

export const membersOf = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ id: i + 1, slot: i + 1, incarnation: 1, locationHint: 'weur' }));
