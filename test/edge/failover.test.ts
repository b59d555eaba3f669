/**
 * The leader goes, twenty times by a crash and twenty times by a cut, under clients that write all the time, on the default
 * settings. Everything that was acknowledged is there, each append once and in its clerk's order, and writing goes on soon.
 */
import { expect, test } from 'vitest';
import { ask } from './contract.ts';
import { type EdgeRuntime, eventually, runtimeForTests, sleep } from './edge-runtime.ts';
import { StubbornClerk } from './stubborn-clerk.ts';

const ROUNDS = 20;
const APPENDERS = 3;
const PUTTERS = 2;
const WORST_LIMIT_MS = 3000;
const MEDIAN_LIMIT_MS = 1500;
/** Acknowledged writes before each strike. */
const WRITES_A_ROUND = 40;
/** Between two writes of one client: the machine is to be tested for outages, not for its speed. */
const THINK_MS = 5;

const CLIENTS = APPENDERS + PUTTERS;
/** A crash comes a moment after it was promised. */
const LAST_WORDS_MS = 50;

const context = runtimeForTests();

interface Acknowledgement {
  readonly sentMs: number;
  readonly doneMs: number;
}

/** Clients that write until they are stopped, and remember what must be found. */
class Workload {
  readonly #edge: EdgeRuntime;
  readonly #name: string;
  #round = 0;
  #running = true;
  readonly #clients: Promise<void>[] = [];
  /** Appends by key, in order. */
  readonly #appended = new Map<string, string[]>();
  /** Of each put key: the value acknowledged last, and values of which nobody knows. */
  readonly #put = new Map<string, { acknowledged: string; unknown: Set<string> }>();
  readonly #clerks: StubbornClerk[] = [];
  /** When each write was sent and acknowledged. */
  readonly acks: Acknowledgement[] = [];

  constructor(edge: EdgeRuntime, name: string) {
    this.#edge = edge;
    this.#name = name;
    for (let i = 0; i < APPENDERS; i += 1) this.#clients.push(this.#append(i));
    for (let i = 0; i < PUTTERS; i += 1) this.#clients.push(this.#puts(i));
  }

  nextRound(): void {
    this.#round += 1;
  }

  async #append(i: number): Promise<void> {
    const clerk = new StubbornClerk(this.#edge, `${this.#name}-${i}`);
    this.#clerks.push(clerk);
    for (let n = 0; this.#running; n += 1) {
      const key = `${this.#name}-appends-${this.#round}-${i}`;
      const token = `${i}.${n};`;
      const sentMs = performance.now();
      const reply = await clerk.write('PATCH', `/kv/${key}`, token);
      expect([200, 201], reply.text).toContain(reply.status);
      this.acks.push({ sentMs, doneMs: performance.now() });
      this.#appended.set(key, [...(this.#appended.get(key) ?? []), token]);
      await sleep(THINK_MS);
    }
  }

  async #puts(i: number): Promise<void> {
    const key = `${this.#name}-puts-${i}`;
    const state = { acknowledged: '', unknown: new Set<string>() };
    this.#put.set(key, state);
    for (let n = 0; this.#running; n += 1) {
      const value = `value ${n}`;
      const sentMs = performance.now();
      const reply = await this.#edge.request('PUT', `/kv/${key}`, { body: value });
      if (reply.status < 300) {
        state.acknowledged = value;
        this.acks.push({ sentMs, doneMs: performance.now() });
      } else {
        expect(['504 outcome_unknown', '503 no_leader', '429 overloaded']).toContain(reply.outcome);
        if (reply.status === 504) state.unknown.add(value);
      }
      await sleep(THINK_MS);
    }
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#clients);
  }

  get repeats(): number {
    return this.#clerks.reduce((sum, { repeats }) => sum + repeats, 0);
  }

  async check(): Promise<void> {
    for (const [key, tokens] of this.#appended) {
      const { text } = await ask(this.#edge, 'GET', `/kv/${key}`);
      expect(text, key).toBe(tokens.join(''));
    }
    for (const [key, { acknowledged, unknown }] of this.#put) {
      const { text } = await ask(this.#edge, 'GET', `/kv/${key}`);
      expect([acknowledged, ...unknown], key).toContain(text);
    }
  }
}

/**
 * Strikes the leader, and gives the longest time without an acknowledged write from then on. Only writers are at work until
 * they have recovered: a question to the peers might help them.
 */
async function strike(edge: EdgeRuntime, workload: Workload, action: 'crash' | 'isolate'): Promise<number> {
  const { leader, term } = await edge.gathered();
  workload.nextRound();
  const { acks } = workload;
  const enough = acks.length + WRITES_A_ROUND;
  await eventually('clients write', async () => (acks.length >= enough ? true : null));
  await edge.fault(leader ?? '', { action });
  const struckMs = performance.now();
  const isAfter = ({ sentMs }: Acknowledgement): boolean => sentMs > struckMs + LAST_WORDS_MS;
  await eventually('clients write again', async () => (acks.filter(isAfter).length >= CLIENTS ? true : null));
  if (action === 'isolate') await edge.fault(leader ?? '', { action: 'heal' });
  expect((await edge.gathered()).term).toBeGreaterThan(term);
  const recoveredMs = Math.min(...acks.filter(isAfter).map(({ doneMs }) => doneMs));
  const times = acks.map(({ doneMs }) => doneMs).filter((ms) => ms > struckMs && ms <= recoveredMs);
  return longestGap([struckMs, ...times.toSorted((a, b) => a - b)]);
}

function longestGap(times: readonly number[]): number {
  return Math.max(...times.slice(1).map((ms, i) => ms - (times[i] ?? ms)));
}

test.each(['crash', 'isolate'] as const)(`${ROUNDS} times: %s the leader`, { timeout: 240_000 }, async (action) => {
  const { edge } = context;
  await edge.request('PUT', '/kv/first', { body: 'founds the group' });
  await edge.whole();
  const workload = new Workload(edge, action);
  const outagesMs: number[] = [];
  try {
    for (let round = 1; round <= ROUNDS; round += 1) {
      const outageMs = Math.round(await strike(edge, workload, action));
      outagesMs.push(outageMs);
      console.log(`${action} ${round}/${ROUNDS}: ${outageMs} ms without writes`);
    }
  } finally {
    await workload.stop();
  }
  await edge.whole();
  await workload.check();
  const sorted = outagesMs.toSorted((a, b) => a - b);
  const [medianMs = 0, worstMs = 0] = [sorted[sorted.length / 2], sorted.at(-1)];
  console.log(
    `${action}: median ${medianMs} ms, worst ${worstMs} ms; ${workload.acks.length} writes, ${workload.repeats} repeats`,
  );
  expect(worstMs).toBeLessThan(WORST_LIMIT_MS);
  expect(medianMs).toBeLessThan(MEDIAN_LIMIT_MS);
});
