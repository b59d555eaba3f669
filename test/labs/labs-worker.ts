/** One process of the soak: runs one test with one seed at a time. */
import { NotLinearizable } from '../linearizability/not-linearizable.ts';
import { serveJobs } from '../simulation/job-process.ts';
import { CATALOGUE } from './catalogue.ts';
import type { LabReport } from './lab.ts';

export interface LabJob {
  readonly name: string;
  readonly seed: number;
}

export type LabOutcome =
  | { readonly ok: true; readonly report: LabReport; readonly wallMs: number }
  | {
      readonly ok: false;
      readonly message: string;
      /** What the clerks saw has no explanation: a replay writes its timeline. */
      readonly notLinearizable: boolean;
    };

async function run({ name, seed }: LabJob): Promise<LabOutcome> {
  const test = CATALOGUE.find((candidate) => candidate.name === name);
  if (test === undefined) return { ok: false, message: `no lab test is called ${name}`, notLinearizable: false };
  const startMs = performance.now();
  try {
    const report = await test.run({ seed });
    return { ok: true, report, wallMs: performance.now() - startMs };
  } catch (error) {
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return { ok: false, message, notLinearizable: error instanceof NotLinearizable };
  }
}

serveJobs(run);
