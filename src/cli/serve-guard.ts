/** Ends a process, and removes its temporary files, when this one has gone without doing so itself: SIGKILL, a crash. */
import { type ChildProcess, spawn } from 'node:child_process';

/**
 * A shell that waits on a pipe from this process, which closes however this process ends. Whoever sees the guarded process end
 * kills the guard (SIGKILL) in the same turn: the process's number may soon be another's.
 */
export function guardProcess({ pid }: ChildProcess, directory: string): ChildProcess {
  const script = 'read -r never; if [ "$1" != 0 ]; then kill -KILL "$1"; fi; rm -rf -- "$2"';
  const shell = spawn('/bin/sh', ['-c', script, 'guard', String(pid ?? 0), directory], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // A Ctrl-C in the terminal is not for it.
    detached: true,
  });
  shell.unref();
  return shell;
}
