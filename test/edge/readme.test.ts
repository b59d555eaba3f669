/**
 * The README's own lines: starts what `npm start` starts, and runs every curl line of "The first five minutes" in a shell, as
 * they stand there (but for the port).
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const hasCurl = spawnSync('curl', ['--version']).status === 0;
const data = mkdtempSync(join(tmpdir(), 'edgeraft-readme-'));
let url = '';
let stop = async (): Promise<void> => {};
let greeting = '';

/** The lines of the shell blocks in a section. */
function shellLines(section: string): string[] {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const text = readme.split(/^## /m).find((part) => part.startsWith(section)) ?? '';
  return [...text.matchAll(/```sh\n(.*?)```/gs)].flatMap(([, block]) => (block ?? '').trim().split('\n'));
}

function run(line: string): string {
  const quiet = line.replaceAll('http://localhost:8787', url).replace(/^curl/, 'curl -sS --max-time 15');
  return execFileSync('bash', ['-c', quiet], { encoding: 'utf8' });
}

beforeAll(async () => {
  const args = ['src/cli/start.ts', '--port', '0', '--persist-to', data];
  const child = spawn('node', args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  stop = () =>
    new Promise((resolve) => {
      child.once('exit', () => resolve());
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGTERM');
    });
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      greeting += chunk.toString();
      url = /Ready on (http:\/\/\S+)/.exec(greeting)?.[1]?.replace(/\/$/, '') ?? '';
      if (greeting.includes('/cluster')) resolve();
    });
  });
}, 90_000);

afterAll(async () => {
  await stop();
  rmSync(data, { recursive: true, force: true });
}, 30_000);

describe('npm start', () => {
  test('prints its URL and three curl lines', () => {
    expect(url).toMatch(/^http:\/\/localhost:\d+$/);
    expect(greeting).toContain(`at ${url}`);
    expect(greeting.match(/^ {2}curl /gm)).toHaveLength(3);
  });
});

describe('settings that make no sense', () => {
  test.each([
    ['PEERS = "weur,enam"', /PEERS must be 1, 3, 5 or 7 location hints/],
    ['PEERS = "weur,enam,moon"', /PEERS must be .* not "weur,enam,moon"/],
    ['PEERS = "weur"\nELECTION_TIMEOUT_MS = "100"', /ELECTION_TIMEOUT_MS must be/],
  ])('%j is refused before anything starts', (variables, message) => {
    const folder = mkdtempSync(join(tmpdir(), 'edgeraft-settings-'));
    writeFileSync(join(folder, 'wrangler.toml'), `name = "x"\nmain = "x.ts"\n[vars]\n${variables}\n`);
    const { status, stderr } = spawnSync('node', [join(root, 'src/cli/start.ts')], { cwd: folder, encoding: 'utf8' });
    rmSync(folder, { recursive: true, force: true });
    expect(stderr).toMatch(message);
    expect(status).toBe(1);
  });
});

// Without curl there is nothing to run; the same requests are in the contract's tests.
describe.skipIf(!hasCurl)('the first five minutes', () => {
  const lines = shellLines('The first five minutes');

  test('hold every step that the README promises', () => {
    expect(lines.length).toBeGreaterThan(12);
    const outputs = lines.map((line) => ({ line, output: run(line) }));
    const output = (part: string, nth = 0): string =>
      outputs.filter(({ line }) => line.includes(part))[nth]?.output ?? '';
    expect(output('/kv/hello', 1)).toBe('world');
    expect(output('/kv/hello', 3)).toBe('world and more');
    for (const { line, output: said } of outputs) {
      const status = /# (\d{3}):/.exec(line)?.[1];
      if (status !== undefined) expect(said, line).toContain(`HTTP/1.1 ${status}`);
    }
    const listed = JSON.parse(output('/kv?prefix=')) as { items: { key: string; value: string }[] };
    expect(listed.items.map(({ key, value }) => [key, value])).toEqual([
      ['hello', 'world and more'],
      ['lock', 'me'],
    ]);
    expect(output('-X PATCH http://localhost:8787/kv/log', 1)).toMatch(/clerk-replayed: true/i);
    expect(output('curl http://localhost:8787/kv/log')).toBe('once;');
    expect(JSON.parse(output('/cluster'))).toMatchObject({
      leader: '1',
      peers: [{ id: '1' }, { id: '2' }, { id: '3' }],
    });
    expect(output('/chaos/1')).toBe('{"ok":true}');
    expect(outputs.at(-1)?.output).toContain('"revision"');
  }, 60_000);
});
