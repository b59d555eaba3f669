/** What a test of the catalogue is: a name, a bound, and a run that one seed decides. */
import type { World } from '../simulation/world.ts';

export interface LabTest {
  /** As in the course's files, with its part: `TestBackup3B`, `TestSpeed4A`, `TestConcurrent rsm4A`. Unique in the catalogue. */
  readonly name: string;
  readonly servers: number;
  /** The bound that it asserts, as one would read it in a table. */
  readonly bound: string;
  /** Throws if anything that the test asserts does not hold. */
  readonly run: (options: LabOptions) => Promise<LabReport>;
}

export interface LabOptions {
  readonly seed: number;
  /** Told of every event, as one line; for replays. */
  readonly trace?: (line: string) => void;
  /** Called after every event of a test on whole peers; for replays. */
  readonly watch?: (world: World) => void;
}

export interface LabReport {
  /** Requests that crossed the simulated network, clerks' included; lost ones count (the course counts those that arrive). */
  readonly rpcs: number;
  /** Bodies of requests and replies as they would be on the wire. */
  readonly rpcBytes: number;
  readonly simulatedMs: number;
  /** Commands or client operations that were agreed on. */
  readonly operations: number;
  /** Figures that the bound speaks of, by name with a unit: `electionRpcs`, `logBytes`. */
  readonly figures: Readonly<Record<string, number>>;
}

export class LabFailure extends Error {
  override readonly name = 'LabFailure';
}
