/**
 * Watches what a clerk sends, and notes breaches of the rules that the contract sets for clerks. It does not throw: inside
 * `fetch` the clerk would take that for a failed connection, and go on.
 */
import assert from 'node:assert/strict';
import type { Sent } from './scripted-store.ts';

const MAX_AGE_MS = 5 * 60_000;
const KEPT = new Set([200, 201, 412, 413, 507]);
const NOTHING_DONE = new Set(['overloaded', 'no_leader', 'peer_unreachable', 'invalid_request', 'unauthenticated']);

interface Seq {
  request: string;
  firstSentMs: number;
  tries: number;
  refusals: number;
  received: boolean;
}

export class RulesOfTheContract {
  readonly #seqs = new Map<string, Map<number, Seq>>();
  readonly #acked = new Map<string, number>();

  readonly breaches: string[] = [];

  sent(sent: Sent): void {
    try {
      this.#check(sent);
    } catch (breach) {
      this.breaches.push(String(breach));
    }
  }

  #check(sent: Sent): void {
    const seqs = this.#seqs.get(sent.clerkId) ?? new Map<number, Seq>();
    this.#seqs.set(sent.clerkId, seqs);
    const where = `${sent.clerkId} seq ${sent.seq} at ${sent.atMs} ms`;
    assert.match(sent.clerkId, /^[A-Za-z0-9_-]{1,64}$/);
    assert.ok(Number.isSafeInteger(sent.seq) && sent.seq >= 1, where);
    assert.ok(sent.seq === 1 || seqs.get(1)?.received, `${where}: follows seq 1 before its reply`);
    assert.ok(sent.acked >= 0 && sent.acked < sent.seq, `${where}: acknowledges ${sent.acked}`);
    for (let seq = (this.#acked.get(sent.clerkId) ?? 0) + 1; seq <= sent.acked; seq++) {
      assert.ok(seqs.get(seq)?.received, `${where}: acknowledges ${seq}, which got no reply`);
      this.#acked.set(sent.clerkId, seq);
    }
    this.#track(sent, seqs, where);
    assert.ok(sent.seq - this.#lowestUnresolved(sent.clerkId, seqs) <= 255, `${where}: outside the window`);
  }

  received(sent: Sent, status: number, code: string | null): void {
    const seq = this.#seqs.get(sent.clerkId)?.get(sent.seq);
    if (!seq) return;
    if (code === 'seq_reused' || code === 'seq_acknowledged') this.breaches.push(`seq ${sent.seq}: ${code}`);
    if (KEPT.has(status)) seq.received = true;
    else if (code !== null && NOTHING_DONE.has(code)) seq.refusals += 1;
  }

  #track(sent: Sent, seqs: Map<number, Seq>, where: string): void {
    const request = JSON.stringify([sent.method, sent.url, sent.headers['If-None-Match'], String(sent.body)]);
    const before = seqs.get(sent.seq);
    if (before?.request === request) {
      assert.ok(!before.received, `${where}: repeated after its reply`);
      assert.ok(sent.atMs - before.firstSentMs <= MAX_AGE_MS, `${where}: repeated after 5 minutes`);
      before.tries += 1;
      return;
    }
    // Another request may have the seq only if every try of the first one was refused.
    if (before) assert.equal(before.tries, before.refusals, `${where}: given to another request`);
    seqs.set(sent.seq, { request, firstSentMs: sent.atMs, tries: 1, refusals: 0, received: false });
  }

  #lowestUnresolved(clerkId: string, seqs: Map<number, Seq>): number {
    let seq = (this.#acked.get(clerkId) ?? 0) + 1;
    while (seqs.get(seq)?.received) seq += 1;
    return seq;
  }
}
