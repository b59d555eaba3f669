/** What workerd holds in memory, as Linux tells it. */
import { readdirSync, readFileSync } from 'node:fs';

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/**
 * Resident bytes of the workerd whose temporary files are in `directory`: now, and the most there ever were. Null: this
 * machine has no /proc to ask.
 */
export function workerdMemory(directory: string): { residentBytes: number; peakBytes: number } | null {
  let processes: string[];
  try {
    processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return null;
  }
  for (const process of processes) {
    if (!read(`/proc/${process}/comm`).startsWith('workerd')) continue;
    if (!read(`/proc/${process}/environ`).includes(`TMPDIR=${directory}`)) continue;
    const status = read(`/proc/${process}/status`);
    const kibibytes = (field: string) =>
      Number(new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN);
    return { residentBytes: kibibytes('VmRSS') * 1024, peakBytes: kibibytes('VmHWM') * 1024 };
  }
  return null;
}
