/** The rooms of the house and the arrows between them: a test keeps them, not a habit. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';

const source = join(import.meta.dirname, '../../src');
const MAX_LINES = 500;
const GOOD_LINES = 400;

/** What files of a room may import: whole rooms end in a slash. A new room must say here which way its arrows point. */
const ARROWS: Record<string, readonly string[]> = {
  raft: ['raft/'],
  encoding: ['encoding/'],
  peer: ['peer/', 'raft/', 'encoding/'],
  kv: ['kv/', 'encoding/', 'peer/state-machine.ts', 'peer/sql.ts'],
  router: ['router/', 'encoding/', 'peer/protocol.ts', 'kv/commands.ts', 'kv/command-bytes.ts', 'kv/limits.ts'],
  clerk: ['clerk/'],
  cli: ['cli/', 'router/settings.ts'],
  // The Worker's entry puts everything together.
  'index.ts': ['index.ts', 'raft/', 'peer/', 'kv/', 'router/', 'clerk/'],
};

/** Rooms that use no package at all. */
const BARE = ['raft', 'clerk'];

/** What a pure core cannot have: a clock, dice, waiting, the world. */
const IMPURE = [
  'Date',
  'performance',
  'crypto',
  'await',
  'async',
  'Promise',
  'setTimeout',
  'setInterval',
  'queueMicrotask',
  'console',
  'fetch',
  'process',
  'globalThis',
];

interface SourceFile {
  /** From src, with forward slashes. */
  readonly path: string;
  readonly room: string;
  readonly text: string;
  /** Without comments. */
  readonly code: string;
}

const files: readonly SourceFile[] = readdirSync(source, { recursive: true, withFileTypes: true })
  .filter((item) => item.isFile() && /\.[cm]?[jt]sx?$/.test(item.name))
  .map((item) => {
    const path = relative(source, join(item.parentPath, item.name)).replaceAll('\\', '/');
    const text = readFileSync(join(source, path), 'utf8');
    return { path, room: path.split('/')[0] ?? path, text, code: withoutComments(text) };
  });

/** Strings are skipped, so that `//` in one begins no comment. */
function withoutComments(text: string): string {
  const token = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;
  return text.replace(token, (found) => (found.startsWith('/') ? ' ' : found));
}

function withoutStrings(code: string): string {
  return code.replace(/'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g, "''");
}

/** Every module named in an import or export, of values or types, static or not. */
function importsOf({ code }: SourceFile): string[] {
  const statement = /\b(?:import|export)\b[^'";]*?\bfrom\s*['"]([^'"]+)['"]/g;
  const bare = /\bimport\s*['"]([^'"]+)['"]/g;
  const call = /\b(?:import|require)\s*\(\s*['"`]([^'"`]+)['"`]/g;
  return [statement, bare, call].flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1] ?? ''));
}

const isOurs = (module: string) => module.startsWith('.');
const targetOf = (file: SourceFile, module: string) => join(dirname(file.path), module).replaceAll('\\', '/');

describe('what this test sees', () => {
  test('imports in every form', () => {
    const code = withoutComments(`
      import a from './a.ts'; import type { B } from "./b.ts";
      import {
        c, // from './not-this.ts'
      } from './c.ts';
      export * from './d.ts'; export type { E } from './e.ts';
      import './f.ts'; const g = await import('./g.ts');
      type H = import('./h.ts').H; const url = 'https://x.y'; /* import './nor-this.ts' */`);
    const found = importsOf({ path: 'x.ts', room: 'x', text: '', code });
    expect(found.sort()).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name) => `./${name}.ts`));
  });

  test('all rooms', () => {
    expect(files.length).toBeGreaterThan(10);
    for (const room of ['raft', 'peer', 'kv']) expect(files.map((file) => file.room)).toContain(room);
  });
});

describe('arrows point one way', () => {
  test.each(files.map((file) => [file.path, file] as const))('%s', (_, file) => {
    const allowed = ARROWS[file.room];
    expect(allowed, `src/${file.room} is not in the table of arrows`).toBeDefined();
    for (const module of importsOf(file).filter(isOurs)) {
      const target = targetOf(file, module);
      const isAllowed = allowed?.some(
        (prefix) => target === prefix || (prefix.endsWith('/') && target.startsWith(prefix)),
      );
      expect(isAllowed, `src/${file.path} imports src/${target}`).toBe(true);
      expect(target).toMatch(/\.ts$/);
    }
  });

  test.each(BARE)('src/%s uses no package', (room) => {
    const packages = files
      .filter((file) => file.room === room)
      .flatMap((file) => importsOf(file).filter((module) => !isOurs(module)));
    expect(packages).toEqual([]);
  });

  test('only the Durable Object itself knows the platform, and only the command line knows Node', () => {
    for (const file of files) {
      const modules = importsOf(file);
      const knowsPlatform = modules.some((module) => module.startsWith('cloudflare:'));
      if (knowsPlatform) expect(['peer/durable-object.ts', 'index.ts']).toContain(file.path);
      if (modules.some((module) => module.startsWith('node:'))) expect(file.room).toBe('cli');
    }
  });
});

describe('src/raft is pure', () => {
  const core = files.filter((file) => file.room === 'raft');

  test.each(core.map((file) => [file.path, file] as const))('%s', (_, { code }) => {
    const words = withoutStrings(code);
    for (const word of IMPURE) expect(words).not.toMatch(new RegExp(`(?<![\\w.#])${word}\\b(?!\\s*:)`));
    expect(words).not.toMatch(/Math\s*\.\s*random/);
  });
});

describe('files', () => {
  test('have one idea each, and so a name for it', () => {
    for (const { path } of files) expect(path).not.toMatch(/(^|\/)(utils?|helpers?|common|misc|shared|lib)(\/|\.|-)/i);
  });

  test(`are at most ${MAX_LINES} lines long, and nearly all under ${GOOD_LINES}`, () => {
    const lengths = files.map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }));
    expect(lengths.filter(({ lines }) => lines > MAX_LINES)).toEqual([]);
    expect(lengths.filter(({ lines }) => lines > GOOD_LINES).length).toBeLessThanOrEqual(files.length / 20);
  });
});
