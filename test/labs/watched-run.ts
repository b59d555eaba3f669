/** One run of a lab's test again, with an eye on what was wrong and when: what its clerks saw becomes a timeline if nothing explains it. */
import { FaultWatch } from '../simulation/fault-watch.ts';
import { writeTimelineOf } from '../simulation/soak-files.ts';
import type { LabOptions, LabReport, LabTest } from './lab.ts';

/** Null: it failed, and why was printed. */
export async function watchedRun({ name, run }: LabTest, options: LabOptions): Promise<LabReport | null> {
  const watch = new FaultWatch();
  try {
    return await run({ ...options, watch: watch.look });
  } catch (error) {
    console.error(error instanceof Error ? error.stack : error);
    const title = `${name}, seed ${options.seed}`;
    const file = `lab-${name.replaceAll(/[^\w.]+/g, '-')}-${options.seed}.html`;
    const timeline = writeTimelineOf(file, { title, error, faults: watch.faults });
    if (timeline !== null) console.log(`timeline: ${timeline}`);
    return null;
  }
}
