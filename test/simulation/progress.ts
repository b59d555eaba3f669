/** A progress bar with the time left; in a log, a line from time to time. */
export class Progress {
  readonly #count: number;
  readonly #startMs = Date.now();
  #done = 0;
  failed = 0;

  constructor(count: number) {
    this.#count = count;
  }

  get seconds(): number {
    return (Date.now() - this.#startMs) / 1000;
  }

  step(): void {
    this.#done += 1;
    const { stdout } = process;
    if (stdout.isTTY) stdout.write(`\r${this.#line()}  `);
    else if (this.#done === this.#count || this.#done % Math.ceil(this.#count / 20) === 0) console.log(this.#line());
  }

  #line(): string {
    const share = this.#done / this.#count;
    const bar = '█'.repeat(Math.round(30 * share)).padEnd(30, '░');
    const leftS = Math.round((this.seconds / this.#done) * (this.#count - this.#done));
    const left = leftS < 120 ? `${leftS} s` : `${Math.round(leftS / 60)} min`;
    return `${bar} ${this.#done}/${this.#count}  ${this.failed} failed  ${left} left`;
  }
}
