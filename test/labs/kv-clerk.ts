/**
 * The labs' clerk: Get, Put and Append through a router of its own (the production group client), each write under a clerk's
 * identity, repeated until it is answered. What all clerks did and saw is one history.
 */
import { createHash } from 'node:crypto';
import type { KeyValue, Query } from '../../src/kv/commands.ts';
import type { Write } from '../../src/router/write.ts';
import { checkHistory } from '../linearizability/check-history.ts';
import type { Input, Operation, Output } from '../linearizability/history.ts';
import { NotLinearizable } from '../linearizability/not-linearizable.ts';
import { type Cluster, GROUP } from './kv-cluster.ts';
import { LabRouter } from './kv-router.ts';
import { LabFailure } from './lab.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const RETRY_MS = 50;

export const digest16 = (bytes: Uint8Array | string): Uint8Array =>
  new Uint8Array(createHash('sha256').update(bytes).digest().subarray(0, 16));

/** All operations of all clerks of a test. */
export class History {
  readonly operations: Operation[] = [];
  /** Those that were answered. */
  answered = 0;

  push(operation: Operation): void {
    this.operations.push(operation);
    if (operation.output !== null) this.answered += 1;
  }

  /** Where the labs let "unknown" pass, it fails here. */
  check(): void {
    const result = checkHistory(this.operations);
    if (result.type === 'violation') throw new NotLinearizable(result, this.operations);
    if (result.type === 'unknown') throw new LabFailure(`linearizability of ${result.key}: unknown (${result.reason})`);
  }
}

export class Clerk {
  readonly name: string;
  protected readonly cluster: Cluster;
  protected readonly router: LabRouter;
  readonly #history: History;
  #seq = 0;

  /** `toldRate`: of its messages that are lost, see kv-router.ts. */
  constructor(cluster: Cluster, history: History, name: string, toldRate?: number) {
    this.name = name;
    this.cluster = cluster;
    this.#history = history;
    this.router = new LabRouter(cluster, name, toldRate);
  }

  /** The value; '' if there is none. */
  async get(key: string): Promise<string> {
    const item = await this.getItem(key);
    return item === null ? '' : decoder.decode(item.value);
  }

  async getItem(key: string): Promise<KeyValue | null> {
    const call = this.cluster.nowMs;
    const query: Query = { type: 'get', key: encoder.encode(key) };
    while (true) {
      const outcome = await this.router.client.read(GROUP, { query, consistency: 'linearizable', peer: null });
      if (!outcome.ok) {
        await this.cluster.sleep(RETRY_MS);
        continue;
      }
      const { answer } = outcome;
      if (answer.type !== 'value' && answer.type !== 'missing') throw new LabFailure(`a get gave a ${answer.type}`);
      const item = answer.type === 'value' ? answer.item : null;
      const output: Output =
        item === null
          ? { type: 'missing', storeRevision: answer.revision }
          : {
              type: 'value',
              value: decoder.decode(item.value),
              modRevision: item.modRevision,
              version: item.version,
              storeRevision: answer.revision,
            };
      this.record(key, { type: 'get' }, call, output);
      return item;
    }
  }

  put(key: string, value: string): Promise<void> {
    return this.#write('put', key, value);
  }

  append(key: string, value: string): Promise<void> {
    return this.#write('append', key, value);
  }

  async #write(op: 'put' | 'append', key: string, value: string): Promise<void> {
    const call = this.cluster.nowMs;
    this.#seq += 1;
    const write = this.#request(op, key, value, this.#seq);
    while (true) {
      const outcome = await this.router.client.write(GROUP, write);
      if (!outcome.ok) {
        await this.cluster.sleep(RETRY_MS);
        continue;
      }
      const { result } = outcome;
      if (result.type !== 'written')
        throw new LabFailure(`${this.name}: ${op} ${write.clerk?.seq} gave ${result.type}`);
      const { created, revision, version } = result;
      return this.record(key, { type: op, value }, call, { type: 'written', created, revision, version });
    }
  }

  #request(op: 'put' | 'append', key: string, value: string, seq: number): Write {
    const bytes = encoder.encode(value);
    const operation = { op, key: encoder.encode(key), condition: null, value: bytes, valueDigest: digest16(bytes) };
    const clerk = { id: this.name, seq, acked: seq - 1 };
    return { operation, requestDigest: digest16(`${op} ${key} ${value}`), clerk, peer: null };
  }

  /** Null: it was given up, and nobody knows. */
  protected record(key: string, input: Input, call: number, output: Output | null): void {
    const returned = output === null ? null : this.cluster.nowMs;
    this.#history.push({ clientId: this.name, key, input, call, return: returned, output });
  }
}
