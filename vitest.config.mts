import { readFile } from 'node:fs/promises';
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Tests of one kind, as `test/README.md` tells them apart, run alone by `--project`. */
const kind = (name: string, options: TestProjectInlineConfiguration['test'] = {}) => ({
  extends: true as const,
  test: { name, include: [`test/${name}/**/*.test.ts`], ...options },
});

/** Files that take longest. */
const longest = [
  'process/experiments/doctor',
  'process/cli/json-keys',
  'process/cli/experiments',
  'zoo/zoo',
  'zoo/scramble',
  'zoo/inside',
  'process/cli/inside',
  'process/experiments/streaming',
];

/** Begins with them, so that none runs alone at the end; where there is a record of runs before, Vitest goes by that. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) => longest.some((name) => moduleId.endsWith(`/${name}.test.ts`));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  plugins: [
    {
      // As the bundler does: a WebAssembly file is its bytes.
      name: 'wasm-bytes',
      enforce: 'pre',
      async load(id) {
        if (!id.endsWith('.wasm')) return undefined;
        const bytes = JSON.stringify((await readFile(id)).toString('base64'));
        return `export default Uint8Array.from(Buffer.from(${bytes}, 'base64'));`;
      },
    },
  ],
  test: {
    projects: [
      // Nothing in them outlives a test, so that files share what they have loaded.
      kind('pure', { isolate: false }),
      kind('process', { globalSetup: 'test/support/built.ts' }),
      kind('browser'),
      kind('zoo', { globalSetup: 'test/support/built.ts' }),
      // A test is as many runs as a file of others.
      kind('campaigns', { globalSetup: 'test/support/built.ts', testTimeout: 900_000, hookTimeout: 900_000 }),
    ],
    runner: 'test/recorder.ts',
    sequence: { sequencer: LongestFirst },
    // All processors: most tests wait for a process of their own.
    maxWorkers: '100%',
    // The slowest tests take ten seconds on two cores; limits are for what hangs, on slow machines too.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 60_000 } },
    // Some tests load ONNX Runtime themselves; see src/engine/stages/telemetry.ts.
    // As many tests run at a time as there are processors; with all of them for each, threads would wait for each other.
    env: { ORT_DISABLE_TELEMETRY: '1', OMP_NUM_THREADS: '1' },
    server: { deps: { inline: [/\.wasm$/] } },
  },
});
