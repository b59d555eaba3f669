/** Operations and listings as text, one a line. */
import type { Operation } from './history.ts';
import { type Listing, listingOf } from './listing.ts';

/** Of long values the end is what differs. */
const MAX_VALUE_CHARACTERS = 48;

/** One operation a line, in fixed columns; the culprit is marked. */
export function formatOperations(operations: readonly Operation[], culprit: Operation | null = null): string {
  const rows = operations.map((operation) =>
    [
      operation === culprit ? '>' : ' ',
      formatTime(operation.call).padStart(12),
      formatTime(operation.return).padStart(12),
      String(operation.clientId).padEnd(8),
      (listingOf(operation) === null ? operation.input.type : 'list').padEnd(6),
      `${JSON.stringify(operation.key)} ${describeInput(operation)}`.trimEnd().padEnd(40),
      describeOutput(operation),
    ].join(' '),
  );
  return rows.map((row) => row.trimEnd()).join('\n');
}

/** One listing a line, in the same columns; of its items, those around `key`. */
export function formatListing(listing: Listing, key: string | null, isCulprit = true): string {
  const at = key === null ? 0 : listing.items.findIndex((item) => item.key === key);
  const items = listing.items.slice(Math.max(0, at - 2), at + 3).map((item) => shortened(item));
  return [
    isCulprit ? '>' : ' ',
    formatTime(listing.callMs).padStart(12),
    formatTime(listing.returnMs).padStart(12),
    String(listing.clientId ?? 'listing').padEnd(8),
    'list  ',
    JSON.stringify(listing.prefix ?? '').padEnd(40),
    `revision ${listing.revision}, ${listing.items.length} items${items.length > 0 ? `: … ${items.join(' ')} …` : ''}`,
  ].join(' ');
}

/** To the microsecond, if the unit is a millisecond; null is `unknown`. */
export function formatTime(time: number | null): string {
  return time === null ? 'unknown' : String(Number(time.toFixed(3)));
}

/** What was asked for, the type left out: fields as JSON. */
export function describeInput({ input }: Operation, maxCharacters = MAX_VALUE_CHARACTERS): string {
  const { type: _, ...fields } = input;
  return shortened(fields, maxCharacters);
}

/** What was answered: its type, and the fields as JSON. */
export function describeOutput({ output }: Operation, maxCharacters = MAX_VALUE_CHARACTERS): string {
  if (output === null) return '';
  const { type, ...fields } = output;
  return `${type} ${shortened(fields, maxCharacters)}`.trimEnd();
}

export function shortened(fields: object, maxCharacters = MAX_VALUE_CHARACTERS): string {
  const text = JSON.stringify(fields, (name, field: unknown) => {
    if (name === 'condition' && field === null) return undefined;
    return typeof field === 'string' && field.length > maxCharacters ? `…${field.slice(-maxCharacters)}` : field;
  });
  return text === '{}' ? '' : text;
}
