/** Exactly once (dissertation 6.3). */
import type { Bug } from './bug.ts';

export const SESSION_BUGS: readonly Bug[] = [
  {
    name: 'a repeat gets the reply to another seq',
    edits: [
      {
        file: 'kv/exactly-once.ts',
        search: 'return session.replies.find((reply) => reply.seq === seq) ?? null;',
        replacement: 'return session.replies.find((reply) => reply.seq <= seq) ?? null;',
      },
      {
        file: 'kv/exactly-once.ts',
        search: 'const repeated = equalBytes(first.requestDigest, ref.requestDigest);',
        replacement: 'const repeated = first.requestDigest.length === ref.requestDigest.length;',
      },
    ],
    caughtBy: [/not one of this operation/, /and yet it failed/, /linearizability/, /exactly once/],
    seeds: 40,
  },
  {
    name: 'no reply is kept',
    edits: [
      {
        file: 'kv/exactly-once.ts',
        search: 'keep(session, { seq: ref.seq,',
        replacement: 'if (result === undefined) keep(session, { seq: ref.seq,',
      },
    ],
    caughtBy: [/exactly once/, /linearizability/],
    from: 7,
    seeds: 60,
  },
  {
    name: 'any seq opens a session: a duplicate is applied after its session has expired',
    edits: [
      {
        file: 'kv/exactly-once.ts',
        search: "if (ref.seq !== 1) return 'session_expired';",
        replacement: '',
      },
    ],
    caughtBy: [/exactly once/, /done again/],
    from: 24,
    seeds: 30,
  },
  {
    name: 'an acknowledgement forgets one reply too many',
    edits: [
      {
        file: 'kv/exactly-once.ts',
        search: 'session.replies = session.replies.filter((reply) => reply.seq > acked);',
        replacement: 'session.replies = session.replies.filter((reply) => reply.seq > acked + 1);',
      },
    ],
    caughtBy: [/exactly once/, /linearizability/],
    from: 40,
    seeds: 40,
  },
];
