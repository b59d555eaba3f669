/** `/metrics` read back, and what happened between two readings. */

/** By metric without its prefix, then by peer. */
export type Metrics = ReadonlyMap<string, ReadonlyMap<string, number>>;

const REQUEST_TIMEOUT_MS = 10_000;

export async function readMetrics(url: string): Promise<Metrics> {
  const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
  if (!response.ok) throw new Error(`/metrics: ${response.status}`);
  return parseMetrics(await response.text());
}

export function parseMetrics(text: string): Metrics {
  const families = new Map<string, Map<string, number>>();
  for (const line of text.split('\n')) {
    const match = /^edgeraft_(\w+)\{.*\bpeer="(\d+)"\} (\S+)$/.exec(line);
    if (match === null) continue;
    const [, name = '', peer = '', value] = match;
    const family = families.get(name) ?? new Map<string, number>();
    families.set(name, family.set(peer, Number(value)));
  }
  return families;
}

/** Of every peer; throws if nobody told it, so that a metric under a new name is no zero. */
export function valuesOf(metrics: Metrics, name: string): readonly number[] {
  const family = metrics.get(name);
  if (family === undefined) throw new Error(`/metrics has no edgeraft_${name}`);
  return [...family.values()];
}

/** All peers together. Throws where a peer has begun to count anew: what it counted before is lost. */
export function sumOfGrowth(before: Metrics, after: Metrics, name: string): number {
  const earlier = before.get(name);
  const later = after.get(name);
  if (earlier === undefined || later === undefined) throw new Error(`/metrics has no edgeraft_${name}`);
  let sum = 0;
  for (const [peer, value] of earlier) {
    const growth = (later.get(peer) ?? 0) - value;
    if (growth < 0) throw new Error(`peer ${peer} restarted while its ${name} was counted`);
    sum += growth;
  }
  return sum;
}

/** How far the group has come, by its most advanced peer. */
export function newest(metrics: Metrics, name: string): number {
  return Math.max(...valuesOf(metrics, name));
}

/** How far all peers have come. */
export function oldest(metrics: Metrics, name: string): number {
  return Math.min(...valuesOf(metrics, name));
}
