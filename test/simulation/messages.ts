/** What a trace tells of the messages while everything went wrong: which of them were lost, doubled, slow, or overtaken. */

const ARRIVAL = /^ *(?<ms>\d+\.\d+) {2}(?<at>[^\s#]+).* from \S+ \((?<number>\d+)\)/;
/** The newest requests may still be on their way. */
const UNDER_WAY = 64;

interface Arrival {
  readonly ms: number;
  readonly at: string;
  readonly event: string;
}

export class Messages {
  /** By the number of the request: where it came, and then where its reply came; twice, if one of the two was doubled. */
  readonly #arrivals = new Map<number, Arrival[]>();

  constructor(lines: readonly string[]) {
    const healed = lines.findIndex((line) => line.includes('heals everything'));
    for (const line of lines.slice(0, healed === -1 ? lines.length : healed)) {
      const { ms, at, number } = ARRIVAL.exec(line)?.groups ?? {};
      if (at === undefined) continue;
      const arrivals = this.#arrivals.get(Number(number)) ?? [];
      arrivals.push({ ms: Number(ms), at, event: line });
      this.#arrivals.set(Number(number), arrivals);
    }
  }

  /** Requests that never came. */
  get lost(): number {
    const sent = Math.max(0, ...this.#arrivals.keys()) - UNDER_WAY;
    let lost = 0;
    for (let number = 1; number <= sent; number += 1) if (!this.#arrivals.has(number)) lost += 1;
    return lost;
  }

  /** Requests or replies that came more than once. */
  get doubled(): number {
    return [...this.#arrivals.values()].filter((all) => new Set(all.map(({ at }) => at)).size < all.length).length;
  }

  /** From each AppendEntries to the arrival of its reply, ms: a flush of the follower, and the way back. */
  get replyMs(): number[] {
    return [...this.#arrivals.values()].flatMap((all) => {
      const reply = all.find(({ event }) => event.includes(' AppendEntriesReply '));
      return reply === undefined || reply === all[0] ? [] : [reply.ms - all[0]!.ms];
    });
  }

  /** By how much a request came after one that was sent later, at the most, ms. */
  get overtakenMs(): number {
    let firstMs = Number.POSITIVE_INFINITY;
    let mostMs = 0;
    const newestFirst = [...this.#arrivals].sort(([a], [b]) => b - a);
    for (const [, [request]] of newestFirst) {
      mostMs = Math.max(mostMs, request!.ms - firstMs);
      firstMs = Math.min(firstMs, request!.ms);
    }
    return mostMs;
  }
}
