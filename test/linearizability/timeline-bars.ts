/** Operations and listings as bars of a timeline. */
import type { Violation } from './check-result.ts';
import { describeInput, describeOutput, formatTime, shortened } from './format.ts';
import type { Operation, Output } from './history.ts';
import { compareKeys, type Listing } from './listing.ts';

export interface Bar {
  readonly client: string;
  readonly key: string;
  readonly verb: 'get' | 'put' | 'append' | 'delete' | 'list';
  /** As `verb`; or `refused`, by its condition. */
  readonly kind: string;
  readonly fromMs: number;
  /** Null: the outcome is unknown. */
  readonly toMs: number | null;
  /** Short, on the bar. */
  readonly label: string;
  /** Long, in several lines. */
  readonly detail: string;
  readonly input: string;
  readonly output: string;
  readonly isBad: boolean;
  readonly isCulprit: boolean;
  /** Of another key than the violation. */
  readonly isOfOtherKey: boolean;
}

const LABEL_CHARACTERS = 24;
const DETAIL_CHARACTERS = 400;
const LISTED_ITEMS = 40;

export function barsOf(
  operations: readonly Operation[],
  listings: readonly Listing[],
  violation: Violation | null,
): Bar[] {
  const bad = new Set<Operation | Listing>([...(violation?.window ?? []), ...(violation?.windowListings ?? [])]);
  const marks = (by: Operation | Listing, key: string) => ({
    isBad: bad.has(by),
    isCulprit: violation?.culprit === by,
    isOfOtherKey: violation !== null && !bad.has(by) && key !== violation.key,
  });
  const bars = [
    ...operations.map((operation) => ({ ...operationBar(operation), ...marks(operation, operation.key) })),
    ...listings.map((listing) => ({ ...listingBar(listing, violation?.key), ...marks(listing, violation?.key ?? '') })),
  ];
  return bars.sort((x, y) => x.fromMs - y.fromMs);
}

type Drawn = Omit<Bar, 'isBad' | 'isCulprit' | 'isOfOtherKey'>;

function operationBar(operation: Operation): Drawn {
  const { clientId, key, call, return: returned, output } = operation;
  const { type, ...asked } = operation.input;
  const value = 'value' in asked ? `=${shortened([asked.value], LABEL_CHARACTERS).slice(1, -1)}` : '';
  const condition = 'condition' in asked && asked.condition ? ` if ${asked.condition.type}` : '';
  const input = describeInput(operation, DETAIL_CHARACTERS);
  const told = describeOutput(operation, DETAIL_CHARACTERS) || 'unknown';
  return {
    client: String(clientId),
    key,
    verb: type,
    kind: output?.type === 'precondition_failed' ? 'refused' : type,
    fromMs: call,
    toMs: returned,
    label: `${type} ${key}${value}${condition} → ${outputLabel(output)}`,
    detail: `${type} ${key} ${input}\n→ ${told}\nclient ${clientId}, ${formatTime(call)} – ${formatTime(returned)} ms`,
    input,
    output: told,
  };
}

function outputLabel(output: Output | null): string {
  switch (output?.type) {
    case undefined:
      return '?';
    case 'value':
      return `${shortened([output.value], LABEL_CHARACTERS).slice(1, -1)} @${output.modRevision ?? '?'}`;
    case 'missing':
      return 'missing';
    case 'written':
      return `@${output.revision ?? '?'}`;
    case 'deleted':
      return output.deleted ? `deleted @${output.revision ?? '?'}` : 'nothing deleted';
    case 'precondition_failed':
      return 'refused';
  }
}

/** Of the items, those from just before `key` on. */
function listingBar(listing: Listing, key: string | undefined): Drawn {
  const { clientId = 'listing', prefix = '', callMs, returnMs, revision, items } = listing;
  const wanted = Math.max(0, items.findIndex((item) => key !== undefined && compareKeys(item.key, key) >= 0) - 2);
  const shown = items.slice(wanted, wanted + LISTED_ITEMS).map((item) => `  ${shortened(item, LABEL_CHARACTERS)}`);
  if (items.length > shown.length) shown.push(`  … ${items.length - shown.length} more`);
  const output = `revision ${revision}, ${items.length} items${listing.complete === false ? ', incomplete' : ''}`;
  return {
    client: String(clientId),
    key: '',
    verb: 'list',
    kind: 'list',
    fromMs: callMs,
    toMs: returnMs,
    label: `list ${prefix}* → ${items.length} @${revision}`,
    detail: `list prefix ${JSON.stringify(prefix)}\n→ ${output}\n${shown.join('\n')}\nclient ${clientId}, ${formatTime(callMs)} – ${formatTime(returnMs)} ms`,
    input: `prefix ${JSON.stringify(prefix)}`,
    output: `${output} ${shortened(items.slice(wanted, wanted + 5), LABEL_CHARACTERS)}`,
  };
}
