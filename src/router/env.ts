/** The Worker's bindings and variables (wrangler.toml, secrets). What the values must be: settings.ts. */
export interface Env {
  readonly PEER: DurableObjectNamespace;
  /** Location hints of a new group's peers, separated by commas: 1, 3, 5 or 7 of them. */
  readonly PEERS: string;
  readonly HEARTBEAT_MS?: string;
  readonly ELECTION_TIMEOUT_MS?: string;
  readonly QUIESCE_AFTER_MS?: string;
  readonly STORAGE_LIMIT_BYTES?: string;
  /** `on` (the default) or `off`: whether concurrent requests share calls of the leader's object. */
  readonly COALESCING?: string;
  /** The Origin that browsers may call from, `*` for all; empty: none. */
  readonly CORS_ORIGIN?: string;
  /** Secret: who has it may do everything. */
  readonly API_TOKEN?: string;
  /** `on`: without an API_TOKEN everything is open. Set by `npm start` and `npm run serve` only. */
  readonly OPEN?: string;
  /** `on`: POST /chaos/{peer} exists. */
  readonly CHAOS?: string;
}
