/** The production store, seen through glasses: smaller snapshot pages, faster time, or the code of the next release. */
import { KeyValueStore } from '../../src/kv/key-value-store.ts';
import type { Sql } from '../../src/peer/sql.ts';
import type { AppliedEntry, SnapshotPage, StateMachineFactory } from '../../src/peer/state-machine.ts';
import type { StorePlan } from './plan.ts';

export const NEWER_VERSION = 2;
/** Some ten versions. */
const SHORT_HISTORY_BYTES = 1500;

type Settings = Readonly<Record<string, string | undefined>>;

class StoreVariant extends KeyValueStore {
  readonly #plan: StorePlan;

  constructor(sql: Sql, settings: Settings, plan: StorePlan, applyVersion: number) {
    super(sql, settings);
    // The store of today has but one version, and its type says so.
    (this as unknown as { applyVersion: number }).applyVersion = applyVersion;
    this.#plan = plan;
  }

  /** Every peer multiplies alike: it is as if the leaders' clocks had run so fast. */
  override apply(entry: AppliedEntry) {
    return super.apply({ ...entry, elapsedMs: entry.elapsedMs * this.#plan.logTimeRate });
  }

  override snapshotPage(after: Uint8Array | null, maxBytes: number): SnapshotPage {
    return super.snapshotPage(after, this.#plan.pageBytes ?? maxBytes);
  }
}

/** `applyVersion` 2 means what 1 does, and yet a peer of version 1 cannot know that: it must stop before it. */
export function storeVariant(plan: StorePlan, applyVersion: number): StateMachineFactory {
  return (sql, settings) => new StoreVariant(sql, settings, plan, applyVersion);
}

export function storeSettings(plan: StorePlan): Record<string, string> {
  const entries = Object.entries({
    STORAGE_LIMIT_BYTES: plan.storageLimitBytes,
    // Where cuts stay open for long, history is compacted meanwhile. Its rows are taken for new versions, or deleted at once.
    HISTORY_LIMIT_BYTES: plan.historyLimitBytes ?? (plan.pageBytes === null ? null : SHORT_HISTORY_BYTES),
    SESSION_LIMIT: plan.sessionLimit,
    WAITING_SUPERSESSIONS: plan.pageBytes === 1 ? 0 : null,
  });
  return Object.fromEntries(entries.flatMap(([name, value]) => (value === null ? [] : [[name, String(value)]])));
}
