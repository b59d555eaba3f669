/** Not the course's: where its key-value tests say nothing, under the same load and with the same checks. */
import { clockJumps, crashesBeforeFlush, oneWayCuts } from './kv-faults.ts';
import { genericTest } from './kv-generic.ts';
import { Scene } from './kv-scenarios.ts';
import { LabFailure, type LabOptions, type LabReport, type LabTest } from './lab.ts';

const APPENDS = 'every Append once and in order; linearizable';

async function crashBeforeFlush(options: LabOptions): Promise<LabReport> {
  const report = await genericTest(options, { clients: 5, servers: 5, disturbance: crashesBeforeFlush });
  if (report.figures.turnsLost === 0) throw new LabFailure('no crash took an unflushed write with it');
  return report;
}

/** A clerk that goes on and on keeps one session, of one size: replies that it acknowledged are forgotten. */
function sessionGrowth(options: LabOptions): Promise<LabReport> {
  const OPERATIONS = 300;
  const EARLY = 20;
  const MAX_SESSION_BYTES = 200;
  const scene = new Scene(options, { servers: 3, maxRaftStateBytes: 1000 });
  const { cluster } = scene;
  return scene.play(async () => {
    const clerk = scene.clerk('clerk');
    let earlyBytes = 0;
    for (let i = 1; i <= OPERATIONS; i += 1) {
      await clerk.put('k', String(i));
      if (i === EARLY) earlyBytes = cluster.sessions(cluster.leader()!).bytes;
    }
    const { rows, bytes } = cluster.sessions(cluster.leader()!);
    scene.assertEqual(rows, 1, 'sessions');
    scene.assertEqual(bytes, earlyBytes, `session bytes after ${OPERATIONS} operations`);
    if (bytes > MAX_SESSION_BYTES) throw new LabFailure(`a session of ${bytes} B`);
    return { sessionBytes: bytes };
  });
}

export const KEY_VALUE_BEYOND_TESTS: readonly LabTest[] = [
  {
    name: 'TestOneWayCuts kv beyond',
    servers: 5,
    bound: APPENDS,
    run: (options) => genericTest(options, { clients: 5, servers: 5, disturbance: oneWayCuts }),
  },
  {
    name: 'TestClockJumps kv beyond',
    servers: 5,
    bound: `${APPENDS}; no session expires`,
    run: (options) => genericTest(options, { clients: 5, servers: 5, disturbance: clockJumps }),
  },
  {
    name: 'TestCrashBeforeFlush kv beyond',
    servers: 5,
    bound: `${APPENDS}; unflushed writes were lost`,
    run: crashBeforeFlush,
  },
  {
    name: 'TestSessionGrowth kv beyond',
    servers: 3,
    bound: 'one session of ≤ 200 B after 300 Puts',
    run: sessionGrowth,
  },
];
