/** A group leads itself again after its peers, or the whole runtime, have gone: a monitor that only looks will see it. */
import { describe, test } from 'vitest';
import { eventually, runtimeForTests } from './edge-runtime.ts';

const HEALING_LIMIT_MS = 8000;

describe.each([1, 3, 5] as const)('%i peers', (peers) => {
  const context = runtimeForTests({ peers });

  const healthy = (): Promise<unknown> =>
    eventually(
      'the group is healthy',
      async () => ((await context.edge.request('GET', '/healthz')).status === 200 ? true : null),
      HEALING_LIMIT_MS,
    );

  test('lead themselves again after a crash of all of them, and after a kill of the runtime', async () => {
    const { edge } = context;
    await edge.request('PUT', '/kv/a', { body: 'v' });
    await edge.whole();
    for (const { id } of (await edge.cluster()).peers) await edge.fault(id, { action: 'crash' });
    await healthy();
    await edge.whole(HEALING_LIMIT_MS);
    await edge.kill();
    await edge.restart();
    await healthy();
    await edge.whole(HEALING_LIMIT_MS);
  });
});
