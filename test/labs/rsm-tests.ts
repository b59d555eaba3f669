/** The eight tests of the 2025 labs' replicated state machine (`rsm`, 4A and 4C), under their own names; three servers each. */
import { MAX_DELAY_MS, SETTLE_MS } from './kv-cluster.ts';
import { LabFailure, type LabOptions, type LabReport, type LabTest } from './lab.ts';
import { DEC, INC, NULL, RsmCluster, type Submitted } from './rsm-cluster.ts';

const INCS = 100;
const SUBMITS = 100;

async function count(rsm: RsmCluster, incs: number): Promise<void> {
  for (let i = 1; i <= incs; i += 1) await rsm.oneMust(INC, i);
}

function basic(options: LabOptions): Promise<LabReport> {
  const rsm = new RsmCluster(options);
  return rsm.play(async () => {
    for (let i = 1; i <= 10; i += 1) {
      await rsm.oneMust(INC, i);
      await rsm.checkCounter(i, 3);
    }
    return undefined;
  });
}

function concurrent(options: LabOptions): Promise<LabReport> {
  const CLIENTS = 50;
  const rsm = new RsmCluster(options);
  return rsm.play(async () => {
    const values = await Promise.all(Array.from({ length: CLIENTS }, () => rsm.one(INC)));
    for (let value = 1; value <= CLIENTS; value += 1)
      if (!values.includes(value)) throw new LabFailure(`no Inc was told ${value}: ${values}`);
    await rsm.checkCounter(CLIENTS, 3);
    return undefined;
  });
}

function leaderFailure(options: LabOptions): Promise<LabReport> {
  const rsm = new RsmCluster(options);
  const { cluster } = rsm;
  return rsm.play(async () => {
    await rsm.oneMust(INC, 1);
    await rsm.checkCounter(1, 3);
    const leader = cluster.leader()!;
    cluster.partition(cluster.slots.filter((slot) => slot !== leader));
    await rsm.oneMust(INC, 2);
    await rsm.checkCounter(2, 2);
    cluster.connectAll();
    await rsm.checkCounter(2, 3);
    return undefined;
  });
}

/**
 * What a leader took in while it had no majority must not be answered before it knows, and must be as soon as it does. Here a leader
 * without a quorum steps down after one election timeout, which therefore must be longer than the second that the Decs
 * have to wait for; the majority is asked to stand, as a router asks it.
 */
function leaderPartition(options: LabOptions): Promise<LabReport> {
  const rsm = new RsmCluster(options, { electionTimeoutMs: 1500 });
  const { cluster } = rsm;
  return rsm.play(async () => {
    await rsm.oneMust(INC, 1);
    await rsm.checkCounter(1, 3);
    const { majority, minority } = cluster.splitWithLeaderInMinority();
    const leader = cluster.leader()!;
    cluster.partition(majority, minority);
    const answers: Submitted[] = [];
    for (let i = 0; i < SUBMITS; i += 1) void rsm.submit(leader, DEC).then((answer) => answers.push(answer));

    let healed = false;
    let incs = 0;
    const submit = async (): Promise<void> => {
      while (!healed) if ((await rsm.one(INC, majority)) !== null) incs += 1;
    };
    const submitting = cluster.beside(submit());
    await cluster.sleep(1000);
    if (answers.length > 0) throw new LabFailure(`${answers.length} Decs returned in the minority`);
    healed = true;
    cluster.connectAll();
    const healedMs = cluster.nowMs;
    await cluster.eventually(1000, 'all Decs return', () => answers.length === SUBMITS);
    if (answers.some(({ type }) => type === 'OK')) throw new LabFailure('a Dec of the minority said OK');
    const returnedMs = cluster.nowMs - healedMs;
    await submitting;
    if (incs === 0) throw new LabFailure('the majority counted nothing');
    await rsm.checkCounter(1 + incs, 3);
    return { returnedMs, incs };
  });
}

function restartReplay(options: LabOptions): Promise<LabReport> {
  const rsm = new RsmCluster(options);
  return rsm.play(async () => {
    await count(rsm, INCS);
    await rsm.checkCounter(INCS, 3);
    await rsm.cluster.restartAll();
    await rsm.oneMust(INC, INCS + 1);
    await rsm.checkCounter(INCS + 1, 3);
    return undefined;
  });
}

/**
 * Nulls under way at the leader when every server ends. The labs try each for ten seconds and allow eleven: a submission that was pending
 * has one second to learn that its server has gone. Whoever waits for an object that is reset learns it with the next message, so
 * here the time of one message is enough. The submissions are not repeated: a client that gives up by itself would hide one that hangs.
 */
async function shutDownUnderLoad(rsm: RsmCluster): Promise<{ readonly pending: number; readonly nulls: Submitted[] }> {
  const { cluster } = rsm;
  const leader = cluster.leader()!;
  const nulls: Submitted[] = [];
  for (let i = 0; i < SUBMITS; i += 1) void rsm.submit(leader, NULL).then((answer) => nulls.push(answer));
  // All have arrived by then; the first are being answered.
  await cluster.sleep(cluster.random.between(MAX_DELAY_MS, 4 * MAX_DELAY_MS));
  const pending = SUBMITS - nulls.length;
  cluster.crash(cluster.slots, SETTLE_MS);
  // The others go on without it: what it alone has on disk was not committed.
  cluster.crash([leader], 2 * SETTLE_MS);
  await cluster.sleep(MAX_DELAY_MS);
  if (nulls.length < SUBMITS) throw new LabFailure(`${SUBMITS - nulls.length} Nulls are pending after the shutdown`);
  await cluster.sleep(SETTLE_MS);
  return { pending, nulls };
}

/** Beyond the labs: what said OK was done, and done once; what did not say so may have been. For when all servers agree again. */
function checkNulls(rsm: RsmCluster, nulls: readonly Submitted[]): Record<string, number> {
  const values = nulls.flatMap((answer) => (answer.type === 'OK' ? [answer.value] : []));
  const ok = values.length;
  if (new Set(values).size < ok) throw new LabFailure(`two Nulls were told the same: ${values}`);
  const most = ok + nulls.filter(({ type }) => type === 'unknown').length;
  for (const slot of rsm.slots) {
    const applied = rsm.nulls(slot);
    if (applied < ok || applied > most)
      throw new LabFailure(`server ${slot} has applied ${applied} Nulls: ${ok} were OK, and at most ${most} done`);
  }
  return { ok, applied: rsm.nulls(1) };
}

function shutdown(options: LabOptions): Promise<LabReport> {
  const rsm = new RsmCluster(options);
  return rsm.play(async () => {
    await rsm.oneMust(INC, 1);
    const { pending, nulls } = await shutDownUnderLoad(rsm);
    await rsm.oneMust(INC, 2);
    await rsm.checkCounter(2, 3);
    return { pending, ...checkNulls(rsm, nulls) };
  });
}

function restartSubmit(options: LabOptions): Promise<LabReport> {
  const rsm = new RsmCluster(options);
  const { cluster } = rsm;
  return rsm.play(async () => {
    await count(rsm, INCS);
    await rsm.checkCounter(INCS, 3);
    await cluster.restartAll();
    await rsm.oneMust(INC, INCS + 1);
    await rsm.checkCounter(INCS + 1, 3);

    const { pending, nulls } = await shutDownUnderLoad(rsm);
    await rsm.oneMust(INC, INCS + 2);
    await rsm.checkCounter(INCS + 2, 3);
    return { pending, ...checkNulls(rsm, nulls) };
  });
}

/** The tables are the snapshot: after the restart, the log alone would not be enough to count to a hundred. */
function snapshot(options: LabOptions): Promise<LabReport> {
  const MAX_RAFT_STATE_BYTES = 1000;
  const rsm = new RsmCluster(options, { maxRaftStateBytes: MAX_RAFT_STATE_BYTES });
  const { cluster } = rsm;
  return rsm.play(async () => {
    await count(rsm, INCS);
    await rsm.checkCounter(INCS, 3);
    const logBytes = cluster.logBytes();
    if (logBytes > 2 * MAX_RAFT_STATE_BYTES) throw new LabFailure(`a log of ${logBytes} B`);
    for (const slot of cluster.slots) {
      if (cluster.raft(slot)!.log.firstIndex === 1) throw new LabFailure(`server ${slot} never compacted its log`);
    }
    await cluster.restartAll();
    await rsm.oneMust(INC, INCS + 1);
    await rsm.checkCounter(INCS + 1, 3);
    await cluster.sleep(SETTLE_MS);
    return { logBytes };
  });
}

function test(name: string, bound: string, run: (options: LabOptions) => Promise<LabReport>): LabTest {
  return { name, servers: 3, bound, run };
}

export const RSM_TESTS: readonly LabTest[] = [
  test('TestBasic rsm4A', '10 Incs: reply i + 1, and all servers count it', basic),
  test('TestConcurrent rsm4A', '50 Incs at once, each counted once', concurrent),
  test('TestLeaderFailure rsm4A', 'an Inc without the leader; all agree when it is back', leaderFailure),
  test(
    'TestLeaderPartition rsm4A',
    '100 Decs of the minority: pending at 1 s, none OK, all back ≤ 1 s after healing',
    leaderPartition,
  ),
  test('TestRestartReplay rsm4A', 'after a restart of all, the next Inc is 101', restartReplay),
  test(
    'TestShutdown rsm4A',
    '100 Nulls under way when all servers are shut down return ≤ 7 ms later; each OK was applied',
    shutdown,
  ),
  test('TestRestartSubmit rsm4A', 'the same after a restart; the next Inc counts', restartSubmit),
  test('TestSnapshot rsm4C', 'log ≤ 2,000 B; after a restart from the snapshot, 101', snapshot),
];
