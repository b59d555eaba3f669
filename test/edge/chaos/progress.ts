/** How a run goes, while it goes: a bar on a terminal, a line every few seconds elsewhere. */
import type { Nemesis } from './nemesis.ts';
import type { RunRecord } from './run-record.ts';

const LINE_EVERY_MS = 5000;
const BAR_EVERY_MS = 500;
const BAR_WIDTH = 24;

export class Progress {
  readonly #record: RunRecord;
  readonly #nemesis: Nemesis;
  readonly #totalMs: number;
  readonly #print: (line: string) => void;
  readonly #bar = process.stdout.isTTY === true;
  #timer: ReturnType<typeof setInterval> | null = null;

  constructor(record: RunRecord, nemesis: Nemesis, totalMs: number, print: (line: string) => void) {
    this.#record = record;
    this.#nemesis = nemesis;
    this.#totalMs = totalMs;
    this.#print = print;
  }

  start(): void {
    this.#timer = setInterval(() => this.#show(), this.#bar ? BAR_EVERY_MS : LINE_EVERY_MS);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    if (this.#bar) process.stdout.write('\n');
  }

  #show(): void {
    if (!this.#bar) return this.#print(this.#line());
    const share = Math.min(1, this.#record.now() / this.#totalMs);
    const bar = '█'.repeat(Math.round(BAR_WIDTH * share)).padEnd(BAR_WIDTH, '░');
    process.stdout.write(`\r\x1b[K${bar} ${this.#line()}`);
  }

  #line(): string {
    const nowMs = this.#record.now();
    const leftMs = Math.max(0, this.#totalMs - nowMs);
    const { present, spans } = this.#nemesis;
    const [ok, failed, unknown] = [
      this.#record.total('ok'),
      this.#record.total('failed'),
      this.#record.total('unknown'),
    ];
    const rate = Math.round((ok / nowMs) * 1000);
    return (
      `${clock(nowMs)} of ${clock(this.#totalMs)}, ${clock(leftMs)} left: ${ok} operations (${rate}/s), ` +
      `${failed} failed, ${unknown} unknown, ${this.#record.unexpected.length} errors, ${spans.length} faults, ` +
      `now ${present === null ? 'calm' : present.kind}`
    );
  }
}

function clock(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
