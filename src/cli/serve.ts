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
async function serve(group: ServedWorker): Promise<number> {
  let stopping = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      stopping = true;
      void group.stop();
    });
  }
  const exit = await group.exited;
  if (stopping) return 0;
  console.error(`workerd ended by itself (${endOf(exit)})`);
  return 1;
}

try {
  const options = parseServeOptions(process.argv.slice(2));
  // What the Worker and its runtime have to say; standard output is for the one line that says where the group is.
  const group = await startLocalGroup({ ...options, onLine: (line) => console.error(line) });
  console.log(`Edgeraft: ${options.peers === 1 ? 'one peer' : `a group of ${options.peers}`} at ${group.url}`);
  process.exitCode = await serve(group);
} catch (error) {
  if (error instanceof UsageError) console.error(`${error.message}\n${USAGE}`);
  else if (error instanceof ServeError) console.error(error.message);
  else throw error;
  process.exitCode = 1;
}
