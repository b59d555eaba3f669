/** What is billed (paid plan, 2026): https://developers.cloudflare.com/durable-objects/platform/pricing/ */

/** Dollars for a million. */
export const PRICES = {
  requests: 0.15,
  rowsWritten: 1,
  rowsRead: 0.001,
  /** Of Workers KV: https://developers.cloudflare.com/kv/platform/pricing/ */
  workersKvWrites: 5,
} as const;

/** Of one put, all objects together. */
export interface Billed {
  readonly requests: number;
  readonly rowsWritten: number;
  readonly rowsRead: number;
}

/** For a million puts. Their duration is not in it, nor the Worker's own request: both systems have that one alike. */
export function dollarsForMillion({ requests, rowsWritten, rowsRead }: Billed): number {
  return requests * PRICES.requests + rowsWritten * PRICES.rowsWritten + rowsRead * PRICES.rowsRead;
}
