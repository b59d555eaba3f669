/**
 * Reads: one key, or a page of keys at one revision. A page costs two index searches for each key it looks at, however many
 * versions a key has, and looks at a bounded number of keys, however many of them are deleted.
 */
import type { Sql, SqlRow } from '../peer/sql.ts';
import type { Answer, KeyValue, Query } from './commands.ts';
import { compareKeys, firstKey, prefixEnd, successor } from './key-order.ts';
import { INLINE_VALUE_BYTES, MAX_KEYS_EXAMINED, MAX_PAGE_BYTES } from './limits.ts';
import type { Meta } from './meta.ts';
import { bytesOf, storedValue } from './versions.ts';

type ListQuery = Extract<Query, { type: 'list' }>;
type Page = Extract<Answer, { type: 'page' }>;

/** One key as a listing sees it. */
interface Seen {
  readonly key: Uint8Array;
  /** Null: the key has no value at that revision. */
  readonly item: Omit<KeyValue, 'value'> | null;
  readonly valueBytes: number;
  /** Null: too large to be read before it is known to fit. */
  readonly value: Uint8Array | null;
}

const KEYS_PER_STATEMENT = 256;

/**
 * The next keys of a range, each with its newest version up to a revision. A row without a key is the range's end; one
 * without a version is a key that was made later.
 */
export const KEYS_AT_REVISION = `
  WITH RECURSIVE keys(key) AS (
    SELECT * FROM (SELECT key FROM kv_versions WHERE key >= ? AND key < ? ORDER BY key LIMIT 1)
    UNION ALL
    SELECT (SELECT following.key FROM kv_versions AS following
              WHERE following.key > keys.key AND following.key < ? ORDER BY following.key LIMIT 1)
      FROM keys WHERE keys.key IS NOT NULL LIMIT ?)
  SELECT keys.key, found.mod_revision, found.create_revision, found.version, found.tombstone,
      coalesce(length(found.value), 0), CASE WHEN length(found.value) <= ${INLINE_VALUE_BYTES} THEN found.value END
    FROM keys LEFT JOIN kv_versions AS found ON found.key = keys.key AND found.mod_revision =
      (SELECT newest.mod_revision FROM kv_versions AS newest
         WHERE newest.key = keys.key AND newest.mod_revision <= ? ORDER BY newest.mod_revision DESC LIMIT 1)`;

/** What is asked of the state that has these revisions. The keys that it looks at are added to `total`. */
export function answer(
  sql: Sql,
  { revision: storeRevision, compactedRevision }: Pick<Meta, 'revision' | 'compactedRevision'>,
  query: Query,
  total: { keys: number },
): Answer {
  if (query.type === 'get') return answerGet(sql, query.key, storeRevision);
  const revision = query.revision ?? storeRevision;
  if (revision <= storeRevision && revision >= compactedRevision)
    return answerList(sql, query, revision, storeRevision, total);
  // Nothing is to be read, and yet it is: a superseded instance must not answer, and its storage refuses.
  sql.exec('SELECT 1 FROM kv_versions LIMIT 1');
  return { type: revision > storeRevision ? 'behind' : 'compacted', revision: storeRevision };
}

function answerGet(sql: Sql, key: Uint8Array, revision: number): Answer {
  const [row] = sql.exec(
    `SELECT mod_revision, create_revision, version, tombstone, value FROM kv_versions
       WHERE key = ? ORDER BY mod_revision DESC LIMIT 1`,
    key,
  );
  if (row === undefined || row[3] === 1) return { type: 'missing', revision };
  const [modRevision, createRevision, version] = row as [number, number, number];
  const item = { key, value: bytesOf(row[4]), createRevision, modRevision, version };
  return { type: 'value', item, revision };
}

function answerList(
  sql: Sql,
  query: ListQuery,
  revision: number,
  storeRevision: number,
  total: { keys: number },
): Page {
  const items: KeyValue[] = [];
  let pageBytes = 0;
  let examined = 0;
  let last = query.after;
  const page = (more: boolean): Page => {
    return { type: 'page', items, more, nextAfter: more ? last : null, revision, storeRevision };
  };
  while (examined < MAX_KEYS_EXAMINED) {
    // One more than fits tells whether anything follows; among many deleted keys the steps grow.
    const wanted = Math.min(KEYS_PER_STATEMENT, Math.max(query.limit - items.length + 1, examined));
    const keys = keysAtRevision(sql, query.prefix, last, revision, wanted);
    total.keys += keys.length;
    for (const { key, item, valueBytes, value } of keys) {
      if (item !== null) {
        const itemBytes = key.byteLength + valueBytes;
        const full = items.length === query.limit || (items.length > 0 && pageBytes + itemBytes > MAX_PAGE_BYTES);
        if (full) return page(true);
        items.push({ ...item, value: value ?? storedValue(sql, key, item.modRevision) });
        pageBytes += itemBytes;
      }
      last = key;
    }
    if (keys.length < wanted) return page(false);
    examined += keys.length;
  }
  return page(true);
}

function keysAtRevision(
  sql: Sql,
  prefix: Uint8Array,
  after: Uint8Array | null,
  revision: number,
  limit: number,
): Seen[] {
  const start = after === null || compareKeys(after, prefix) < 0 ? firstKey(prefix) : successor(after);
  const end = prefixEnd(prefix);
  const rows = sql.exec(KEYS_AT_REVISION, start, end, end, limit, revision);
  return rows.filter((row) => row[0] !== null).map(seen);
}

function seen(row: SqlRow): Seen {
  const key = row[0] as Uint8Array;
  if (row[1] === null || row[4] === 1) return { key, item: null, valueBytes: 0, value: null };
  const [modRevision, createRevision, version] = row.slice(1, 4) as [number, number, number];
  const valueBytes = row[5] as number;
  const value = valueBytes <= INLINE_VALUE_BYTES ? bytesOf(row[6]) : null;
  return { key, item: { key, createRevision, modRevision, version }, valueBytes, value };
}
