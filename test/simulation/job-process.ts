/**
 * A process of its own that does one job at a time, for what runs over all cores. Processes and not threads: threads that come and
 * go share the engine's compiled WebAssembly (Node strips types with it), and to free it has aborted the whole test run ("Check
 * failed: jit_page_->allocations_.erase(addr) == 1", https://github.com/nodejs/node/issues/64500).
 */
import { type ChildProcess, fork } from 'node:child_process';

/** The process ended, or its job does not. It is of no more use. */
export class JobProcessError extends Error {
  override readonly name = 'JobProcessError';
}

export class JobProcess<Job extends object, Report extends object> {
  readonly #child: ChildProcess;

  /** `file`: a module that calls `serveJobs`; `argument`: what it finds as `process.argv[2]`. */
  constructor(file: string, argument?: string) {
    this.#child = fork(file, argument === undefined ? [] : [argument], { execArgv: [], serialization: 'advanced' });
  }

  /** What it reports of the job. Throws JobProcessError when it ends first, or takes more than `timeoutMs`. */
  ask(job: Job, timeoutMs: number): Promise<Report> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        child.off('message', reported).off('exit', ended).off('error', broken);
        act();
      };
      const fail = (message: string): void => settle(() => reject(new JobProcessError(message)));
      const reported = (report: unknown): void => settle(() => resolve(report as Report));
      const ended = (code: number | null, signal: string | null): void =>
        fail(`the process ended: ${code === null ? signal : `status ${code}`}`);
      const broken = (error: Error): void => fail(`the process cannot be asked: ${error.message}`);
      const timer = setTimeout(() => fail(`no end after ${timeoutMs} ms`), timeoutMs);
      child.on('message', reported).on('exit', ended).on('error', broken);
      if (child.exitCode !== null || child.signalCode !== null) ended(child.exitCode, child.signalCode);
      else child.send(job);
    });
  }

  /** At once: it holds nothing that is to be kept. */
  stop(): void {
    this.#child.on('error', () => {});
    this.#child.kill('SIGKILL');
  }
}

/**
 * Does all jobs, at most `processes` at a time, and tells of each once it is done. A job that hangs, or takes its process with it, is
 * told as what `failed` makes of it, and the others go on.
 */
export async function runJobs<Job extends object, Report extends object>(
  jobs: Iterable<Job>,
  options: {
    readonly file: string;
    readonly processes: number;
    readonly timeoutMs: number;
    readonly failed: (job: Job, error: JobProcessError) => Report;
    readonly onDone: (job: Job, report: Report) => void;
  },
): Promise<void> {
  const { file, processes, timeoutMs, failed, onDone } = options;
  const queue = jobs[Symbol.iterator]();
  const work = async (): Promise<void> => {
    let worker = new JobProcess<Job, Report>(file);
    try {
      for (let next = queue.next(); next.done !== true; next = queue.next()) {
        const job = next.value;
        const report = await worker.ask(job, timeoutMs).catch((error: unknown): Report => {
          if (!(error instanceof JobProcessError)) throw error;
          worker.stop();
          worker = new JobProcess(file);
          return failed(job, error);
        });
        onDone(job, report);
      }
    } finally {
      worker.stop();
    }
  };
  await Promise.all(Array.from({ length: processes }, work));
}

/** In the process: runs each job that it is asked to do, and ends when nobody is left to ask. */
export function serveJobs<Job extends object, Report extends object>(run: (job: Job) => Promise<Report>): void {
  process.on('message', (job: Job) => {
    // Nobody may be left to be told: it ends then.
    run(job).then((report) => process.send?.(report, undefined, undefined, () => {}));
  });
  process.on('disconnect', () => process.exit());
}
