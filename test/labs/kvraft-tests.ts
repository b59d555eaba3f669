/** The 22 tests of the 2025 generation's key-value server (4B and 4C), under their own names: a versioned Put is a conditional put. */
import type { GenericLoad } from './kv-generic.ts';
import { checkSpeed, onePartition, Scene, snapshotRpc, snapshotSize } from './kv-scenarios.ts';
import { versionedClerk, versionedGenericTest } from './kvraft-generic.ts';
import { LabFailure, type LabOptions, type LabReport, type LabTest } from './lab.ts';

const MAX_RAFT_STATE_BYTES = 1000;
type Load = Omit<GenericLoad, 'servers'> & { readonly servers?: number };

function bound({ unreliable = false, randomKeys = false }: Load): string {
  if (randomKeys) return 'linearizable after each round';
  return unreliable ? 'OKs ≤ version ≤ OKs + ErrMaybes; linearizable' : 'version = OKs; linearizable';
}

/** 4B: no snapshots. */
function partB(name: string, load: Load): LabTest {
  const servers = load.servers ?? 5;
  const run = (options: LabOptions) => versionedGenericTest(options, { ...load, servers });
  return { name: `${name} kvraft4B`, servers, bound: bound(load), run };
}

/** 4C: with snapshots. */
function partC(name: string, load: Load): LabTest {
  const servers = load.servers ?? 5;
  const run = (options: LabOptions) =>
    versionedGenericTest(options, { maxRaftStateBytes: MAX_RAFT_STATE_BYTES, ...load, servers });
  return { name: `${name} kvraft4C`, servers, bound: `${bound(load)}; log ≤ 8,000 B`, run };
}

function speed(options: LabOptions, maxRaftStateBytes: number | null): Promise<LabReport> {
  const OPERATIONS = 1000;
  const scene = new Scene(options, { servers: 3, maxRaftStateBytes });
  const { cluster } = scene;
  return scene.play(async () => {
    const clerk = versionedClerk(scene, 'clerk');
    scene.assertEqual(await clerk.get('x'), '', 'the value before');
    const before = { ms: cluster.nowMs, rpcs: cluster.traffic.rpcs };
    for (let i = 0; i < OPERATIONS; i += 1) {
      const answer = await clerk.putVersion('x', String(i), clerk.known('x'));
      if (answer.type !== 'OK') throw new LabFailure(`Put ${i} gave ${answer.type}`);
    }
    const msPerOperation = (cluster.nowMs - before.ms) / OPERATIONS;
    const rpcsPerOperation = (cluster.traffic.rpcs - before.rpcs) / OPERATIONS;
    scene.assertEqual(await clerk.get('x'), String(OPERATIONS - 1), 'the value at the end');
    scene.assertEqual(clerk.known('x').version, OPERATIONS, 'the version at the end');
    cluster.checkRaftState();
    checkSpeed(msPerOperation, rpcsPerOperation);
    return { msPerOperation, rpcsPerOperation };
  });
}

/** Whoever loses a message without knowing cannot promise an answer within three seconds: here, as in the labs, all losses are told. */
function testOnePartition(options: LabOptions): Promise<LabReport> {
  const scene = new Scene(options, { servers: 5, unreliable: true });
  const { cluster } = scene;
  return scene.play(() => onePartition(cluster, (name) => versionedClerk(scene, name, { toldRate: 1 })));
}

const ALL_FAULTS = { clients: 15, servers: 7, unreliable: true, crash: true, partitions: true, randomKeys: true };

const PART_B: readonly LabTest[] = [
  partB('TestBasic', { clients: 1 }),
  {
    name: 'TestSpeed kvraft4B',
    servers: 3,
    bound: '1,000 Puts at ≤ 33.33 ms and ≤ 3.05 RPCs; version 1,000',
    run: (options) => speed(options, null),
  },
  partB('TestConcurrent', { clients: 5 }),
  partB('TestUnreliable', { clients: 5, unreliable: true }),
  {
    name: 'TestOnePartition kvraft4B',
    servers: 5,
    bound: 'unreliable; the minority does not answer in 1 s, and does ≤ 3 s after the healing',
    run: testOnePartition,
  },
  partB('TestManyPartitionsOneClient', { clients: 1, partitions: true }),
  partB('TestManyPartitionsManyClients', { clients: 5, partitions: true }),
  partB('TestPersistOneClient', { clients: 1, crash: true }),
  partB('TestPersistConcurrent', { clients: 5, crash: true }),
  partB('TestPersistConcurrentUnreliable', { clients: 5, unreliable: true, crash: true }),
  partB('TestPersistPartition', { clients: 5, crash: true, partitions: true }),
  partB('TestPersistPartitionUnreliable', { clients: 5, unreliable: true, crash: true, partitions: true }),
  partB('TestPersistPartitionUnreliableLinearizable', ALL_FAULTS),
];

const PART_C: readonly LabTest[] = [
  {
    name: 'TestSnapshotRPC kvraft4C',
    servers: 3,
    bound: 'log ≤ 8,000 B; a server that lags installs a snapshot, and serves',
    run: (options) => snapshotRpc(options, versionedClerk),
  },
  {
    name: 'TestSnapshotSize kvraft4C',
    servers: 3,
    bound: '800 operations < 20 s: log ≤ 8,000 B, snapshot ≤ 500 B',
    run: (options) => snapshotSize(options, versionedClerk),
  },
  {
    name: 'TestSpeed kvraft4C',
    servers: 3,
    bound: '1,000 Puts at ≤ 33.33 ms and ≤ 3.05 RPCs; version 1,000; log ≤ 8,000 B',
    run: (options) => speed(options, MAX_RAFT_STATE_BYTES),
  },
  partC('TestSnapshotRecover', { clients: 1, crash: true }),
  partC('TestSnapshotRecoverManyClients', { clients: 20, crash: true }),
  partC('TestSnapshotUnreliable', { clients: 5, unreliable: true }),
  partC('TestSnapshotUnreliableRecover', { clients: 5, unreliable: true, crash: true }),
  partC('TestSnapshotUnreliableRecoverConcurrentPartition', {
    clients: 5,
    unreliable: true,
    crash: true,
    partitions: true,
  }),
  partC('TestSnapshotUnreliableRecoverConcurrentPartitionLinearizable', ALL_FAULTS),
];

export const KVRAFT_TESTS: readonly LabTest[] = [...PART_B, ...PART_C];
