/** How a Worker's source becomes the one module that runs: for `npm run serve`, for benches, and for tests on the real runtime. */
import { fileURLToPath } from 'node:url';
import type { BuildOptions } from 'esbuild';

/** Of the project, with a slash at its end. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url).href);

export const BUNDLING = {
  bundle: true,
  format: 'esm',
  target: 'es2024',
  conditions: ['workerd', 'worker', 'browser'],
  external: ['cloudflare:workers'],
  logLevel: 'silent',
} satisfies BuildOptions;
