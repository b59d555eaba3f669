import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: new URL('.', import.meta.url).pathname,
    include: ['**/*.test.ts'],
    testTimeout: 60_000,
    // The default leaves one core out: of two, half.
    maxWorkers: '100%',
    // `npm run test:core`: every branch of the core is reached by its own tests, or the run fails.
    coverage: {
      provider: 'v8',
      include: ['**/src/raft/**'],
      allowExternal: true,
      reporter: ['text'],
      thresholds: { 100: true },
    },
  },
});
