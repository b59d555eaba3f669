/** Two runtimes on the same databases would each believe to be alone: a file in the data's directory says whose it is. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ServeError } from './serve-error.ts';

const LOCK_FILE = 'served-by';

/** Makes the directory and takes its lock; one of a process that has ended is no lock. Returns what gives it back. */
export async function lockData(dataDirectory: string): Promise<() => Promise<void>> {
  const file = join(dataDirectory, LOCK_FILE);
  try {
    await mkdir(dataDirectory, { recursive: true });
    const holder = await readFile(file, 'utf8').then(Number, () => null);
    if (holder !== null && isRunning(holder)) {
      throw new ServeError(`${dataDirectory} is served already, by process ${holder} (says ${file})`);
    }
    await rm(file, { force: true });
    await writeFile(file, String(process.pid), { flag: 'wx' });
  } catch (error) {
    if (error instanceof ServeError) throw error;
    throw new ServeError(`cannot keep data in ${dataDirectory}: ${error instanceof Error ? error.message : error}`);
  }
  return () => rm(file, { force: true });
}

function isRunning(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // There, but somebody else's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
