import { defineConfig } from 'vitest/config';

/** A person's clicks on the packaged extension in a real VS Code: one server, one browser at a time. */
export default defineConfig({
  test: {
    include: ['test/e2e/**/*.test.ts'],
    runner: 'test/recorder.ts',
    globalSetup: 'test/e2e/setup.ts',
    fileParallelism: false,
    // One window of VS Code serves tests of all files.
    isolate: false,
    // The slowest tests take thirty seconds on two cores; limits are for what hangs, on slow machines too.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 120_000, interval: 100 } },
  },
});
