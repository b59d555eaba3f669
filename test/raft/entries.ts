/** Entries and members for tests, in their shortest form. */
import { entryBytes } from '../../src/raft/log.ts';
import type { Configuration, Entry, EntrySummary, Member, Payload } from '../../src/raft/types.ts';

export const encodeText = (text: string): Uint8Array => new TextEncoder().encode(text);
export const decodeText = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

export const payloadOf = (text: string): Payload => ({ type: 'command', data: encodeText(text) });

/** Peers 1 to `peers`, all voters. */
export function configurationOf(peers: number): Configuration {
  const member = (id: number): Member => ({ id, slot: id, incarnation: 1, locationHint: 'weur' });
  return { voters: Array.from({ length: peers }, (_, i) => member(i + 1)) };
}

export function entryOf(index: number, term: number, text = `t${term}`): Entry {
  return { index, term, applyVersion: 1, elapsedMs: 0, payload: payloadOf(text) };
}

export function summaryOf(entry: Entry): EntrySummary {
  const { index, term, payload } = entry;
  const bytes = entryBytes(entry);
  return payload.type === 'configuration'
    ? { index, term, bytes, configuration: payload.configuration }
    : { index, term, bytes };
}
