/** How far a run is, on standard error: a bar on a terminal, elsewhere a line now and then. */

export interface ProgressStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const BAR_CHARACTERS = 24;
const LINE_INTERVAL_MS = 15_000;
const CLEAR_LINE = '\r\u001b[K';

export class Progress {
  readonly #totalSeconds: number;
  readonly #stream: ProgressStream;
  readonly #now: () => number;
  readonly #startMs: number;
  #doneSeconds = 0;
  #lastLineMs = Number.NEGATIVE_INFINITY;

  /** `totalSeconds`: what all steps together are expected to take. */
  constructor(
    totalSeconds: number,
    stream: ProgressStream = process.stderr,
    now: () => number = () => performance.now(),
  ) {
    this.#totalSeconds = totalSeconds;
    this.#stream = stream;
    this.#now = now;
    this.#startMs = now();
  }

  /** `seconds` of what was expected are over; `label` is what comes now. */
  step(seconds: number, label: string): void {
    this.#doneSeconds = Math.min(this.#totalSeconds, this.#doneSeconds + seconds);
    const share = this.#totalSeconds === 0 ? 1 : this.#doneSeconds / this.#totalSeconds;
    const line = `${String(Math.round(share * 100)).padStart(3)} %, ${this.#left(share)} left: ${label}`;
    if (this.#stream.isTTY) {
      const full = Math.round(share * BAR_CHARACTERS);
      this.#stream.write(`${CLEAR_LINE}[${'#'.repeat(full)}${'.'.repeat(BAR_CHARACTERS - full)}] ${line}`);
    } else if (this.#now() - this.#lastLineMs >= LINE_INTERVAL_MS) {
      this.#lastLineMs = this.#now();
      this.#stream.write(`${line}\n`);
    }
  }

  /** Makes room for other output. */
  clear(): void {
    if (this.#stream.isTTY) this.#stream.write(CLEAR_LINE);
  }

  /** From what the steps took so far; before any, from what was expected. */
  #left(share: number): string {
    const elapsedSeconds = (this.#now() - this.#startMs) / 1000;
    const slowness = this.#doneSeconds === 0 ? 1 : elapsedSeconds / this.#doneSeconds;
    return minutesAndSeconds(this.#totalSeconds * (1 - share) * slowness);
  }
}

export function minutesAndSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}
