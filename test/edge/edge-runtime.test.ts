/** The harness itself: it leaves nothing behind, whatever becomes of the tests. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../../src/cli/bundling.ts';
import { EdgeRuntime, eventually } from './edge-runtime.ts';
import { send } from './raw-http.ts';
import type { RuntimeMessage, RuntimeOptions } from './runtime-process.ts';

async function isRefused(origin: URL): Promise<true | null> {
  return send(origin, 'GET', '/', { agent: false, timeoutMs: 1000 }).then(
    () => null,
    (error: { code?: string }) => (error.code === 'ECONNREFUSED' ? true : null),
  );
}

test('after stop nothing listens, and nothing is on disk', async () => {
  const edge = await EdgeRuntime.start({ peers: 1 });
  const { origin, directory } = edge;
  expect((await edge.request('PUT', '/kv/a', { body: 'v' })).status).toBe(201);
  expect((await readdir(directory)).length).toBeGreaterThan(0);
  await edge.stop();
  expect(await isRefused(origin)).toBe(true);
  await expect(readdir(directory)).rejects.toThrow('ENOENT');
  // May be asked for twice.
  await edge.stop();
});

test('a restart finds the data, a new start does not', async () => {
  const edge = await EdgeRuntime.start({ peers: 1 });
  try {
    await edge.request('PUT', '/kv/a', { body: 'kept' });
    await edge.kill();
    await expect(edge.request('GET', '/kv/a')).rejects.toThrow();
    await edge.restart();
    expect((await edge.request('GET', '/kv/a')).text).toBe('kept');
  } finally {
    await edge.stop();
  }
  const other = await EdgeRuntime.start({ peers: 1 });
  try {
    expect((await other.request('GET', '/kv/a')).status).toBe(404);
  } finally {
    await other.stop();
  }
});

test('a Worker that does not start is told with its reason', async () => {
  await expect(EdgeRuntime.start({ entry: 'test/edge/edge-runtime.ts', className: 'Nothing' })).rejects.toThrow();
});

test('a runtime ends itself when whoever started it is gone', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'edgeraft-orphan-'));
  try {
    const child = fork(join(ROOT, 'test/edge/runtime-process.ts'), {
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: '', TMPDIR: directory },
    });
    const options: RuntimeOptions = {
      script: 'export class Peer {} export default { fetch: () => new Response("here") };',
      className: 'Peer',
      variables: {},
      directory,
      compatibilityDate: '2026-07-01',
      compatibilityFlags: [],
    };
    child.send(options);
    const [message] = (await once(child, 'message')) as [RuntimeMessage];
    if ('failure' in message) throw new Error(message.failure);
    const origin = new URL(message.url);
    expect((await send(origin, 'GET', '/', { agent: false })).text).toBe('here');
    const exited = once(child, 'exit');
    child.disconnect();
    await exited;
    await eventually('its workerd is gone too', () => isRefused(origin), 10_000);
    await expect(readdir(directory)).rejects.toThrow('ENOENT');
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
});
