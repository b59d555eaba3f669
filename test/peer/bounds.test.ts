import { encode } from '@msgpack/msgpack';
import { afterEach, describe, expect, test } from 'vitest';
import { decodeEnvelope } from '../../src/peer/message-codec.ts';
import { decodeBody, encodeBody } from '../../src/peer/protocol.ts';
import { Counters } from '../simulation/counter.ts';
import { SimGroup } from '../simulation/sim-group.ts';
import { ask, found, MEMBERS, post } from './object-client.ts';

let group: SimGroup | null = null;
afterEach(() => {
  group?.close();
  group = null;
});

const configuration = { voters: MEMBERS };

/** Whether the object's instance survived the message, and still starts. */
async function survives(message: Record<string, unknown>, options = {}): Promise<string> {
  group = new SimGroup(options);
  const groupId = await found(group);
  group.world.crash(group.object(1));
  group.object(1).downUntilMs = Number.POSITIVE_INFINITY;
  const instance = group.object(2).instance;
  const full = { from: 1, to: 2, term: 9, seq: 1, ...message };
  const answer = await post(group, 2, 'raft', { version: 1, groupId, from: 1, depth: 1, messages: [full] }).then(
    (reply) => JSON.stringify((reply as { replies: { outcome?: string }[] }).replies[0]?.outcome ?? 'replied'),
    (error) => `refused: ${String(error)}`,
  );
  await group.pass(50).catch(() => {});
  if (instance?.dead === true) return `the instance ended (${group.world.failure?.message})`;
  group.world.crash(group.object(2));
  await post(group, 2, 'founding/ask', { depth: 1, from: 1 }).catch(() => {});
  if (group.object(2).instance === null) return `${answer}; it never starts again`;
  return answer;
}

const chunk = (page: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
  type: 'InstallSnapshot',
  cutId: 'c',
  lastIncludedIndex: 50,
  lastIncludedTerm: 5,
  configuration,
  chunk: 0,
  cursor: null,
  page: { applyVersion: 1, data: encode([]), next: null, header: null, ...page },
  ...more,
});

describe('a message that no correct peer sends ends no instance', () => {
  test('a snapshot from a term that the sender has not reached', async () => {
    const header = { logTimeMs: 0, count: 0 };
    const outcome = await survives(chunk({ header }, { lastIncludedTerm: 99 }), {
      createStateMachine: (sql: never) => new Counters(sql),
    });
    expect(outcome).not.toMatch(/never starts|ended/);
  });

  test('a cursor larger than a row', async () => {
    const data = encode([1, 0, []]);
    expect(await survives(chunk({ data, next: new Uint8Array(2_100_000) }))).not.toMatch(/never starts|ended/);
  });

  test('an entry larger than a row', async () => {
    const data = encode([1, 1, 0, 1, new Uint8Array(2_100_000)]);
    const append = { type: 'AppendEntries', prevLogIndex: 1, prevLogTerm: 1, lastIndex: 2, leaderCommit: 1 };
    const sleep = { quiesceRound: 0, quiesce: false };
    expect(await survives({ ...append, ...sleep, entries: [[9, data]] })).not.toMatch(/never starts|ended/);
  });

  test('sums of a snapshot that pass the safe integers', async () => {
    const digest = new Uint8Array(16);
    const row = (revision: number) => [revision, new Uint8Array([97]), 1, false, 0, Number.MAX_SAFE_INTEGER, digest];
    const data = encode([1, 1, [row(2), row(3)]]);
    expect(await survives(chunk({ data, header: {} }))).not.toMatch(/never starts|ended/);
  });

  test.each([null, undefined, 0, 'x', [], {}, { formatVersion: 1 }, new Uint8Array(3), [[[]]]])(
    'a snapshot header %j',
    async (header) => {
      expect(await survives(chunk({ data: encode([1, 2, []]), header }))).not.toMatch(/never starts|ended/);
    },
  );
});

describe('odd requests of a client', () => {
  const odd = [
    undefined,
    null,
    -1,
    -0,
    1.5,
    2 ** 53,
    Number.NaN,
    '',
    'x'.repeat(5000),
    [],
    [[]],
    {},
    true,
    new Date(0),
  ];
  const bytes = [
    new Uint8Array(0),
    new Uint8Array([0xff]),
    new Uint8Array([0xed, 0xa0, 0x80]),
    new Uint8Array(1_048_577),
  ];
  const command = {
    op: 'put',
    key: new Uint8Array([97]),
    condition: { type: 'match', revisions: [1] },
    value: new Uint8Array([1]),
    valueDigest: new Uint8Array(16),
    session: { pool: 'clerk', id: 'c', seq: 1, acked: 0, requestDigest: new Uint8Array(16) },
  };
  const list = { type: 'list', prefix: new Uint8Array(0), after: null, limit: 1, revision: null };

  function* mutations(value: Record<string, unknown>): Generator<Record<string, unknown>> {
    for (const [field, inner] of Object.entries(value)) {
      for (const other of [...odd, ...bytes, Number.MAX_SAFE_INTEGER]) yield { ...value, [field]: other };
      if (inner !== null && typeof inner === 'object' && !Array.isArray(inner) && !(inner instanceof Uint8Array)) {
        for (const changed of mutations(inner as Record<string, unknown>)) yield { ...value, [field]: changed };
      }
    }
  }

  test('end nobody', async () => {
    group = new SimGroup();
    await found(group);
    const instance = group.object(1).instance;
    for (const base of [command, { ...command, op: 'append' }]) {
      for (const changed of mutations(base))
        await post(group, 1, 'client', { requests: [{ type: 'submit', command: changed }] }).catch(() => {});
    }
    for (const changed of mutations(list)) {
      const request = { type: 'query', consistency: 'linearizable', query: changed };
      await post(group, 1, 'client', { requests: [request] }).catch(() => {});
    }
    expect(instance?.dead).toBe(false);
    expect(await group.pass(2000, () => group?.equal([1, 2, 3]) ?? false)).toBe(true);
  });
});

describe('what one body may hold', () => {
  test('a command that no row can hold is refused, and ends nobody', async () => {
    class Blobs extends Counters {
      override accepts(command: unknown): boolean {
        return command instanceof Uint8Array || super.accepts(command);
      }
      override commandBytes(command?: unknown): number {
        return command instanceof Uint8Array ? command.byteLength + 8 : 96;
      }
    }
    group = new SimGroup({ createStateMachine: (sql) => new Blobs(sql) });
    await found(group);
    const reply = await ask(group, 1, [{ type: 'submit', command: new Uint8Array(2_100_000) }]).catch(String);
    expect(reply).toMatchObject([{ type: 'refused' }]);
  });

  test('the answers to one batch fit into one body', async () => {
    group = new SimGroup();
    await found(group);
    expect(await group.put('a', 'x'.repeat(1_000_000))).toBe('written');
    const query = { type: 'get', key: new TextEncoder().encode('a') };
    const requests = Array.from({ length: 12 }, () => ({
      type: 'query' as const,
      consistency: 'stale' as const,
      query,
    }));
    const replies = await ask(group, 1, requests);
    expect(replies).toHaveLength(12);
  });

  test('a body of a million small things is refused as fast as any other', () => {
    const messages = new Array(4_000_000).fill(null);
    const body = encodeBody({ version: 1, groupId: 'g', from: 1, depth: 1, messages });
    const decodeStart = performance.now();
    decodeBody(body);
    const decodeMs = performance.now() - decodeStart;
    const startMs = performance.now();
    expect(decodeEnvelope(body)).toBeNull();
    const tookMs = performance.now() - startMs;
    expect(tookMs).toBeLessThan(3 * decodeMs + 500);
  });
});
