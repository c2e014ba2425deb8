import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll } from 'vitest';
import type { RunEvent, RunRequest } from '../../src/engine/contract/events.js';
import { Engine } from '../../src/engine/host/engine.js';
import { openSafetensors } from '../../src/statistics/safetensors.js';
import { root } from './files.js';

/** An engine whose child is built from the sources as they are. */
export async function makeEngine(): Promise<Engine> {
  // Inside the project, so that the native packages are found; one per test file, for they run side by side.
  const outfile = join(root, 'node_modules/.cache/sinkscope', `engine-${process.pid}.js`);
  await build({
    entryPoints: [join(root, 'src/engine/jobs/child.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    external: ['onnxruntime-node', 'tokenizers'],
    loader: { '.wasm': 'binary' },
  });
  return new Engine(outfile);
}

/** {@link makeEngine}, disposed of after the tests of the file. */
export async function startEngine(): Promise<Engine> {
  const engine = await makeEngine();
  afterAll(() => engine.dispose());
  return engine;
}

export function request(model: string, prompt: RunRequest['prompt'], more: Partial<RunRequest> = {}): RunRequest {
  return { model, prompt, attention: true, memory: 2 ** 31, threads: 1, ...more };
}

export async function collect(events: AsyncIterable<RunEvent>): Promise<RunEvent[]> {
  const all: RunEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

/** The events of one type. */
export function only<Type extends RunEvent['type']>(events: readonly RunEvent[], type: Type) {
  return events.filter((event): event is Extract<RunEvent, { type: Type }> => event.type === type);
}

export function failure(events: readonly RunEvent[]) {
  const last = events.at(-1);
  return last?.type === 'failed' ? last.problem : undefined;
}

export async function readFloats(
  file: string,
  name: string,
): Promise<{ shape: readonly number[]; values: Float32Array }> {
  const { shape, bytes } = await (await openSafetensors(file)).tensor(name);
  return { shape, values: new Float32Array(bytes.buffer) };
}

/** Largest difference relative to the largest expected magnitude. */
export function relativeError(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  let difference = 0;
  for (const [i, wanted] of expected.entries()) {
    largest = Math.max(largest, Math.abs(wanted));
    difference = Math.max(difference, Math.abs((actual[i] ?? Number.NaN) - wanted));
  }
  // A NaN stays one.
  return difference / largest;
}
