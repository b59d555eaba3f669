/**
 * What peers promise to clients, checked at the moment of the answer, by watching the peer's own parts from outside: sooner
 * than the clients' history can show it, and where no client happens to look.
 *
 * - A linearizable read sees everything that anybody knew to be committed when it came in.
 * - What is answered as "nothing was done" is in no log.
 * - A command of a session is executed once.
 */
import type { CommandResult } from '../../src/kv/commands.ts';
import { decodeEntry } from '../../src/kv/entry.ts';
import { CLERK_SESSION_PROTECTED_MS } from '../../src/kv/limits.ts';
import type { Output } from '../linearizability/history.ts';
import type { Assert } from './election-record.ts';
import type { Instance } from './world.ts';

/** Answers that say that nothing was done. */
const NOTHING_DONE: ReadonlySet<string> = new Set(['not_leader', 'overloaded', 'refused']);

const decoder = new TextDecoder();

interface Execution {
  readonly index: number;
  readonly logTimeMs: number;
}

export class Promises {
  readonly #committedIndex: () => number;
  readonly #assert: Assert;
  /** Linearizable queries that wait: what was committed when they came. */
  readonly #asked = new WeakMap<object, number>();
  readonly #inLog = new WeakSet<object>();
  readonly #denied = new WeakSet<object>();
  /** What puts and appends did, by their values, of which clients write none twice. */
  readonly written = new Map<string, Output>();
  /** By session and seq. */
  readonly #executions = new Map<string, Execution>();
  /** Entries up to here were looked into, and the log time there. */
  #appliedIndex = 0;
  #logTimeMs = 0;

  constructor(committedIndex: () => number, assert: Assert) {
    this.#committedIndex = committedIndex;
    this.#assert = assert;
  }

  /** Of an instance that is seen for the first time. */
  watch(instance: Instance): void {
    this.#watchSubmit(instance);
    this.#watchQueries(instance);
    this.#watchLog(instance);
    this.#watchApply(instance);
  }

  #watchSubmit(instance: Instance): void {
    const { peer } = instance;
    const submit = peer.submit.bind(peer);
    peer.submit = (requests) => {
      for (const request of requests) {
        if (request.type === 'query' && request.consistency === 'linearizable' && isObject(request.query))
          this.#asked.set(request.query, this.#committedIndex());
      }
      const replies = submit(requests);
      replies.then(
        (settled) =>
          settled.forEach((reply, i) => {
            const request = requests[i];
            if (request?.type !== 'submit' || !NOTHING_DONE.has(reply.type) || !isObject(request.command)) return;
            this.#denied.add(request.command);
            this.#checkDenied(instance, request.command);
          }),
        () => {},
      );
      return replies;
    };
  }

  #watchQueries(instance: Instance): void {
    const { queries, raft } = instance.peer;
    const answer = queries.answer.bind(queries);
    queries.answer = (waiting, ageMs) => {
      // Throws where the storage refuses: then nothing is answered.
      answer(waiting, ageMs);
      const committed = isObject(waiting.query) ? this.#asked.get(waiting.query) : undefined;
      const applied = (raft ?? instance.peer.raft)?.lastApplied ?? 0;
      if (committed !== undefined)
        this.#assert(
          applied >= committed,
          instance,
          `a read misses what was committed: ${committed}, it saw ${applied}`,
        );
    };
  }

  #watchLog(instance: Instance): void {
    const { stateMachine, proposals } = instance.peer;
    let encoded: readonly unknown[] = [];
    const encodeEntry = stateMachine.encodeEntry.bind(stateMachine);
    stateMachine.encodeEntry = (commands) => {
      encoded = commands;
      return encodeEntry(commands);
    };
    const appended = proposals.appended.bind(proposals);
    proposals.appended = (index, term, count) => {
      appended(index, term, count);
      for (const command of encoded.filter(isObject)) {
        this.#inLog.add(command);
        this.#checkDenied(instance, command);
      }
    };
  }

  #checkDenied(instance: Instance, command: object): void {
    const both = this.#denied.has(command) && this.#inLog.has(command);
    this.#assert(!both, instance, 'nothing was done, it says, of a command that is in the log');
  }

  #watchApply(instance: Instance): void {
    const { stateMachine } = instance.peer;
    const apply = stateMachine.apply.bind(stateMachine);
    stateMachine.apply = (entry) => {
      const results = apply(entry);
      if (entry.index <= this.#appliedIndex) return results;
      this.#appliedIndex = entry.index;
      this.#logTimeMs += entry.elapsedMs;
      const commands = entry.data === null ? [] : (decodeEntry(entry.data)?.commands ?? []);
      commands.forEach((command, i) => {
        const result = results[i] as CommandResult | undefined;
        if (result === undefined || !('replayed' in result) || result.replayed) return;
        const { session } = command;
        this.#execute(instance, entry.index, `${session.pool}/${session.id}`, session.seq);
        if (command.op === 'delete' || result.type !== 'written') return;
        const { created, revision, version } = result;
        this.written.set(decoder.decode(command.value), { type: 'written', created, revision, version });
      });
      return results;
    };
  }

  #execute(instance: Instance, index: number, session: string, seq: number): void {
    const name = `${session}/${seq}`;
    const first = this.#executions.get(name);
    this.#executions.set(name, { index, logTimeMs: this.#logTimeMs });
    if (first === undefined) return;
    // A new session of the same identity: no clerk repeats a request that is so old.
    if (seq === 1 && this.#logTimeMs - first.logTimeMs >= CLERK_SESSION_PROTECTED_MS) return;
    this.#assert(false, instance, `exactly once: seq ${name} at ${first.index} and again at ${index}`);
  }

  /** The group was deleted. */
  reset(): void {
    this.#executions.clear();
    this.written.clear();
    this.#appliedIndex = 0;
    this.#logTimeMs = 0;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
