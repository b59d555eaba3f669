/**
 * A follower made of a recorded run: the messages that its peer got, as far as one likes, on a disk that loses a turn that fails, as
 * the platform's does.
 */
import { createHash } from 'node:crypto';
import { createKeyValueStore } from '../../src/kv/key-value-store.ts';
import { decodeBody } from '../../src/peer/protocol.ts';
import { handleRoute } from '../../src/peer/routes.ts';
import { LonePeer, settled } from '../peer/lone-peer.ts';
import { NodeSql } from '../simulation/node-sql.ts';
import type { Loose } from './bend.ts';
import type { Recorded, Run } from './recorded-run.ts';

const LIMITS = { tailEntries: 8, tailBytes: 50_000 };

/** What must never be undone. */
export interface Promised {
  readonly term: number;
  readonly votedFor: number | null;
  readonly commitIndex: number;
  readonly lastApplied: number;
  /** Committed entries that are in the log: index, and a digest of term and data. */
  readonly committed: ReadonlyMap<number, string>;
}

export class Follower {
  readonly name: string;
  readonly #sql = new NodeSql();
  /** Times that it was started again, because a turn had ended its instance. */
  restarts = 0;
  lone: LonePeer;

  constructor(name: string) {
    this.name = name;
    this.lone = this.#start();
  }

  /** The first `count` messages of the run that were sent to `name`. */
  static async after(run: Run, name: string, count: number): Promise<Follower> {
    const follower = new Follower(name);
    for (const recorded of messagesTo(run, name).slice(0, count)) await follower.replay(recorded);
    return follower;
  }

  #start(): LonePeer {
    const lone = new LonePeer((sql) => createKeyValueStore(sql, {}), {
      sql: this.#sql,
      limits: LIMITS,
      name: this.name,
    });
    const turn = lone.peer.turn.bind(lone.peer);
    lone.peer.turn = (run) => {
      this.#sql.exec('BEGIN');
      try {
        turn(run);
      } catch (error) {
        this.#sql.exec('ROLLBACK');
        throw error;
      }
      this.#sql.exec('COMMIT');
    };
    return lone;
  }

  /** Its instance has ended: the next one finds what is on the disk. */
  restart(): void {
    const { nowMs } = this.lone;
    this.restarts += 1;
    this.lone = this.#start();
    this.lone.nowMs = nowMs;
  }

  async replay({ route, body }: Recorded): Promise<void> {
    const { peer } = this.lone;
    if (route === 'founding/store' && peer.identity === null) peer.nonce = (decodeBody(body) as Loose).nonce;
    await this.send(route, body).catch(() => {});
  }

  /** Its answer; all that follows from the message has happened. */
  async send(route: string, body: Uint8Array): Promise<Uint8Array> {
    const answered = handleRoute(this.lone.peer, route, body, { chaos: true });
    answered.catch(() => {});
    for (let i = 0; i < 4; i += 1) await settled();
    return answered;
  }

  get promised(): Promised {
    const { raft } = this.lone.peer;
    if (raft === null) throw new Error('it belongs to no group');
    const { currentTerm: term, votedFor, commitIndex, lastApplied } = raft;
    const rows = this.#sql.exec(
      'SELECT idx, term, data FROM log WHERE idx > ? AND idx <= ?',
      raft.log.lastIncludedIndex,
      commitIndex,
    ) as [number, number, Uint8Array][];
    const digest = (data: Uint8Array) => createHash('sha1').update(data).digest('base64');
    const committed = new Map(rows.map(([index, entryTerm, data]) => [index, `${entryTerm} ${digest(data)}`]));
    return { term, votedFor, commitIndex, lastApplied, committed };
  }
}

export function messagesTo(run: Run, name: string): Recorded[] {
  return run.messages.filter(({ to }) => to === name);
}
