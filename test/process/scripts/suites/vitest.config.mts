import { defineConfig } from 'vitest/config';

/** Suites for the tests of what runs suites. Nobody is to read of their failures: the reporter says nothing. */
export default defineConfig({
  test: { root: import.meta.dirname, include: ['*.ts'], runner: '../../../recorder.ts', reporters: [{}] },
});
