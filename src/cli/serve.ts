/**
 *     npm run serve -- --port 8787 --peers 3 [--chaos] [--data DIR]
 *
 * A local group on bare `workerd serve`, faster than the development server of `npm start`. Without --data nothing is kept.
 * SIGTERM or Ctrl-C ends it.
 */
import { startLocalGroup } from './local-group.ts';
import { ServeError } from './serve-error.ts';
import { parseServeOptions, USAGE, UsageError } from './serve-options.ts';
import { endOf, type ServedWorker } from './serve-worker.ts';

/** Resolves with the exit status once the group has ended. */
async function serve(group: ServedWorker, ending: AbortSignal): Promise<number> {
  const stop = (): void => void group.stop();
  ending.addEventListener('abort', stop);
  if (ending.aborted) stop();
  const exit = await group.exited;
  if (ending.aborted) return 0;
  console.error(`workerd ended by itself (${endOf(exit)})`);
  return 1;
}

/** Given once somebody wants this to end, ready or not. */
const end = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => end.abort());

try {
  const options = parseServeOptions(process.argv.slice(2));
  // What the Worker and its runtime have to say; standard output is for the one line that says where the group is.
  const onLine = (line: string): void => console.error(line);
  const group = await startLocalGroup({ ...options, onLine, signal: end.signal });
  console.log(`Edgeraft: ${options.peers === 1 ? 'one peer' : `a group of ${options.peers}`} at ${group.url}`);
  process.exitCode = await serve(group, end.signal);
} catch (error) {
  // Somebody wanted it to end before it was ready: it did.
  if (error !== end.signal.reason) {
    process.exitCode = 1;
    if (error instanceof UsageError) console.error(`${error.message}\n${USAGE}`);
    else if (error instanceof ServeError) console.error(error.message);
    else throw error;
  }
}
