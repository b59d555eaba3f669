/** Worker sources as the one module of text that Miniflare is given. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** Of the project, with a slash at its end. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url).href);

/** `entry`: a path below the project's root. Rejects when it does not compile. */
export async function bundleWorker(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(ROOT, entry)],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:workers'],
    logLevel: 'silent',
  });
  const [file] = outputFiles;
  if (file === undefined) throw new Error(`nothing came of bundling ${entry}`);
  return file.text;
}
