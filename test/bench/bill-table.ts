/** The bill as lines of text, with what it must and should be. */
import { BILL_CONNECTIONS, type Bill, type BillLine } from './bill.ts';
import type { Target, Verdict } from './targets.ts';

type BillConnections = (typeof BILL_CONNECTIONS)[number];

/** By connections. */
const ROWS: Readonly<Record<BillConnections, Target>> = { 1: { must: 5, aim: 4 }, 64: { must: 2.2, aim: 1.6 } };
/** Times the number of peers; the project has set itself no aim beyond. */
const REQUESTS_PER_PEER: Readonly<Record<BillConnections, number>> = { 1: 1.2, 64: 0.5 };

export function billLines({ lines, peers, plainObjectDollarsPerMillion, workersKvDollarsPerMillion }: Bill): string {
  const rows = lines.map((line) => {
    const columns = [
      `${line.keys} keys`.padEnd(10),
      String(line.connections).padStart(5),
      String(line.puts).padStart(9),
      line.rowsWrittenPerPutAndPeer.toFixed(2).padStart(11),
      line.requestsPerPut.toFixed(2).padStart(10),
      line.rowsReadPerPut.toFixed(1).padStart(10),
      line.bytesBetweenPeersPerPut.toFixed(0).padStart(8),
      line.commandsPerEntry.toFixed(1).padStart(12),
      line.compactedPerPut.toFixed(2).padStart(11),
      `$${line.dollarsPerMillion.toFixed(2)}`.padStart(9),
    ];
    return `${columns.join('')}${line.isSteady ? '' : '   (what is due later is not in it)'}`;
  });
  return [
    `The bill, ${peers} peers. Rows written: for each put and peer; requests of objects, rows read, bytes,\n  old versions compacted: for each put`,
    'keys       conn     puts       rows  requests rows read   bytes   puts/entry  compacted  $/million',
    ...rows,
    `A million puts: a plain object $${plainObjectDollarsPerMillion.toFixed(2)}, Workers KV $${workersKvDollarsPerMillion.toFixed(2)}` +
      ' (requests, rows written and read; not the duration, nor the Worker before it)',
  ].join('\n');
}

export function billVerdicts({ lines, peers }: Bill): Verdict[] {
  return lines.flatMap((line) => {
    const connections = BILL_CONNECTIONS.find((value) => value === line.connections);
    if (connections === undefined) return [];
    return [rowsVerdict(line, ROWS[connections]), requestsVerdict(line, REQUESTS_PER_PEER[connections] * peers)];
  });
}

function rowsVerdict(line: BillLine, target: Target): Verdict {
  const subject = `rows for each put and peer, ${line.keys} keys, at ${line.connections}`;
  return { subject, value: line.rowsWrittenPerPutAndPeer, isFloor: false, ...target };
}

function requestsVerdict(line: BillLine, must: number): Verdict {
  const subject = `requests for each put, ${line.keys} keys, at ${line.connections}`;
  const limit = Math.round(must * 100) / 100;
  return { subject, value: line.requestsPerPut, isFloor: false, must: limit, aim: limit };
}
