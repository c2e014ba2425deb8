import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/{unit,zoo}/**/*.test.ts'],
    testTimeout: 60_000,
  },
});
