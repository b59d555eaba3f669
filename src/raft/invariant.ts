/** A broken rule of Raft, or a host that broke its contract. The peer ends its instance: see `Peer.turn`. */
export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation';
}

/** States what must hold. Always on: a consensus core that goes on after a broken rule loses data. */
export function invariant(condition: boolean, rule: string): asserts condition {
  if (!condition) throw new InvariantViolation(rule);
}
