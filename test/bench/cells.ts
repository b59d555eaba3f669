/** Measures a cell: short rounds, in each of which every system has its turn, so that a noisy minute hurts all of them alike. */
import { DIALECTS, operationRequests, PREFIX_CHARACTERS } from './dialects.ts';
import type { Load } from './load.ts';
import type { Cell, CellResult, Measurement, System } from './results.ts';
import { send, writeKnownKeys } from './systems.ts';

export type Generator = (load: Load) => Promise<Measurement>;

export interface Target {
  readonly system: System;
  readonly url: string;
}

export interface CellOptions {
  readonly seconds: number;
  readonly rounds: number;
  /** Before a system's first round of an operation. */
  readonly warmUpSeconds: number;
  readonly onRound: (system: System) => void;
}

/** Letters and digits that no other run has; the bench is alone with its systems, but a data directory may be used again. */
const RUN = Math.random().toString(36).slice(2, 8).padEnd(6, '0');
/** Whatever the cell's are: with many, code is soon compiled that is often run. */
const WARM_UP_CONNECTIONS = 64;

export class CellBench {
  readonly #generate: Generator;
  #serial = 0;
  readonly #knownPrefixes = new Map<string, string>();
  readonly #warm = new Set<string>();

  constructor(generate: Generator) {
    this.#generate = generate;
  }

  async measure(cell: Cell, targets: readonly Target[], options: CellOptions): Promise<CellResult> {
    const rounds = new Map<System, Measurement[]>();
    const able = targets.filter(({ system }) => isAble(system, cell));
    for (let round = 0; round < options.rounds; round += 1) {
      // Who is first in a round is not always the same.
      const turn = able.map((_, i) => able[(i + round) % able.length]);
      for (const target of turn) {
        if (target === undefined) continue;
        await this.#warmUp(target, cell, options.warmUpSeconds);
        const measurement = await this.#round(target, cell, options.seconds);
        rounds.set(target.system, [...(rounds.get(target.system) ?? []), measurement]);
        options.onRound(target.system);
      }
    }
    return { cell, rounds: new Map(able.map(({ system }) => [system, rounds.get(system) ?? []])) };
  }

  /** Before a system's first round of an operation: what compiling its code takes is nobody's result. */
  async #warmUp(target: Target, cell: Cell, seconds: number): Promise<void> {
    const name = `${target.system} ${cell.operation}`;
    if (this.#warm.has(name)) return;
    this.#warm.add(name);
    await this.#round(target, { ...cell, connections: WARM_UP_CONNECTIONS }, seconds);
  }

  async #round({ system, url }: Target, cell: Cell, seconds: number): Promise<Measurement> {
    const { operation, valueBytes, connections } = cell;
    const prefix = this.newPrefix();
    const clerkId = `clerk-${prefix}`;
    const knownPrefix = await this.#knownPrefix(system, url, valueBytes);
    const requests = operationRequests(system, operation, { prefix, valueBytes, knownPrefix, clerkId });
    if (requests === null) throw new Error(`${system} has no ${operation}`);
    // What the round before left unanswered is over once this is answered; it also wakes a group that went to sleep.
    await send(url, DIALECTS[system].put({ prefix: knownPrefix, valueBytes }, 'known'), 0);
    if (operation === 'append') await openSession(system, url, prefix, valueBytes, clerkId);
    return this.#generate({ url, connections, seconds, requests });
  }

  async #knownPrefix(system: System, url: string, valueBytes: number): Promise<string> {
    const name = `${system} ${valueBytes}`;
    const known = this.#knownPrefixes.get(name);
    if (known !== undefined) return known;
    const prefix = this.newPrefix();
    await writeKnownKeys(system, url, prefix, valueBytes);
    this.#knownPrefixes.set(name, prefix);
    return prefix;
  }

  /** Of keys that nobody has written yet. */
  newPrefix(): string {
    this.#serial += 1;
    return `${RUN}${String(this.#serial).padStart(PREFIX_CHARACTERS - RUN.length, '0')}`;
  }
}

export function isAble(system: System, { operation }: Cell): boolean {
  const options = { prefix: '', valueBytes: 64, knownPrefix: '', clerkId: '' };
  return operationRequests(system, operation, options) !== null;
}

/** Seq 1 opens a clerk's session, and nothing may follow it until it was answered. The load goes on with seq 2. */
async function openSession(system: System, url: string, prefix: string, valueBytes: number, clerkId: string) {
  const append = DIALECTS[system].append({ prefix, valueBytes }, clerkId);
  if (append === null) throw new Error(`${system} has no append`);
  await send(url, { ...append, headers: { 'Clerk-Id': clerkId, 'Clerk-Seq': '1' } }, 0);
}
