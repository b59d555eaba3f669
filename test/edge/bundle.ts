/** Worker sources as the one module of text that Miniflare is given. */
import { join } from 'node:path';
import { build } from 'esbuild';
import { BUNDLING, ROOT } from '../../src/cli/bundling.ts';

/** `entry`: a path below the project's root. Rejects when it does not compile. */
export async function bundleWorker(entry: string): Promise<string> {
  const { outputFiles } = await build({ ...BUNDLING, entryPoints: [join(ROOT, entry)], write: false });
  const [file] = outputFiles;
  if (file === undefined) throw new Error(`nothing came of bundling ${entry}`);
  return file.text;
}
