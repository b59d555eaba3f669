/** `npm run serve` as its user meets it: a command that serves, keeps what it is told to keep, and leaves nothing running. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ROOT } from '../../src/cli/bundling.ts';
import { quoted } from '../../src/cli/serve-config.ts';
import { parseServeOptions, UsageError } from '../../src/cli/serve-options.ts';
import { eventually } from './edge-runtime.ts';

/** Temporary files of the command are made in here, so that a test sees what it leaves behind. */
let directory: string;
const started: ChildProcess[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'edgeraft-serve-test-'));
});
afterEach(async () => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
  // What a failed test has left.
  for (const { pid } of processes()) process.kill(pid, 'SIGKILL');
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
});

type Command = ChildProcess & { stdout: NodeJS.ReadableStream };

/** A program of its own, all of whose temporary files, and those of its children, are made in the test's directory. */
function run(program: string, args: readonly string[]): Command {
  const child = spawn(program, args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: directory },
  });
  started.push(child);
  return child;
}

const command = (args: readonly string[]): Command => run(process.execPath, ['src/cli/serve.ts', ...args]);

interface Served {
  readonly child: ChildProcess;
  readonly url: string;
  readonly workerd: number;
  readonly errors: () => string;
  /** All of them so far, on standard output. */
  readonly lines: readonly string[];
}

const serve = (...args: string[]): Promise<Served> => served(command(['--port', '0', ...args]));

/** Resolves once it has said where the group is. */
async function served(child: Command): Promise<Served> {
  let errors = '';
  child.stderr?.on('data', (chunk) => {
    errors += chunk;
  });
  const lines: string[] = [];
  const url = await new Promise<string | null>((settle) => {
    const output = createInterface({ input: child.stdout });
    output.on('line', (line) => {
      lines.push(line);
      const found = /^Edgeraft: .* at (http:\/\/127\.0\.0\.1:\d+)$/.exec(line)?.[1];
      if (found !== undefined) settle(found);
    });
    output.once('close', () => settle(null));
  });
  if (url === null) throw new Error(`never ready: ${lines.join('\n')}${errors}`);
  return { child, url, workerd: workerdOfTest(), errors: () => errors, lines };
}

/** Refused at once: its status and what it said. */
async function refused(...args: string[]): Promise<{ status: number | null; errors: string }> {
  const child = command(args);
  let errors = '';
  child.stderr?.on('data', (chunk) => {
    errors += chunk;
  });
  const [status] = await once(child, 'close');
  return { status, errors };
}

/** Its exit status, once all that it had to say is read. */
async function ended({ child }: Pick<Served, 'child'>): Promise<number | null> {
  if (!child.stdout?.closed || !child.stderr?.closed) await once(child, 'close');
  return child.exitCode;
}

interface Process {
  readonly pid: number;
  readonly args: string;
}

/**
 * What the test has started, and what that has started in turn: npm, a shell, the bundler, the runtime, its guard. All of them have
 * inherited where their temporary files go.
 */
function processes(): Process[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    const isOfTest = wordsOf(pid, 'environ').includes(`TMPDIR=${directory}`);
    return isOfTest ? [{ pid: Number(pid), args: wordsOf(pid, 'cmdline').join(' ') }] : [];
  });
}

/** None, once it has ended. */
function wordsOf(pid: string, file: 'environ' | 'cmdline'): string[] {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

const findWorkerd = (): Process | undefined => processes().find(({ args }) => / serve --control-fd/.test(args));

function workerdOfTest(): number {
  const found = findWorkerd();
  if (found === undefined) throw new Error('no workerd runs');
  return found.pid;
}

const temporaryFiles = (): string[] => readdirSync(directory).filter((name) => name.startsWith('edgeraft-serve-'));

async function nothingIsLeft(): Promise<void> {
  await eventually('all processes end', async () => (processes().length === 0 ? true : null), 10_000);
  await eventually('temporary files are removed', async () => (temporaryFiles().length === 0 ? true : null), 10_000);
}

const put = (url: string, value: string) => fetch(`${url}/kv/greeting`, { method: 'PUT', body: value });
const get = async (url: string) => (await fetch(`${url}/kv/greeting`)).text();

describe.runIf(process.platform === 'linux')('npm run serve (processes are looked up in /proc)', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('serves a group, and ends with everything on %s', async (signal) => {
    const served = await serve('--peers', '3');
    expect((await put(served.url, 'hello')).status).toBe(201);
    expect(await get(served.url)).toBe('hello');
    const cluster = (await (await fetch(`${served.url}/cluster`)).json()) as { peers: unknown[] };
    expect(cluster.peers).toHaveLength(3);
    expect((await fetch(`${served.url}/chaos/1`, { method: 'POST', body: '{"action":"heal"}' })).status).toBe(404);

    // The bundler is done: no service of its own runs beside the runtime.
    expect(processes().filter(({ args }) => args.includes('esbuild'))).toEqual([]);
    served.child.kill(signal);
    expect(await ended(served)).toBe(0);
    expect(served.lines).toEqual([`Edgeraft: a group of 3 at ${served.url}`]);
    expect(served.errors()).toBe('');
    await nothingIsLeft();
  });

  test('SIGTERM to npm, which tells nobody but its own child, ends everything, too', async () => {
    const group = await served(run('npm', ['run', 'serve', '--', '--port', '0']));
    expect((await put(group.url, 'hello')).status).toBe(201);
    expect(group.lines.filter((line) => line !== '' && !line.startsWith('> '))).toEqual([
      `Edgeraft: a group of 3 at ${group.url}`,
    ]);
    group.child.kill('SIGTERM');
    await ended(group);
    await nothingIsLeft();
  });

  test.each([
    ['its temporary directory is made', () => temporaryFiles().length > 0],
    ['the runtime has started', () => findWorkerd() !== undefined],
  ])('SIGTERM before it is ready, as soon as %s', async (_, isReached) => {
    const child = command(['--port', '0', '--data', join(directory, 'data')]);
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => {
        said += chunk;
      });
    }
    while (!isReached()) await new Promise((settle) => setImmediate(settle));
    child.kill('SIGTERM');
    expect(await ended({ child })).toBe(0);
    expect(said).toBe('');
    expect(readdirSync(join(directory, 'data')).filter((name) => name === 'served-by')).toEqual([]);
    await nothingIsLeft();
  });

  test('--data keeps what was written, also when the runtime was killed; --chaos brings the route', async () => {
    const data = join(directory, 'kept', 'data');
    const first = await serve('--peers', '1', '--data', data);
    await put(first.url, 'kept');
    const again = await refused('--port', '0', '--data', data);
    expect(again.status).toBe(1);
    expect(again.errors).toContain(`${data} is served already, by process ${first.child.pid}`);
    first.child.kill('SIGKILL');
    await ended(first);
    await nothingIsLeft();

    const second = await serve('--peers', '1', '--data', data, '--chaos');
    expect(await get(second.url)).toBe('kept');
    const heal = await fetch(`${second.url}/chaos/1`, { method: 'POST', body: '{"action":"heal"}' });
    expect(heal.status).toBe(200);
    second.child.kill('SIGTERM');
    expect(await ended(second)).toBe(0);
    await nothingIsLeft();
  });

  test('a runtime that ends by itself ends the command, which says so', async () => {
    const served = await serve('--peers', '1');
    process.kill(served.workerd, 'SIGKILL');
    expect(await ended(served)).toBe(1);
    expect(served.errors()).toContain('workerd ended by itself (signal SIGKILL)');
    await nothingIsLeft();
  });

  test('a port that is taken is named', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const { status, errors } = await refused('--port', String(port));
    server.close();
    expect(errors.trim()).toBe(`port ${port} is in use`);
    expect(status).toBe(1);
    await nothingIsLeft();
  });

  test('a directory that cannot be one is named', async () => {
    const file = join(directory, 'file');
    await writeFile(file, '');
    const { status, errors } = await refused('--port', '0', '--data', file);
    expect(errors).toContain(`cannot keep data in ${file}`);
    expect(status).toBe(1);
  });
});

describe('arguments', () => {
  test('a group of three on port 8787, unless they say otherwise', () => {
    expect(parseServeOptions([])).toEqual({ port: 8787, peers: 3, chaos: false });
    const args = ['--port', '0', '--peers', '5', '--chaos', '--data', 'kept'];
    expect(parseServeOptions(args)).toEqual({ port: 0, peers: 5, chaos: true, dataDirectory: 'kept' });
  });

  test.each([
    [['--port', 'http'], '--port must be an integer from 0 (any free one) to 65535, not "http"'],
    [['--port', '65536'], '--port must be an integer from 0 (any free one) to 65535, not "65536"'],
    [['--port', ''], '--port must be'],
    [['--peers', '2'], '--peers must be one of 1, 3, 5, 7, not "2"'],
    [['--peers', '3.0'], '--peers must be one of'],
    [['--data', ''], '--data needs the name of a directory'],
    [['--data'], "'--data <value>' argument missing"],
    [['--chaos=yes'], "'--chaos' does not take an argument"],
    [['--prot', '1'], "Unknown option '--prot'"],
    [['8787'], "Unexpected argument '8787'"],
  ])('%j is refused', (args, message) => {
    expect(() => parseServeOptions(args)).toThrow(UsageError);
    expect(() => parseServeOptions(args)).toThrow(message);
  });

  test('what is wrong is told with the usage, not with a stack', async () => {
    const { status, errors } = await refused('--peers', '4');
    expect(errors).toMatch(/^--peers must be one of 1, 3, 5, 7, not "4"\nusage: npm run serve -- .*\n$/);
    expect(status).toBe(1);
  });
});

test("text of the runtime's configuration is quoted", () => {
  expect(quoted('a "b" \\ c\n\x7fé')).toBe('"a \\"b\\" \\\\ c\\x0a\\x7fé"');
});
