/** etcd, three nodes on loopback, each write on disk before it is acknowledged (its default). Spoken to in JSON. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guardProcess } from '../../src/cli/serve-guard.ts';
import type { RunningSystem } from './systems.ts';

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 5000;
const POLL_MS = 50;
const NODES = 3;

interface Node {
  readonly name: string;
  readonly clientUrl: string;
  readonly peerUrl: string;
}

export function hasEtcd(): boolean {
  return spawnSync('etcd', ['--version'], { stdio: 'ignore' }).status === 0;
}

/** The leader's address: no request is forwarded, the best for etcd. */
export async function startEtcd(): Promise<RunningSystem> {
  const directory = await mkdtemp(join(tmpdir(), 'edgeraft-etcd-'));
  const ports = await freePorts(2 * NODES);
  const nodes = Array.from({ length: NODES }, (_, i) => ({
    name: `node${i + 1}`,
    clientUrl: `http://127.0.0.1:${ports[2 * i]}`,
    peerUrl: `http://127.0.0.1:${ports[2 * i + 1]}`,
  }));
  const children = nodes.map((node) => spawnNode(node, nodes, directory));
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(end));
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  };
  try {
    return { url: await leaderUrl(nodes), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function spawnNode({ name, clientUrl, peerUrl }: Node, nodes: readonly Node[], directory: string): ChildProcess {
  const cluster = nodes.map((node) => `${node.name}=${node.peerUrl}`).join(',');
  const args = ['--name', name, '--data-dir', join(directory, name)];
  args.push('--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl);
  args.push('--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl);
  args.push('--initial-cluster', cluster, '--initial-cluster-state', 'new', '--initial-cluster-token', directory);
  args.push('--logger', 'zap', '--log-level', 'error');
  const child = spawn('etcd', args, { stdio: 'ignore', detached: true });
  const guard = guardProcess(child, directory);
  child.once('close', () => guard.kill('SIGKILL'));
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await closed;
  clearTimeout(timer);
}

interface Status {
  readonly leader?: string;
  readonly header: { readonly member_id: string };
}

async function leaderUrl(nodes: readonly Node[]): Promise<string> {
  const deadlineMs = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadlineMs) {
    for (const { clientUrl } of nodes) {
      const status = await statusOf(clientUrl);
      if (status?.leader !== undefined && status.leader === status.header.member_id) return clientUrl;
    }
    await new Promise((settle) => setTimeout(settle, POLL_MS));
  }
  throw new Error(`etcd has no leader after ${START_TIMEOUT_MS / 1000} s`);
}

async function statusOf(url: string): Promise<Status | null> {
  try {
    const response = await fetch(`${url}/v3/maintenance/status`, { method: 'POST', body: '{}' });
    return response.ok ? ((await response.json()) as Status) : null;
  } catch {
    return null;
  }
}

/** Free a moment ago: all are held at once, so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((settle) => server.close(settle))));
  return ports;
}
