import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { RunEvent, RunRequest } from '../../src/engine/contract/events.js';
import { Engine } from '../../src/engine/host/engine.js';
import { openSafetensors } from '../../src/statistics/safetensors.js';
import { root } from './files.js';

/** An engine with a process of its own. */
export const makeEngine = (): Engine => new Engine(join(root, 'dist/engine.js'));

/** {@link makeEngine}, disposed of after the tests of the file. */
export function startEngine(): Engine {
  const engine = makeEngine();
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
