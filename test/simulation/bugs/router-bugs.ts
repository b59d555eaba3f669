/** What the Worker could get wrong: coalescing (http-api.md, "Exactly once"), and its repeats. */
import type { Bug } from './bug.ts';

export const ROUTER_BUGS: readonly Bug[] = [
  {
    name: 'a get joins a call that was sent before it came',
    edits: [
      {
        file: 'router/coalescing.ts',
        search: '    batch.forEach((passenger, i) => {',
        replacement: `    for (const late of this.#waiting) {
      const text = (passenger) => JSON.stringify(passenger.request());
      const same = batch.findIndex((passenger) => text(passenger) === text(late));
      if (same === -1 || late.request().type !== 'query') continue;
      this.#waiting.delete(late);
      late.sent = true;
      late.arrive({ type: 'reply', view: reply.view, reply: reply.replies[same] });
    }
    batch.forEach((passenger, i) => {`,
      },
    ],
    caughtBy: [/linearizability/, /a read misses what was committed/],
    from: 42,
    seeds: 30,
  },
  {
    name: 'of a call that broke it is said that nothing was sent',
    edits: [
      {
        file: 'router/coalescing.ts',
        search: "passenger.arrive({ type: 'silence', sent: true, atOnce });",
        replacement: "passenger.arrive({ type: 'silence', sent: false, atOnce });",
      },
    ],
    caughtBy: [/nothing was done, it says/, /linearizability/],
    from: 406,
    seeds: 30,
  },
  {
    name: 'replies of a shared call are given to the wrong ones',
    edits: [
      {
        file: 'router/coalescing.ts',
        search: 'reply: reply.replies[i] as ClientReply });',
        replacement: 'reply: reply.replies[batch.length - 1 - i] as ClientReply });',
      },
    ],
    caughtBy: [/linearizability/, /not one of this operation/, /nothing was done, it says/, /and yet it failed/],
    seeds: 60,
  },
  {
    name: 'a write is repeated under a new seq',
    edits: [
      {
        file: 'router/write.ts',
        search:
          "  const session = (): SessionKey => ({ pool: 'router', id: lease.id, seq: lease.seq, acked: lease.acked });",
        replacement: `  let tries = -1;
  const session = () => {
    tries += 1;
    return { pool: 'router', id: lease.id, seq: lease.seq + tries, acked: lease.acked };
  };`,
      },
    ],
    caughtBy: [/linearizability/, /exactly once/, /done again/, /nothing was done, it says/],
    from: 12,
    seeds: 30,
  },
  {
    name: 'a peer that was wiped takes part again when it is asked',
    edits: [
      {
        file: 'peer/routes.ts',
        search: '    const { identity } = peer;\n    if (identity === null) return encodeAnswer(null, []);',
        replacement: `    const [first] = envelope.messages;
    if (peer.identity === null && first !== undefined) peer.join({ groupId: envelope.groupId, id: first.to }, null);
    const { identity } = peer;
    if (identity === null) return encodeAnswer(null, []);`,
      },
    ],
    caughtBy: [/elected by a quorum/, /committed on a quorum's disks/, /leader completeness/, /one vote a term/],
    seeds: 60,
  },
];
