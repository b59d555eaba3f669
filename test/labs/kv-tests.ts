/** The 23 key-value tests of the Get/Put/Append generation (4A and 4B of 2024), under their own names. */
import { type GenericLoad, genericTest } from './kv-generic.ts';
import { onePartition, Scene, snapshotRpc, snapshotSize, speed, unreliableOneKey } from './kv-scenarios.ts';
import type { LabTest } from './lab.ts';

const MAX_RAFT_STATE_BYTES = 1000;
const APPENDS = 'every Append once and in order; linearizable';
const COMPACTED = `${APPENDS}; log ≤ 8,000 B`;

function generic(name: string, bound: string, load: GenericLoad): LabTest {
  return { name, servers: load.servers, bound, run: (options) => genericTest(options, load) };
}

/** 4A: no snapshots. */
function partA(name: string, load: Omit<GenericLoad, 'servers'> & { readonly servers?: number }): LabTest {
  return generic(`${name}4A`, load.randomKeys === true ? 'linearizable' : APPENDS, { servers: 5, ...load });
}

/** 4B: with snapshots. */
function partB(name: string, load: Omit<GenericLoad, 'servers'> & { readonly servers?: number }): LabTest {
  const bound = load.randomKeys === true ? 'linearizable; log ≤ 8,000 B' : COMPACTED;
  return generic(`${name}4B`, bound, { servers: 5, maxRaftStateBytes: MAX_RAFT_STATE_BYTES, ...load });
}

const PART_A: readonly LabTest[] = [
  partA('TestBasic', { clients: 1 }),
  {
    name: 'TestSpeed4A',
    servers: 3,
    bound: '1,000 Appends at ≤ 33.33 ms and ≤ 3.05 RPCs',
    run: (options) => speed(options, null),
  },
  partA('TestConcurrent', { clients: 5 }),
  partA('TestUnreliable', { clients: 5, unreliable: true }),
  {
    name: 'TestUnreliableOneKey4A',
    servers: 3,
    bound: '50 Appends of 5 clients to one key, each once, in each client’s order',
    run: unreliableOneKey,
  },
  {
    name: 'TestOnePartition4A',
    servers: 5,
    bound: 'the minority does not answer in 1 s, and does ≤ 3 s after the healing',
    run: (options) => {
      const scene = new Scene(options, { servers: 5 });
      return scene.play(() => onePartition(scene.cluster, (name) => scene.clerk(name)));
    },
  },
  partA('TestManyPartitionsOneClient', { clients: 1, partitions: true }),
  partA('TestManyPartitionsManyClients', { clients: 5, partitions: true }),
  partA('TestPersistOneClient', { clients: 1, crash: true }),
  partA('TestPersistConcurrent', { clients: 5, crash: true }),
  partA('TestPersistConcurrentUnreliable', { clients: 5, unreliable: true, crash: true }),
  partA('TestPersistPartition', { clients: 5, crash: true, partitions: true }),
  partA('TestPersistPartitionUnreliable', { clients: 5, unreliable: true, crash: true, partitions: true }),
  partA('TestPersistPartitionUnreliableLinearizable', {
    clients: 15,
    servers: 7,
    unreliable: true,
    crash: true,
    partitions: true,
    randomKeys: true,
  }),
];

const PART_B: readonly LabTest[] = [
  {
    name: 'TestSnapshotRPC4B',
    servers: 3,
    bound: 'log ≤ 8,000 B; a server that lags installs a snapshot, and serves',
    run: snapshotRpc,
  },
  {
    name: 'TestSnapshotSize4B',
    servers: 3,
    bound: '800 operations < 20 s: log ≤ 8,000 B, snapshot ≤ 500 B',
    run: snapshotSize,
  },
  {
    name: 'TestSpeed4B',
    servers: 3,
    bound: '1,000 Appends at ≤ 33.33 ms and ≤ 3.05 RPCs; log ≤ 8,000 B',
    run: (options) => speed(options, MAX_RAFT_STATE_BYTES),
  },
  partB('TestSnapshotRecover', { clients: 1, crash: true }),
  partB('TestSnapshotRecoverManyClients', { clients: 20, crash: true }),
  partB('TestSnapshotUnreliable', { clients: 5, unreliable: true }),
  partB('TestSnapshotUnreliableRecover', { clients: 5, unreliable: true, crash: true }),
  partB('TestSnapshotUnreliableRecoverConcurrentPartition', {
    clients: 5,
    unreliable: true,
    crash: true,
    partitions: true,
  }),
  partB('TestSnapshotUnreliableRecoverConcurrentPartitionLinearizable', {
    clients: 15,
    servers: 7,
    unreliable: true,
    crash: true,
    partitions: true,
    randomKeys: true,
  }),
];

export const KEY_VALUE_TESTS: readonly LabTest[] = [...PART_A, ...PART_B];
